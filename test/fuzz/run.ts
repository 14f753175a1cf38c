import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { seededRandom } from '../../src/seeded-random.ts';
import { placeCalls, type PlannedLeg } from '../support/place-calls.ts';
import { sampleSlices } from '../support/sample-slices.ts';
import { FuzzedService } from './fuzzed-service.ts';
import { RtpFlood } from './rtp-flood.ts';
import type { Snapshot, StoredSpeech } from './service-messages.ts';
import { SipFlood } from './sip-flood.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly sipMessages: number;
  readonly rtpPackets: number;
  readonly sipPerSecond: number;
  readonly rtpPerSecond: number;
  /** Sentences of each leg of the ten calls. */
  readonly sentences: number;
  /** T1 of the service; what is never acknowledged is waited for 64 times as long. */
  readonly sipT1Ms: number;
  /** Enough for the calls that the storm opens, with those whose ports rest. */
  readonly rtpPorts: { readonly first: number; readonly last: number };
  /** A database for the run; without one, the service starts its own. */
  readonly databaseUrl?: string;
  readonly onProgress: (line: string) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly sip: Readonly<Record<string, number>>;
  readonly statuses: Readonly<Record<string, number>>;
  readonly rtpPackets: number;
  readonly seconds: number;
  /** Calls that were placed meanwhile, and those of them whose text or times were others than in the quiet. */
  readonly calls: number;
  readonly changedCalls: readonly string[];
  readonly heapGrowthBytes: number;
  readonly before: Pick<Snapshot, 'heapBytes' | 'rssBytes' | 'handles'>;
  readonly after: Pick<Snapshot, 'heapBytes' | 'rssBytes' | 'handles'>;
  /** Legs, calls, transactions and jobs that were left. */
  readonly left: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  readonly lines: readonly string[];
  readonly failures: readonly string[];
}

const CALLS = 10;
const NO_PROGRESS_MAX_MS = 60_000;
const GAUGES = [
  'callscribe_calls',
  'callscribe_legs',
  'callscribe_sip_transactions',
  'callscribe_outbox_unsettled',
  'callscribe_rtp_port_pairs_taken',
];

/** The legs of ten calls, no two of which say the same in the same order. */
async function planCalls(sentences: number): Promise<PlannedLeg[][]> {
  const parties = ['agent', 'customer'] as const;
  const slices = await Promise.all(parties.map((party) => sampleSlices(party)));
  return Array.from({ length: CALLS }, (_, callNo) =>
    slices.map((ofParty, legNo): PlannedLeg => {
      const chosen = Array.from(
        { length: sentences },
        (_unused, no) => ofParty[(callNo + no) % ofParty.length]!,
      );
      return {
        codec: chosen[0]!.codec,
        codesBase64: Buffer.concat(chosen.map(({ codes }) => codes)).toString('base64'),
        label: String(legNo + 1),
      };
    }),
  );
}

/** Places the ten calls, and resolves with their Call-IDs when all have ended. */
async function placeTen(service: FuzzedService, legs: readonly PlannedLeg[][]): Promise<readonly string[]> {
  const { host, port } = service.sip.udp;
  const { calls } = await placeCalls({
    target: `sip:${host}:${port}`,
    transport: 'udp',
    calls: legs.map((ofCall, callNo) => ({ mode: 'siprec', seed: 1_000 + callNo, legs: ofCall })),
  });
  return calls.map(({ report }) => report.callId);
}

/** What was stored of calls; to be asked when nothing is on its way any more. */
async function storedOf(
  service: FuzzedService,
  ids: readonly string[],
): Promise<readonly (StoredSpeech | undefined)[]> {
  const speech = await service.speech(ids);
  return ids.map((id) => speech[id]);
}

/**
 * Waits until nothing is left, and returns what is. Rows that are written later than they are wanted are no leak: as long
 * as fewer and fewer wait, they have time.
 */
