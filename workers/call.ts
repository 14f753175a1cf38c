/** `npm run call -- --help`: places SIP calls for trying a deployment. Exit codes: 0 done, 1 failed, 2 wrong usage. */
import { randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import process from 'node:process';

import { SingleBar } from 'cli-progress';

import type { HeardLeg } from '../src/caller/call-audio.ts';
import { openCaller } from '../src/caller/caller.ts';
import { type CallCommand, readCommandLine } from '../src/caller/command-line.ts';
import { loadLegs } from '../src/caller/load-legs.ts';
import { placeCalls } from '../src/caller/place-calls.ts';
import { reportLines, summaryText } from '../src/caller/report-text.ts';
import { UsageError } from '../src/caller/usage-error.ts';
import { toError } from '../src/errors.ts';
import { encodeG711Wav } from '../src/sample/g711-wav.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

async function run({ mode, options, files }: CallCommand): Promise<boolean> {
  const legs = await loadLegs({ mode, files, codecs: options.codec, parties: options.party });
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      complain('hanging up …');
      stopping.abort(new Error('stopped by the user'));
    });
  }
  const { calls, json, seed = randomInt(2 ** 32) } = options;
  await using caller = await openCaller({ target: options.to, transport: options.transport });
  const bar =
    !json && calls > 1 && process.stdout.isTTY
      ? new SingleBar({ format: '{bar} {value}/{total} calls ended, {answered} answered' })
      : undefined;
  let answered = 0;
  const heard: HeardLeg[] = [];
  bar?.start(calls, 0, { answered });
  const reports = await placeCalls(caller, {
    calls,
    ratePerSecond: options.rate,
    seed,
    signal: stopping.signal,
    call: {
      mode,
      legs,
      ptimeMs: options.ptime,
      impairments: { lossRate: options.loss, reorderRate: options.reorder, duplicateRate: options.duplicate },
      headers: options.header,
      srtp:
        options.srtp === undefined
          ? undefined
          : { suite: options.srtp, lines: options.srtpMixed ? 'all-but-first' : 'all' },
      ...(options.from === undefined ? {} : { from: options.from }),
      keys: options.keys,
      untilByeMs: options.untilBye,
      ...(options.heard === undefined ? {} : { onHeard: (legs) => void heard.push(...legs) }),
      onEvent: (event) => {
        if (event.kind === 'answered') bar?.increment(0, { answered: (answered += 1) });
        if (json || calls > 1) return;
        if (event.kind === 'provisional') print(`${event.status} …`);
        if (event.kind === 'answered') {
          const accepted = event.lines.filter(({ kind }) => kind === 'accepted').length;
          print(`answered, sending ${accepted} of ${legs.length} legs`);
        }
      },
    },
    onReport: (report, done) => {
      if (bar !== undefined) bar.update(done);
      else if (!json) for (const line of reportLines(report)) print(line);
    },
  });
  bar?.stop();
  if (options.heard !== undefined) await saveHeard(options.heard, heard);
  const worstLateMs = Math.round(caller.worstLateMs * 10) / 10;
  if (json) print(JSON.stringify({ seed, worstLateMs, calls: reports }));
  else print(`${summaryText(reports)}; seed ${seed}; latest packet ${worstLateMs} ms behind its time`);
  return reports.length === calls && reports.every(({ outcome }) => outcome.kind === 'completed');
}

async function saveHeard(file: string, [leg]: readonly HeardLeg[]): Promise<void> {
  if (leg === undefined || leg.codes.length === 0) complain(`${file}: not written, nothing was heard`);
  else await writeFile(file, encodeG711Wav(leg.codec, leg.codes));
}

try {
  const line = readCommandLine(process.argv.slice(2));
  if (line.kind === 'help') print(line.text.trimEnd());
  else process.exitCode = (await run(line)) ? 0 : 1;
} catch (thrown) {
  complain(toError(thrown).message);
  if (thrown instanceof UsageError) complain('npm run call -- --help shows the options');
  process.exitCode = thrown instanceof UsageError ? 2 : 1;
}
