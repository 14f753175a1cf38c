/**
 * `npm run bench -- --help`: measures on this machine. Sandbox and senders are processes of their own, started
 * and ended here; the last line printed is one JSON object. Exit codes: 0 measured, 1 failed, 2 wrong usage.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { arch, cpus } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { type AsrBenchOptions, compareAsrLoads, sendersOfRounds } from '../src/bench/asr.ts';
import { readBenchCommandLine } from '../src/bench/asr-command-line.ts';
import { type AsrLoadOptions, type AsrLoadReport, runAsrLoad } from '../src/bench/asr-load.ts';
import { loadLine, verdictLines } from '../src/bench/asr-text.ts';
import { muteRecogniser, scriptedRecogniser } from '../src/bench/scripted-recogniser.ts';
import { systemClock } from '../src/clock.ts';
import { silentLogger } from '../src/log.ts';
import { startSandbox } from '../src/sandbox/server.ts';
import { runRoot } from './main.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** What a child is told to be; it answers with one message. */
type Order =
  | { readonly kind: 'sandbox'; readonly results: AsrBenchOptions['results'] }
  | ({ readonly kind: 'load' } & Pick<AsrLoadOptions, 'sender' | 'url' | 'sessions' | 'seconds'>);

async function benchAsr(options: AsrBenchOptions): Promise<void> {
  const { sessions, seconds, rounds, results } = options;
  print(
    `${sessions} sessions, ${seconds} s, ${rounds} rounds; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`,
  );
  const sandbox = startChild();
  try {
    const url = await ask<string>(sandbox, { kind: 'sandbox', results });
    // Senders would wait for a sandbox that is gone.
    const sandboxGone = once(sandbox, 'exit').then(() => {
      throw new Error('the sandbox process ended');
    });
    sandboxGone.catch(() => undefined);
    const reports: AsrLoadReport[] = [];
    for (const sender of sendersOfRounds(rounds)) {
      const child = startChild();
      try {
        const report = ask<AsrLoadReport>(child, { kind: 'load', sender, url, sessions, seconds });
        reports.push(await Promise.race([report, sandboxGone]));
      } finally {
        child.kill();
      }
      print(loadLine(reports.at(-1)!));
    }
    const result = compareAsrLoads(options, reports);
    for (const line of verdictLines(result)) print(line);
    print(JSON.stringify(result));
  } finally {
    sandbox.kill();
  }
}

/** Another process of this file. */
function startChild(): ChildProcess {
  return fork(fileURLToPath(import.meta.url), ['child'], {
    execArgv: [...process.execArgv, '--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

async function ask<T>(child: ChildProcess, order: Order): Promise<T> {
  const gone = once(child, 'exit').then(() => {
    throw new Error(`the ${order.kind} process ended before it answered`);
  });
  const answered = once(child, 'message');
  child.send(order);
  const [answer] = (await Promise.race([answered, gone])) as [T];
  gone.catch(() => undefined);
  return answer;
}

async function obey(order: Order): Promise<unknown> {
  if (order.kind === 'load') {
    const collect = globalThis.gc;
    const collectGarbage =
      collect === undefined
        ? undefined
        : (): void => {
            collect();
          };
    return runAsrLoad({ ...order, clock: systemClock, collectGarbage });
  }
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: order.results === 'speech' ? scriptedRecogniser : muteRecogniser,
    rateLimit: 'off',
    maxConnections: 20_000,
    logger: silentLogger,
  });
  return sandbox.url;
}

await runRoot(async () => {
  if (process.send !== undefined && process.argv[2] === 'child') {
    // Without its parent it has nobody to work for.
    process.once('disconnect', () => process.exit());
    const [order] = (await once(process, 'message')) as [Order];
    process.send(await obey(order));
    return;
  }
  const line = readBenchCommandLine(process.argv.slice(2));
  if (line.kind === 'help') print(line.text.trimEnd());
  else await benchAsr(line.options);
});
