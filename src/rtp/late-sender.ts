import type { RtpPacket } from './packet.ts';
import { timestampDelta } from './sequence.ts';

const TICKS_PER_MS = 8;
/** Longer than this nobody goes on sending to a call that is over; then a likeness is chance. */
const REMEMBERED_MS = 600_000;
/** By how much a sender's clock and the way of its packets may be off meanwhile. */
const TOLERANCE_MS = 5_000;

/** The last source of a port's call before, as its last packet was. */
export interface LastSource {
  readonly address: string;
  readonly port: number;
  readonly ssrc: number;
  readonly timestamp: number;
  /** Monotonic. */
  readonly atMs: number;
}

/**
 * Whether a packet is the last call's sender, which did not notice the end and still sends to the port: the same
 * address and SSRC, and a timestamp that went on no further than time did. A device that always uses the same
 * SSRC begins its next call with another timestamp.
 */
export function isLateSender(last: LastSource, packet: RtpPacket, address: string, port: number): boolean {
  if (packet.ssrc !== last.ssrc || port !== last.port || address !== last.address) return false;
  const passedMs = packet.arrivalMs - last.atMs;
  if (passedMs > REMEMBERED_MS) return false;
  const aheadMs = timestampDelta(packet.timestamp, last.timestamp) / TICKS_PER_MS;
  return aheadMs >= -TOLERANCE_MS && aheadMs <= passedMs + TOLERANCE_MS;
}
