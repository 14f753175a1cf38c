import { seededRandom } from '../seeded-random.ts';
import { type Impairments, type PacketPlan, planPackets, REORDER_MAX_PACKETS } from './impairment-plan.ts';
import type { LegSource } from './leg-source.ts';
import { packetCount, type RtpStart } from './rtp-packets.ts';

export interface CallPlanOptions {
  readonly legs: readonly Pick<LegSource, 'codes'>[];
  readonly ptimeMs: number;
  readonly impairments: Impairments;
  readonly seed: number;
}

/** What one leg will send, known before the call is placed. */
export interface LegPlan {
  readonly start: RtpStart;
  readonly plan: PacketPlan;
}

/** What a receiver may be expected to wait for a packet, whatever the packet time. */
const REORDER_MAX_MS = 60;

/** Draws the plan of every leg of a call; the seed alone decides it. */
export function planCall({ legs, ptimeMs, impairments, seed }: CallPlanOptions): LegPlan[] {
  const random = seededRandom(seed);
  const draw = (below: number): number => Math.floor(random() * below);
  const windowPackets = Math.max(1, Math.floor(REORDER_MAX_MS / ptimeMs));
  const reorderMaxPackets = Math.min(impairments.reorderMaxPackets ?? REORDER_MAX_PACKETS, windowPackets);
  return legs.map(({ codes }) => ({
    start: { ssrc: draw(2 ** 32), sequenceNumber: draw(2 ** 16), rtpTimestamp: draw(2 ** 32) },
    plan: planPackets(packetCount(codes, ptimeMs), { ...impairments, reorderMaxPackets }, draw(2 ** 32)),
  }));
}
