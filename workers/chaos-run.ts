import { setTimeout as delay } from 'node:timers/promises';

import type { ChaosOptions } from '../src/chaos/command-line.ts';
import { type ChaosKind, turnOf } from '../src/chaos/kinds.ts';
import { ChaosLoad, type ChaosLoadOrder, type LoadProgress, type PlacedCall } from '../src/chaos/load.ts';
import type { ChaosReport } from '../src/chaos/report-text.ts';
import { HEARD_MARGIN_MS, type HeardLeg, judge, type StoredLine } from '../src/chaos/verdict.ts';
import { systemClock } from '../src/clock.ts';
import { silentLogger } from '../src/log.ts';
import { captionsRecogniser } from '../src/sandbox/captions-recogniser.ts';
import type { TaskFaults } from '../src/sandbox/faults.ts';
import { startSandbox } from '../src/sandbox/server.ts';
import { seededRandom } from '../src/seeded-random.ts';
import { findCallsByIdentifier } from '../src/store/find-calls-by-identifier.ts';
import { loadCall } from '../src/store/load-call.ts';
import { loadEvents } from '../src/store/load-events.ts';
import { loadLegs } from '../src/store/load-legs.ts';
import { loadTranscript } from '../src/store/load-transcript.ts';
import type { StoredCall } from '../src/store/stored.ts';
import type { BenchProcess, Duties } from './bench-process.ts';
import { ChaosWorld } from './chaos-world.ts';

const POLL_MS = 500;
const PACKET_MS = 20;
/** What the last words, the jobs and the rows may take after the last call. */
const SETTLE_MAX_MS = 90_000;
/** A run that does not get on is ended. */
const RUN_MAX_MS = 600_000;
/** An answer that came so shortly after a kill was given before it. */
const ANSWER_TRAVEL_MS = 300;

