import { arch, cpus } from 'node:os';

import { type AsrBenchOptions, compareAsrLoads, sendersOfRounds } from '../src/bench/asr.ts';
import { type AsrLoadOptions, type AsrLoadReport, runAsrLoad } from '../src/bench/asr-load.ts';
import { loadLine, verdictLines } from '../src/bench/asr-text.ts';
import { muteRecogniser, scriptedRecogniser } from '../src/bench/scripted-recogniser.ts';
import { systemClock } from '../src/clock.ts';
import { silentLogger } from '../src/log.ts';
import { startSandbox } from '../src/sandbox/server.ts';
import { type BenchProcess, type Duties, garbageCollector } from './bench-process.ts';

type LoadOrder = Pick<AsrLoadOptions, 'sender' | 'url' | 'sessions' | 'seconds'>;

/** `npm run bench -- asr`; the last line is one JSON object. */
export async function benchAsr(
  options: AsrBenchOptions,
  start: (name: string) => BenchProcess,
  print: (line: string) => void,
): Promise<void> {
  const { sessions, seconds, rounds, results } = options;
  print(
    `${sessions} sessions, ${seconds} s, ${rounds} rounds; ${cpus().length} × ${cpus()[0]?.model ?? arch()}`,
  );
  using sandbox = start('sandbox');
  const url = await sandbox.ask<string>('sandbox', results);
  const reports: AsrLoadReport[] = [];
  for (const sender of sendersOfRounds(rounds)) {
    using child = start('load');
    const report = child.ask<AsrLoadReport>('load', { sender, url, sessions, seconds } satisfies LoadOrder);
    // Senders would wait for a sandbox that is gone.
    reports.push(await Promise.race([report, sandbox.gone]));
    print(loadLine(reports.at(-1)!));
  }
  const result = compareAsrLoads(options, reports);
  for (const line of verdictLines(result)) print(line);
  print(JSON.stringify(result));
}

export const asrDuties: Duties = {
  sandbox: async (results: AsrBenchOptions['results']) => {
    const sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: results === 'speech' ? scriptedRecogniser : muteRecogniser,
      rateLimit: 'off',
      maxConnections: 20_000,
      logger: silentLogger,
    });
    return sandbox.url;
  },
  load: (order: LoadOrder) =>
    runAsrLoad({ ...order, clock: systemClock, collectGarbage: garbageCollector() }),
};
