/**
 * `npm run chaos -- --help`: does harm to a whole service while calls come in, and compares what was said with what
 * was stored. Exit codes: 0 nothing missing, doubled or wrong in time; 1 something is; 2 wrong usage.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { readChaosCommandLine } from '../src/chaos/command-line.ts';
import { KIND_TEXTS } from '../src/chaos/kinds.ts';
import { type ChaosReport, chaosTable, isClean } from '../src/chaos/report-text.ts';
import { BenchProcess, serveDuties } from './bench-process.ts';
import { chaosDuties, runChaos } from './chaos-run.ts';
import { runRoot } from './main.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const start = (name: string): BenchProcess => BenchProcess.start(fileURLToPath(import.meta.url), name);

await runRoot(async () => {
  if (process.send !== undefined && process.argv[2] === 'child') {
    serveDuties(chaosDuties);
    return;
  }
  const line = readChaosCommandLine(process.argv.slice(2), randomInt(2 ** 32));
  if (line.kind === 'help') {
    print(line.text.trimEnd());
    return;
  }
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping.abort(new Error(`stopped by ${signal}`));
    });
  }
  const { kinds, ...options } = line.options;
  const reports: ChaosReport[] = [];
  for (const kind of kinds) {
    print(
      `${kind}: ${KIND_TEXTS[kind]}; ${options.sentences} sentences, ${options.legs} legs at a time, seed ${options.seed}`,
    );
    const report = await runChaos({ ...options, kind, start, print, signal: stopping.signal });
    reports.push(report);
    for (const example of report.examples) print(`  ${example}`);
    for (const crash of report.crashes) print(`  ended by itself: ${crash}`);
  }
  print(chaosTable(reports));
  const clean = reports.every(isClean);
  print(JSON.stringify({ clean, reports: reports.map(({ examples: _, ...report }) => report) }));
  // The truth about a full disk is not that nothing is lost.
  if (
    !reports.every(
      (report) => isClean(report) || (report.kind === 'disk-full' && report.crashes.length === 0),
    )
  ) {
    process.exitCode = 1;
  }
});