async function settle(
  service: FuzzedService,
  boundMs: number,
  onProgress: FuzzOptions['onProgress'],
): Promise<Record<string, number>> {
  let deadlineMs = performance.now() + boundMs;
  let [fewest, reportedMs] = [Infinity, performance.now()];
  for (;;) {
    const left: Record<string, number> = {};
    for (const name of GAUGES) left[name] = await service.metric(name);
    const nowMs = performance.now();
    const isQuiet = Object.values(left).every((value) => value === 0);
    if (isQuiet || nowMs > deadlineMs) return left;
    const waiting = left['callscribe_outbox_unsettled'] ?? 0;
    if (waiting < fewest) {
      fewest = waiting;
      deadlineMs = Math.max(deadlineMs, nowMs + NO_PROGRESS_MAX_MS);
    }
    if (nowMs - reportedMs > 10_000) {
      reportedMs = nowMs;
      onProgress(`${waiting} facts on their way to their rows`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Sends so many of each, evenly, and no faster than was asked. */
async function flood(
  service: FuzzedService,
  options: FuzzOptions,
  amount: { readonly sip: number; readonly rtp: number },
  seed: number,
): Promise<{ sip: SipFlood; rtp: RtpFlood }> {
  const random = seededRandom(seed);
  const rtp = await RtpFlood.open(random);
  const sip = await SipFlood.open({ random, server: service.sip, rtpPort: rtp.port });
  const beganMs = performance.now();
  let [sipSent, rtpSent, reportedMs] = [0, 0, beganMs];
  while (sipSent < amount.sip || rtpSent < amount.rtp) {
    const seconds = (performance.now() - beganMs) / 1_000;
    // A process that was held up does not make up for it in one blow, which would only fill the kernel's buffers.
    const sipDue = Math.min(amount.sip, seconds * options.sipPerSecond, sipSent + 50);
    const rtpDue = Math.min(amount.rtp, seconds * options.rtpPerSecond, rtpSent + 300);
    for (; sipSent < sipDue; sipSent += 1) sip.send();
    const ports = sip.anchors.map(({ mediaPort }) => mediaPort).filter((port) => port > 0);
    for (; rtpSent < rtpDue; rtpSent += 1) rtp.send(ports, options.rtpPorts);
    await new Promise((resolve) => setTimeout(resolve, 4));
    await sip.keepPace();
    if (!service.isAlive) {
      throw new Error(`the service ended after ${sipSent} SIP messages and ${rtpSent} packets`);
    }
    if (performance.now() - reportedMs > 10_000) {
      reportedMs = performance.now();
      options.onProgress(`${sipSent} of ${amount.sip} SIP messages, ${rtpSent} of ${amount.rtp} packets`);
    }
  }
  await sip.end();
  return { sip, rtp };
}

/** Fuzzes a whole service while ten calls run, and compares them with ten calls in the quiet. */
export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const { onProgress, seed } = options;
  const dataDir = await mkdtemp(join(tmpdir(), 'callscribe-fuzz-'));
  // Before the service: it goes after it.
  await using _ = { [Symbol.asyncDispose]: () => rm(dataDir, { recursive: true, force: true }) };
  await using service = await FuzzedService.start({
    SIP_LISTEN: 'udp:127.0.0.1:0,tcp:127.0.0.1:0',
    HTTP_LISTEN: '127.0.0.1:0',
    RTP_ADDRESS: '127.0.0.1',
    RTP_PORTS: `${options.rtpPorts.first}-${options.rtpPorts.last}`,
    // A dialog that the storm mutated beyond its own recognition is asked for, and ends.
    SIP_QUIET_SECONDS: '15',
    MAX_LEGS: '2000',
    MAX_CALLS_PER_SECOND: '10000',
    // Plain calls are read to the last header, and then refused: what is opened are recordings.
    SIP_DIGEST_USERS: 'fuzz:fuzz',
    // What an account is granted is not tried here: a storm that is taken for calls uses it up, as many calls would.
    ASR_STARTS_PER_SECOND: '500',
    DATA_DIR: dataDir,
    DRAIN_SECONDS: '1',
    FUZZ_SIP_T1_MS: String(options.sipT1Ms),
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
  });
  const legs = await planCalls(options.sentences);
  const settleMs = 128 * options.sipT1Ms + 60_000;
  onProgress('ten calls in the quiet, and a first breeze');
  const quietIds = await placeTen(service, legs);
  const breeze = await flood(
    service,
    options,
    { sip: options.sipMessages / 20, rtp: options.rtpPackets / 20 },
    seed + 1,
  );
  await settle(service, settleMs, onProgress);
  const quiet = await storedOf(service, quietIds);
  if (quiet.some((speech) => speech?.state !== 'complete' || speech.sentences.length === 0)) {
    throw new Error('calls in the quiet were not recognised: there is nothing to compare with');
  }
  const before = await service.snapshot({ collect: true });

  onProgress('ten calls in the storm');
  const beganMs = performance.now();
  const storm = flood(service, options, { sip: options.sipMessages, rtp: options.rtpPackets }, seed);
  const rounds: (readonly string[])[] = [];
  let isOver = false;
  const over = storm.finally(() => (isOver = true));
  over.catch(() => undefined);
  while (!isOver) {
    rounds.push(await placeTen(service, legs));
    onProgress(`${CALLS * rounds.length} calls`);
  }
  const { sip, rtp } = await storm;
  const seconds = Math.round((performance.now() - beganMs) / 1_000);
  onProgress('quiet again: waiting for what is still going on');
  const left = await settle(service, settleMs, onProgress);
  const changed: string[] = [];
  for (const ids of rounds) {
    for (const [callNo, speech] of (await storedOf(service, ids)).entries()) {
      const [found = '', wanted = ''] = [speech, quiet[callNo]].map((of) => JSON.stringify(of?.sentences));
      if (found !== wanted || speech?.state !== 'complete') {
        changed.push(`call ${callNo}, ${speech?.state ?? 'not stored'}: ${found} instead of ${wanted}`);
      }
    }
  }
  onProgress(`${CALLS * rounds.length} calls, ${changed.length} of them changed`);
  const after = await service.snapshot({ collect: true });
  await Promise.all([sip.close(), rtp.close(), breeze.sip.close(), breeze.rtp.close()]);
  const short = ({ heapBytes, rssBytes, handles }: Snapshot): FuzzReport['before'] => ({
    heapBytes,
    rssBytes,
    handles,
  });
  return {
    seed,
    sip: sip.sent,
    statuses: sip.statuses,
    rtpPackets: rtp.sent,
    seconds,
    calls: CALLS * rounds.length,
    changedCalls: changed,
    heapGrowthBytes: after.heapBytes - before.heapBytes,
    before: short(before),
    after: short(after),
    left,
    errors: after.errors,
    lines: after.lines,
    failures: after.failures,
  };
}

export const SHORT_FORM = {
  seed: 4_475,
  sipMessages: 2_000,
  rtpPackets: 10_000,
  sipPerSecond: 400,
  rtpPerSecond: 2_000,
  sentences: 1,
  sipT1Ms: 50,
  // Far from where the system takes ports of its own.
  rtpPorts: { first: 12_000, last: 15_999 },
} as const;

export const LONG_FORM = {
  seed: 4_475,
  sipMessages: 200_000,
  rtpPackets: 1_000_000,
  // Three quarters of what two cores take: beyond, packets of the ten calls come later than any jitter buffer waits.
  sipPerSecond: 300,
  rtpPerSecond: 1_500,
  sentences: 4,
  sipT1Ms: 100,
  rtpPorts: { first: 12_000, last: 31_999 },
} as const;

/** What the heap may have grown by: compiled code and caches that the storm alone fills. */
export const HEAP_GROWTH_MAX_BYTES = 16 * 1_048_576;

/** A leg of the storm that claims minutes of audio in seconds loses its recogniser, and only that leg. */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set([
  'error: recognition failed',
  'error: a call has audio that is not recognised: it is kept for npm run recognise',
]);

/** What is wrong with a run; nothing where all is as it should be. */
export function findFaults(report: FuzzReport): string[] {
  const faults = [...report.changedCalls, ...report.failures.map((failure) => `nobody caught: ${failure}`)];
  for (const [name, value] of Object.entries(report.left)) {
    if (value !== 0) faults.push(`${name} is ${value}`);
  }
  if (report.heapGrowthBytes > HEAP_GROWTH_MAX_BYTES) {
    faults.push(`the heap grew by ${report.heapGrowthBytes} bytes`);
  }
  const sockets = (of: FuzzReport['before']): number => of.handles['UDPWrap'] ?? 0;
  if (sockets(report.after) > sockets(report.before)) {
    faults.push(`${sockets(report.after)} UDP sockets, ${sockets(report.before)} before`);
  }
  for (const [line, count] of Object.entries(report.errors)) {
    if (line.startsWith('error: ') && !EXPECTED_ERRORS.has(line)) faults.push(`${count} times ${line}`);
  }
  return faults;
}
