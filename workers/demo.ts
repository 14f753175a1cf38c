/**
 * `npm run demo [-- --keep]`: the main job on a bare machine. Starts everything embedded, places the sample call
 * from a process of its own, shows the sentences while they are spoken, then the rows read back from Postgres
 * and how they compare with the script. Exit codes: 0 all as it should be, 1 not, 2 wrong usage.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setInterval as every } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import pc from 'picocolors';

import type { CallRecord } from '../src/call/record.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';
import { compareWithScript } from '../src/demo/compare.ts';
import { comparisonLines } from '../src/demo/comparison-text.ts';
import { LiveView } from '../src/demo/live-view.ts';
import { transcriptTable } from '../src/demo/table.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import type { CallId } from '../src/ids.ts';
import { createLogger } from '../src/log.ts';
import { loadSampleScript } from '../src/sample/sample.ts';
import { loadCall } from '../src/store/load-call.ts';
import { loadLegs } from '../src/store/load-legs.ts';
import { loadTranscript } from '../src/store/load-transcript.ts';
import type { StoredLeg, StoredSentence } from '../src/store/stored.ts';
import { runRoot } from './main.ts';
import { ROLES, type Service, startService } from './service.ts';

const print = (line = ''): void => void process.stdout.write(`${line}\n`);

/** What a call's last words, its jobs and its rows may take after the BYE. */
const COMPLETION_TIMEOUT_MS = 30_000;

/** The demo is the same on every machine: of the environment it takes only where data goes and what is logged. */
function demoConfig(): ReturnType<typeof loadConfig> {
  return loadConfig({
    DATA_DIR: process.env['DATA_DIR'],
    LOG_LEVEL: process.env['LOG_LEVEL'] ?? 'error',
    SIP_LISTEN: 'udp:127.0.0.1:0,tcp:127.0.0.1:0',
    HTTP_LISTEN: '127.0.0.1:0',
    RTP_ADDRESS: '127.0.0.1',
  });
}

async function demo(keep: boolean, signal: AbortSignal): Promise<boolean> {
  print(pc.bold('Callscribe: a two-party call, transcribed'));
  print(
    'The recogniser here is the sandbox, not DashScope: it finds speech by its energy and reads the texts that',
  );
  print(
    'the sample recordings carry inside their audio. Everything else is the code that runs in production.',
  );
  print();
  const config = demoConfig();
  await using service = await startService({
    config,
    roles: ROLES,
    logger: createLogger({ level: config.logLevel, format: process.stderr.isTTY ? 'pretty' : 'json' }),
    onStep: (step) => {
      print(pc.dim(`· ${step}`));
    },
  });
  const callId = await placeSampleCall(service, signal);
  const { sentences, legs } = await readBack(service, callId, signal);
  print();
  print(pc.bold(`Read back from Postgres: call ${callId}`));
  const nameOf = new Map(legs.map((leg) => [leg.id, leg.name ?? undefined]));
  const rows = sentences.map((sentence) => ({
    ...sentence,
    speaker: { role: sentence.role, name: nameOf.get(sentence.legId) },
  }));
  print(transcriptTable(rows, { colours: process.stdout.isTTY ? 'on' : 'off' }));
  const comparison = compareWithScript(await loadSampleScript(), sentences);
  for (const line of comparisonLines(comparison)) print(line);
  print();
  print(`API, with its description: ${service.httpUrl}/docs`);
  print(`Health, readiness and metrics: ${service.httpUrl}/healthz /readyz /metrics`);
  if (keep) await keepRunning(service, signal);
  else print(pc.dim('npm run demo -- --keep leaves it running; npm start runs the service.'));
  return comparison.verdict === 'equal';
}

/** Places the call and shows its sentences until the caller has hung up. */
async function placeSampleCall(service: Service, signal: AbortSignal): Promise<CallId> {
  const target = service.sipAddresses.find(({ protocol }) => protocol === 'udp');
  if (target === undefined) throw new Error('the embedded edge has no UDP address');
  print();
  print(`A SIPREC call comes in: SIP over UDP, an A-law and a µ-law leg, 40 seconds of audio in real time.`);
  print();
  const call: { record?: CallRecord } = {};
  service.live.on('call', (record) => {
    call.record = record;
  });
  using view = new LiveView({
    stream: process.stdout,
    clock: systemClock,
    speakerOf: (legId) => {
      const leg = call.record?.legs.find(({ id }) => id === legId);
      return { role: leg?.role ?? 'unknown', name: leg?.name };
    },
  });
  service.live.on('transcript', (event) => {
    view.show(event);
  });
  await runCaller(`sip:${target.host}:${target.port}`, signal);
  view.note('the caller has hung up');
  if (call.record === undefined) throw new Error('the caller ended, but no call came in');
  return call.record.id;
}

/** The caller is a process of its own, as in the field: only sockets are between it and us. */
async function runCaller(target: string, signal: AbortSignal): Promise<void> {
  const root = new URL(import.meta.url.endsWith('.ts') ? './call.ts' : './call.js', import.meta.url);
  const child = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(root), '--siprec', '--to', target, '--json'],
    { stdio: ['ignore', 'pipe', 'pipe'], signal },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-2000);
  });
  child.stdout.resume();
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return;
  throw new CallscribeError(
    'SIP_REFUSED',
    `the sample call did not succeed (exit code ${code ?? 'none'}). ${complaint.trim()}\n` +
      'LOG_LEVEL=info npm run demo shows what the service did.',
  );
}

/** Waits for the call to be complete, then reads its sentences. */
async function readBack(
  service: Service,
  callId: CallId,
  signal: AbortSignal,
): Promise<{ readonly sentences: readonly StoredSentence[]; readonly legs: readonly StoredLeg[] }> {
  const { pool } = service;
  if (pool === undefined) throw new Error('the demo runs the roles that write');
  const deadlineMs = systemClock.monotonicMs() + COMPLETION_TIMEOUT_MS;
  for await (const _ of every(100, undefined, { signal })) {
    const state = (await loadCall(pool, callId))?.state ?? 'not stored yet';
    if (state === 'complete' || state === 'failed') break;
    if (systemClock.monotonicMs() > deadlineMs) {
      throw new Error(
        `the call is ${state} ${COMPLETION_TIMEOUT_MS / 1000} s after its end; expected: complete. ` +
          'LOG_LEVEL=info npm run demo shows what the service did.',
      );
    }
  }
  return { sentences: await loadTranscript(pool, callId), legs: await loadLegs(pool, callId) };
}

async function keepRunning(service: Service, signal: AbortSignal): Promise<void> {
  print(`It goes on running. Place another call from a second terminal, Ctrl+C here ends it:`);
  for (const { protocol, host, port } of service.sipAddresses) {
    print(`  npm run call -- --to sip:${host}:${port} --transport ${protocol}`);
  }
  if (!signal.aborted) await once(signal, 'abort');
}

await runRoot(async () => {
  const { keep } = readArguments();
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      stopping.abort(new Error(`stopped by ${name}`));
    });
  }
  try {
    if (!(await demo(keep, stopping.signal))) process.exitCode = 1;
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    print('stopped');
    process.exitCode = 1;
  }
});

function readArguments(): { readonly keep: boolean } {
  try {
    return { keep: parseArgs({ options: { keep: { type: 'boolean', default: false } } }).values.keep };
  } catch (error) {
    throw new CallscribeError('USAGE', `npm run demo [-- --keep]: ${toError(error).message}`);
  }
}