export interface ChaosRunOptions extends Omit<ChaosOptions, 'kinds'> {
  readonly kind: ChaosKind;
  /** How long calls are placed, whatever is said in them. Default: until enough was said. */
  readonly minutes?: number;
  /** Before the first call; when the last one has ended; when all rows are there. */
  readonly onOpened?: (world: ChaosWorld) => Promise<void>;
  readonly onSpoken?: (world: ChaosWorld) => Promise<void>;
  readonly onSettled?: (world: ChaosWorld) => Promise<void>;
  readonly start: (name: string) => BenchProcess;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Runs one kind from the first process to the last row. */
export async function runChaos(options: ChaosRunOptions): Promise<ChaosReport> {
  const { kind, queue, seed, keep, print } = options;
  await using world = await ChaosWorld.open({
    kind,
    queue,
    seed,
    keep,
    start: options.start,
    onStep: (step) => {
      print(`· ${step}`);
    },
  });
  await options.onOpened?.(world);
  const startMs = performance.now();
  const { placed, harms, senderLateMs } = await speak(world, options);
  const spokenMs = performance.now();
  await options.onSpoken?.(world);
  print(`· ${placed.length} calls have ended; waiting for their last rows`);
  const answered = placed.filter(isAnswered);
  const calls = await settle(world, answered, options.signal);
  const settledMs = performance.now() - spokenMs;
  await options.onSettled?.(world);
  const told = readTold(await world.metrics());
  const stored = await readBack(world, answered, calls);
  await world.end();
  if (keep) print(`· data and logs are in ${world.directory}`);
  const states = answered.map(({ report }) => calls.get(report.callId));
  const count = (is: (call: StoredCall | undefined) => boolean): number => states.filter(is).length;
  for (const { report } of answered) {
    const state = calls.get(report.callId)?.state ?? 'not stored';
    if (state !== 'complete') {
      print(`  ${state}: ${report.callId}, BYE ${JSON.stringify(report.bye ?? 'not sent')}`);
    }
  }
  const heard = answered
    .flatMap((call) => heardLegs(call, world.intakeKilledAtMs))
    .map((leg) => ({ ...leg, lateMs: stored.lateMs.get(leg.key) ?? 0 }));
  return {
    kind,
    seed,
    queue,
    ...judge(heard, stored.lines),
    harms,
    calls: {
      answered: answered.length,
      complete: count((call) => call?.state === 'complete'),
      failed: count((call) => call?.state === 'failed'),
      recovered: count((call) => call?.endReason === 'recovered'),
      endedByPeer: answered.filter(({ report }) => report.outcome.kind === 'ended-by-peer').length,
      unstored: count((call) => call === undefined),
      open: count((call) => call?.state === 'active' || call?.state === 'finishing'),
      byesLost: answered.filter(({ report }) => isLost(report.bye)).length,
      refused: placed.length - answered.length,
    },
    senderLateMs,
    packetsLost: stored.packetsLost,
    events: stored.events,
    seconds: Math.round((performance.now() - startMs) / 1_000),
    settledMs: Math.round(settledMs),
    crashes: world.crashes,
    told,
  };
}

/** Keeps calls up and does harm, until enough was said. */
async function speak(
  world: ChaosWorld,
  options: ChaosRunOptions,
): Promise<{
  readonly placed: readonly PlacedCall[];
  readonly harms: number;
  readonly senderLateMs: number;
}> {
  const { kind, sentences, sentencesPerLeg, legs, seed, pace, print, signal } = options;
  using callers = options.start('caller');
  const order: ChaosLoadOrder = {
    target: world.target,
    seed,
    firstCallNo: 1,
    callsAtATime: legs / 2,
    sentencesPerLeg,
    rampMs: 3_000,
  };
  const over = new AbortController();
  await callers.ask('load', order);
  const harm = harms(kind, world, { seed, pace, signal: over.signal });
  const placed: PlacedCall[] = [];
  let senderLateMs: number;
  const isKill = kind === 'kill-intake';
  const { minutes } = options;
  const deadlineMs = performance.now() + (minutes === undefined ? RUN_MAX_MS : minutes * 60_000);
  try {
    for (;;) {
      await Promise.race([delay(POLL_MS, undefined, { signal }), harm.failed]);
      const { ended, underway } = await callers.ask<LoadProgress>('load.progress');
      placed.push(...ended);
      const heard = heardSentences(placed, world.intakeKilledAtMs);
      // Those that are up will be heard to their end, unless the intake is killed.
      const coming = isKill ? 0 : underway * 2 * sentencesPerLeg;
      if (heard + coming >= sentences) break;
      if (performance.now() > deadlineMs) {
        if (minutes !== undefined) break;
        print(`· ${heard} of ${sentences} sentences after ${RUN_MAX_MS / 1_000} s: given up`);
        break;
      }
    }
    if (isKill) over.abort();
    const last = await callers.ask<LoadProgress>('load.stop');
    placed.push(...last.ended);
    senderLateMs = last.worstLateMs;
  } finally {
    over.abort();
    await harm.done;
  }
  return { placed, senderLateMs, harms: kind === 'sockets' ? await world.socketsCut() : harm.count() };
}

/** Does the harm of its kind, turn after turn, until it is told to stop; what was begun is mended. */
function harms(
  kind: ChaosKind,
  world: ChaosWorld,
  { seed, pace, signal }: { readonly seed: number; readonly pace: number; readonly signal: AbortSignal },
): { readonly done: Promise<void>; readonly failed: Promise<never>; count(): number } {
  const turn = turnOf(kind);
  const random = seededRandom(seed + 1);
  let count = 0;
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => undefined);
  const run = async (): Promise<void> => {
    while (turn !== undefined && !signal.aborted) {
      await turn({
        redis: world.redis,
        restartPostgres: (how) => world.restartPostgres(how),
        killSentences: () => world.killAndRestart('sentences'),
        killIntake: () => world.killAndRestart('intake'),
        disk: {
          fill: () => world.disk.fill(),
          free: () => world.disk.free(),
        },
        random,
        pace,
        wait: (ms) => delay(ms, undefined, { signal }),
      });
      count += 1;
    }
  };
  const done = run().catch((error: unknown) => {
    if (!signal.aborted) fail(error);
  });
  return { done, failed, count: () => count };
}

const isLost = (bye: PlacedCall['report']['bye']): boolean =>
  bye !== undefined && !(bye.kind === 'answered' && bye.status === 200);

const isAnswered = ({ report }: PlacedCall): boolean =>
  report.outcome.kind === 'completed' || report.outcome.kind === 'ended-by-peer';

/** What was said on the legs of a call, and until when somebody can have listened. */
function heardLegs(call: PlacedCall, killedAtMs: readonly number[]): HeardLeg[] {
  const { spoken, report, answeredAtMs, endedAtMs } = call;
  const killedAt = killedAtMs.find(
    (at) => answeredAtMs !== undefined && at >= answeredAtMs - ANSWER_TRAVEL_MS && at <= endedAtMs,
  );
  return spoken.legs.map(({ sentences }, legNo) => {
    const sent = report.legs[legNo];
    const beganAt = sent?.kind === 'sent' ? sent.firstPacketAtMs : undefined;
    const key = keyOf(report.callId, legNo);
    if (killedAt === undefined) return { key, sentences };
    return { key, sentences, heardToMs: beganAt === undefined ? 0 : killedAt - beganAt };
  });
}

function heardSentences(placed: readonly PlacedCall[], killedAtMs: readonly number[]): number {
  const legs = placed.filter(isAnswered).flatMap((call) => heardLegs(call, killedAtMs));
  return legs.reduce(
    (sum, { sentences, heardToMs = Infinity }) =>
      sum + sentences.filter(({ endMs }) => endMs + HEARD_MARGIN_MS <= heardToMs).length,
    0,
  );
}

