import { seededRandom } from '../seeded-random.ts';

/** Which of a leg's packets are lost, come late or come twice. Rates from 0 to 1, of all packets. */
export interface Impairments {
  readonly lossRate: number;
  readonly reorderRate: number;
  readonly duplicateRate: number;
  /** How many packet times late a reordered packet may be. Default: {@link REORDER_MAX_PACKETS}. */
  readonly reorderMaxPackets?: number;
}

export const NO_IMPAIRMENTS: Impairments = { lossRate: 0, reorderRate: 0, duplicateRate: 0 };

/** 60 ms at the usual 20 ms, which every jitter buffer waits for. */
export const REORDER_MAX_PACKETS = 3;

/** Everything that a leg's sender will do, decided before the first packet leaves. */
export interface PacketPlan {
  /** Packets that the audio makes; `sends` differs from it by the losses and the duplicates. */
  readonly packets: number;
  /** By packet time: the numbers of the packets that leave then, in that order. */
  readonly sends: readonly (readonly number[])[];
  readonly lost: ReadonlySet<number>;
  readonly reordered: readonly number[];
  readonly duplicated: readonly number[];
}

/**
 * Scatters losses, late packets and duplicates over a leg. The counts are the rates times `packets`, rounded, and
 * fewer only where they do not fit. A receiver that counts can find every one of them again:
 *
 * - the first and the last packet are on time and once, so that sequence numbers show every loss;
 * - a packet suffers one fault at most;
 * - the packet after a reordered one is on time, so that the reordered one is overtaken.
 */
export function planPackets(packets: number, impairments: Impairments, seed: number): PacketPlan {
  const random = seededRandom(seed);
  const { reorderMaxPackets = REORDER_MAX_PACKETS } = impairments;
  const candidates = shuffled(
    Array.from({ length: Math.max(0, packets - 2) }, (_, index) => index + 1),
    random,
  );
  const faulty = new Set<number>();
  const mustBeOnTime = new Set<number>();
  const pick = (rate: number, fits: (packetNo: number) => boolean): number[] => {
    const picked: number[] = [];
    const wanted = Math.round(rate * packets);
    for (const packetNo of candidates) {
      if (picked.length >= wanted) break;
      if (faulty.has(packetNo) || mustBeOnTime.has(packetNo) || !fits(packetNo)) continue;
      faulty.add(packetNo);
      picked.push(packetNo);
    }
    return picked.sort((a, b) => a - b);
  };

  const reordered = pick(impairments.reorderRate, (packetNo) => {
    if (faulty.has(packetNo + 1)) return false;
    mustBeOnTime.add(packetNo + 1);
    return true;
  });
  const lost = pick(impairments.lossRate, () => true);
  const duplicated = pick(impairments.duplicateRate, () => true);

  const absent = new Set(lost);
  const late = new Set(reordered);
  const sends = Array.from({ length: packets }, (_, packetNo): number[] =>
    absent.has(packetNo) || late.has(packetNo) ? [] : [packetNo],
  );
  for (const packetNo of reordered) {
    const delayPackets = 1 + Math.floor(random() * reorderMaxPackets);
    sends[Math.min(packetNo + delayPackets, packets - 1)]!.push(packetNo);
  }
  for (const packetNo of duplicated) sends[packetNo]!.push(packetNo);
  return { packets, sends, lost: absent, reordered, duplicated };
}

/** Fisher and Yates. */
function shuffled(values: number[], random: () => number): number[] {
  for (let index = values.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [values[index], values[other]] = [values[other]!, values[index]!];
  }
  return values;
}
