import type { HeardPacket, HeardPackets } from './heard.ts';

/** What came back on a leg, as its packets tell. */
export interface HeardFigures {
  readonly packets: number;
  readonly lost: number;
  /** Behind one with a higher sequence number, copies as well. */
  readonly outOfOrder: number;
  readonly unreadable: number;
  readonly foreign: number;
  readonly ssrcs: number;
  /** Packets with the marker bit. */
  readonly talkspurts: number;
  /** Packets whose timestamp is not where the one before ends, though none between them is missing. */
  readonly leaps: number;
  /** From the first packet's arrival to the last one's. */
  readonly durationMs: number;
  /** Undefined under two packets. */
  readonly clock: ClockFigures | undefined;
}

/** How the arrivals lie against the RTP clock: how far each is from the median of all. */
export interface ClockFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** How far the medians of 5 s each lie apart: what a steady sender's clock wanders, without the network's jitter. */
  readonly driftMs: number;
  /** Slope of these medians: millionths that the sender's clock is slower than ours. */
  readonly driftPpm: number;
}

const CODES_PER_MS = 8;
const WINDOW_MS = 5_000;

/** Of the SSRC with the most packets, where there are several. */
export function heardFigures({ packets: all, unreadable, foreign }: HeardPackets): HeardFigures {
  const bySsrc = groupedBy(all, ({ ssrc }) => ssrc);
  const [packets = []] = [...bySsrc.values()].sort((a, b) => b.length - a.length);
  const [first, last] = [packets[0], packets.at(-1)];
  return {
    packets: packets.length,
    ...sequenceFigures(packets),
    unreadable,
    foreign,
    ssrcs: bySsrc.size,
    talkspurts: packets.filter(({ marker }) => marker).length,
    durationMs: first === undefined || last === undefined ? 0 : rounded(last.arrivalMs - first.arrivalMs),
    clock: packets.length < 2 ? undefined : clockFigures(packets),
  };
}

function sequenceFigures(
  packets: readonly HeardPacket[],
): Pick<HeardFigures, 'lost' | 'outOfOrder' | 'leaps'> {
  let [outOfOrder, leaps] = [0, 0];
  let before: { readonly packet: HeardPacket; readonly index: number } | undefined;
  const indices = new Set<number>();
  for (const packet of packets) {
    const ahead =
      before === undefined ? 1 : ((packet.sequenceNumber - before.packet.sequenceNumber) << 16) >> 16;
    const index = (before?.index ?? 0) + ahead;
    indices.add(index);
    if (ahead <= 0) {
      outOfOrder += 1;
      continue;
    }
    const stepCodes = before === undefined ? 0 : (packet.timestamp - before.packet.timestamp) | 0;
    if (before !== undefined && ahead === 1 && stepCodes !== before.packet.codes.length) leaps += 1;
    before = { packet, index };
  }
  const sorted = [...indices].sort((a, b) => a - b);
  const span = sorted.length === 0 ? 0 : sorted.at(-1)! - sorted[0]! + 1;
  return { lost: span - sorted.length, outOfOrder, leaps };
}

function clockFigures(packets: readonly HeardPacket[]): ClockFigures {
  const [first] = packets;
  const lags = packets.map(({ arrivalMs, timestamp }) => ({
    atMs: arrivalMs - first!.arrivalMs,
    lagMs: arrivalMs - first!.arrivalMs - ((timestamp - first!.timestamp) | 0) / CODES_PER_MS,
  }));
  const middle = quantile(
    lags.map(({ lagMs }) => lagMs),
    0.5,
  );
  const deviations = lags.map(({ lagMs }) => Math.abs(lagMs - middle));
  const windows = [...groupedBy(lags, ({ atMs }) => Math.floor(atMs / WINDOW_MS)).values()].map((lagsOf) => ({
    atMs: quantile(
      lagsOf.map(({ atMs }) => atMs),
      0.5,
    ),
    lagMs: quantile(
      lagsOf.map(({ lagMs }) => lagMs),
      0.5,
    ),
  }));
  const medians = windows.map(({ lagMs }) => lagMs);
  return {
    p50Ms: rounded(quantile(deviations, 0.5)),
    p99Ms: rounded(quantile(deviations, 0.99)),
    maxMs: rounded(quantile(deviations, 1)),
    driftMs: rounded(quantile(medians, 1) - quantile(medians, 0)),
    driftPpm: rounded(slope(windows) * 1_000_000),
  };
}

/** Least squares; 0 for a single point. */
function slope(points: readonly { readonly atMs: number; readonly lagMs: number }[]): number {
  const mean = (of: (point: (typeof points)[number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [atMs, lagMs] = [mean((point) => point.atMs), mean((point) => point.lagMs)];
  const spread = mean((point) => (point.atMs - atMs) ** 2);
  return spread === 0 ? 0 : mean((point) => (point.atMs - atMs) * (point.lagMs - lagMs)) / spread;
}

function groupedBy<T>(items: readonly T[], keyOf: (item: T) => number): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Nearest rank. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
