/**
 * `npm run soak -- --help`: calls for a long time, and whether memory, sockets, ports, files and timers of the intake stay
 * as they are. The last line is one JSON object. Exit codes: 0 all flat and nothing lost, 1 not, 2 wrong usage.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { processFigures } from '../src/chaos/process-figures.ts';
import { isClean } from '../src/chaos/report-text.ts';
import { SOAK_FIGURES, type SoakSample, trendsOf } from '../src/chaos/soak-figures.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import { BenchProcess, serveDuties } from './bench-process.ts';
import { chaosDuties, runChaos } from './chaos-run.ts';
import type { ChaosWorld } from './chaos-world.ts';
import { runRoot } from './main.ts';

const USAGE = 'npm run soak -- [--legs 100] [--minutes 30] [--seed N] [--keep]';
const EVERY_MS = 5_000;
/** The load grows, code is compiled, pools fill. */
const WARM_UP_MS = 60_000;
/** Ports rest, pooled connections go, the outbox empties. */
const COOL_DOWN_MS = 75_000;
const PRINT_EVERY_MS = 60_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const start = (name: string): BenchProcess => BenchProcess.start(fileURLToPath(import.meta.url), name);

function readArguments(): {
  readonly legs: number;
  readonly minutes: number;
  readonly seed: number;
  readonly keep: boolean;
} {
  try {
    const { values } = parseArgs({
      options: {
        legs: { type: 'string', default: '100' },
        minutes: { type: 'string', default: '30' },
        seed: { type: 'string', default: String(randomInt(2 ** 32)) },
        keep: { type: 'boolean', default: false },
      },
    });
    const [legs, minutes, seed] = [Number(values.legs), Number(values.minutes), Number(values.seed)];
    if (!Number.isInteger(legs) || legs < 2 || legs % 2 === 1) {
      throw new Error('--legs: an even number from 2');
    }
    if (!(minutes > 0 && minutes <= 1_440)) throw new Error('--minutes: a number up to 1440');
    if (!Number.isInteger(seed) || seed < 0) throw new Error('--seed: a whole number');
    return { legs, minutes, seed, keep: values.keep };
  } catch (error) {
    throw new CallscribeError('USAGE', `${USAGE}\n${toError(error).message}`);
  }
}

async function sample(world: ChaosWorld, startMs: number): Promise<SoakSample> {
  const [system, text] = await Promise.all([processFigures(world.pidOf('intake')), world.metrics()]);
  const metric = (name: string): number =>
    text.split('\n').reduce((sum, line) => {
      const isIt = line.startsWith(`${name} `) || line.startsWith(`${name}{`);
      return isIt ? sum + Number(line.slice(line.lastIndexOf(' ') + 1)) : sum;
    }, 0);
  const figures = {
    ...system,
    heapMb: Math.round(metric('callscribe_process_heap_bytes') / 1_048_576),
    timers: metric('callscribe_process_timers'),
    portPairs: metric('callscribe_rtp_port_pairs_taken'),
    legs: metric('callscribe_legs'),
    outboxFacts: metric('callscribe_outbox_unsettled'),
  };
  return { atMs: performance.now() - startMs, figures };
}

const lineOf = ({ atMs, figures }: SoakSample): string =>
  `${(atMs / 60_000).toFixed(1).padStart(6)} min  ${SOAK_FIGURES.map((name) => `${name} ${figures[name]}`).join('  ')}`;

/** Looks every five seconds until it is stopped. */
class Watch {
  readonly samples: SoakSample[] = [];
  readonly #over = new AbortController();
  readonly #done: Promise<void>;

  constructor(world: ChaosWorld, startMs: number) {
    this.#done = this.#run(world, startMs);
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#done;
  }

  async #run(world: ChaosWorld, startMs: number): Promise<void> {
    const { signal } = this.#over;
    let printedMs = -Infinity;
    while (!signal.aborted) {
      const found = await sample(world, startMs);
      this.samples.push(found);
      if (found.atMs - printedMs >= PRINT_EVERY_MS) {
        printedMs = found.atMs;
        print(lineOf(found));
      }
      await delay(EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

await runRoot(async () => {
  if (process.send !== undefined && process.argv[2] === 'child') {
    serveDuties(chaosDuties);
    return;
  }
  const { legs, minutes, seed, keep } = readArguments();
  const stopping = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stopping.abort(new Error(`stopped by ${signal}`));
    });
  }
  print(`${legs} legs for ${minutes} minutes, seed ${seed}`);
  const startMs = performance.now();
  let before: SoakSample | undefined;
  let after: SoakSample | undefined;
  let watch: Watch | undefined;
  const report = await runChaos({
    ...{ legs, seed, keep, print, start, signal: stopping.signal },
    ...{ kind: 'none', queue: 'redis', sentences: Infinity, sentencesPerLeg: 8, pace: 1, minutes },
    onOpened: async (world) => {
      before = await sample(world, startMs);
      print(lineOf(before));
      watch = new Watch(world, startMs);
    },
    onSpoken: async () => {
      await watch?.stop();
    },
    onSettled: async (world) => {
      print('· all calls have ended; what is left');
      await delay(COOL_DOWN_MS, undefined, { signal: stopping.signal });
      after = await sample(world, startMs);
      print(lineOf(after));
    },
  });
  if (before === undefined || after === undefined || watch === undefined) {
    throw new Error('unreachable: it has run');
  }
  const steady = watch.samples.filter(
    ({ atMs }) => atMs - before!.atMs >= Math.min(WARM_UP_MS, minutes * 20_000),
  );
  const trends = trendsOf(steady, before, after);
  for (const example of report.examples) print(`  ${example}`);
  for (const name of SOAK_FIGURES) {
    const { before: idle, first, last, max, after: left, verdict } = trends[name];
    print(
      `${name.padEnd(12)} ${verdict.padEnd(5)}  before ${idle}, first third ${first}, last third ${last}, max ${max}, after ${left}`,
    );
  }
  const flat = SOAK_FIGURES.every((name) => trends[name].verdict === 'flat');
  const { examples: _, ...counts } = report;
  print(JSON.stringify({ flat, clean: isClean(report), legs, minutes, trends, report: counts }));
  if (!flat || !isClean(report)) process.exitCode = 1;
});