const keyOf = (sipCallId: string, legNo: number): string => `${sipCallId} ${legNo}`;

/** Waits until every answered call is complete or failed; what is not by then stays as it is. */
async function settle(
  world: ChaosWorld,
  answered: readonly PlacedCall[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, StoredCall>> {
  const calls = new Map<string, StoredCall>();
  const open = new Set(answered.map(({ report }) => report.callId));
  const deadlineMs = performance.now() + SETTLE_MAX_MS;
  while (open.size > 0 && performance.now() < deadlineMs) {
    for (const sipCallId of open) {
      const call = await findCall(world, sipCallId);
      if (call === undefined) continue;
      calls.set(sipCallId, call);
      if (call.state === 'complete' || call.state === 'failed') open.delete(sipCallId);
    }
    if (open.size > 0) await delay(POLL_MS, undefined, { signal });
  }
  return calls;
}

async function findCall({ pool }: ChaosWorld, sipCallId: string): Promise<StoredCall | undefined> {
  try {
    const [id] = await findCallsByIdentifier(pool, sipCallId);
    return id === undefined ? undefined : await loadCall(pool, id);
  } catch {
    // The database may be on its way back.
    return undefined;
  }
}

async function readBack(
  { pool }: ChaosWorld,
  answered: readonly PlacedCall[],
  calls: ReadonlyMap<string, StoredCall>,
): Promise<
  Pick<ChaosReport, 'events' | 'packetsLost'> & {
    readonly lines: readonly StoredLine[];
    /** By leg: audio that did not come in time. */
    readonly lateMs: ReadonlyMap<string, number>;
  }
> {
  const lines: StoredLine[] = [];
  const events: Record<string, number> = {};
  const lateMs = new Map<string, number>();
  let packetsLost = 0;
  for (const { report } of answered) {
    const call = calls.get(report.callId);
    if (call === undefined) continue;
    for (const { kind } of await loadEvents(pool, call.id)) events[kind] = (events[kind] ?? 0) + 1;
    for (const sentence of await loadTranscript(pool, call.id)) {
      lines.push({ ...sentence, key: keyOf(report.callId, sentence.legNo) });
    }
    for (const { media, legNo } of await loadLegs(pool, call.id)) {
      const figure = (name: string): number => Number(media?.[name] ?? 0);
      packetsLost += figure('packetsLost');
      // What came after its place on the leg's clock had been filled. Our callers never begin their timestamps anew: a leg
      // that seems to was late beyond all bounds.
      const late =
        PACKET_MS * figure('packetsLost') +
        figure('overlapMs') +
        (figure('timestampResets') > 0 ? figure('silenceMs') : 0);
      if (late > 0) lateMs.set(keyOf(report.callId, legNo), late);
    }
  }
  return { lines, packetsLost, events, lateMs };
}

/** Counters by which the service says what it could not do; those that are not 0. */
const TOLD =
  /^(callscribe_\w*(?:lost|refused|dropped|failed|failures|errors|unrecorded|unkept)\w*)(?:\{([^}]*)\})? (\S+)$/;

function readTold(metrics: string): Record<string, number> {
  return Object.fromEntries(
    metrics.split('\n').flatMap((line) => {
      const [, name = '', labels, value] = TOLD.exec(line) ?? [];
      if (name === '' || Number(value) === 0) return [];
      return [[labels === undefined ? name : `${name}{${labels}}`, Number(value)]];
    }),
  );
}

let load: ChaosLoad | undefined;
let cuts = (): number => 0;

/** What the processes of a run do: one is the recogniser, another one places the calls. */
export const chaosDuties: Duties = {
  sandbox: async ({ cut, seed }: { readonly cut: boolean; readonly seed: number }) => {
    const random = seededRandom(seed);
    const cutAtRandom = (): TaskFaults => ({
      timed: [
        {
          moment: { at: 'ms', ms: Math.round(2_000 + random() * 8_000) },
          action: { kind: 'close', closeCode: 'none', reason: '' },
        },
      ],
    });
    const sandbox = await startSandbox({
      host: '127.0.0.1',
      port: 0,
      recogniser: captionsRecogniser,
      logger: silentLogger,
      ...(cut ? { faults: cutAtRandom } : {}),
    });
    cuts = () => sandbox.counters.tasksStarted - sandbox.counters.tasksFinished - sandbox.live.tasks;
    return sandbox.url;
  },
  'sandbox.cuts': () => cuts(),
  load: async (order: ChaosLoadOrder) => {
    load = await ChaosLoad.start(order, systemClock);
  },
  'load.progress': () => load?.progress(),
  'load.stop': () => load?.stop(),
};
