/** A key that is pressed while a leg's audio runs. */
export interface KeyPress {
  /** Since the leg's first packet. */
  readonly atMs: number;
  /** One of {@link KEYS}. */
  readonly key: string;
}

/** What one packet of an event says (RFC 4733 §2.3). */
export interface KeyPacket {
  readonly code: number;
  /** The packet time in which the key was pressed: its timestamp is that of all packets of the event. */
  readonly beginPacketNo: number;
  readonly durationCodes: number;
  readonly isEnd: boolean;
}

/** By their event codes (RFC 4733 §3.2). */
export const KEYS = '0123456789*#ABCD';

const PRESSED_MS = 100;
const CODES_PER_MS = 8;
/** §2.5.1.4: the end is sent three times in all. */
const END_COPIES = 2;

/** How long a key takes to its last packet. */
export const keyMs = (ptimeMs: number): number =>
  packetsOf(PRESSED_MS, ptimeMs) * ptimeMs + END_COPIES * ptimeMs;

/** Which packets are an event's in place of audio, by their numbers. A key waits for the end of the one before. */
export function planKeys(presses: readonly KeyPress[], ptimeMs: number): ReadonlyMap<number, KeyPacket> {
  const plan = new Map<number, KeyPacket>();
  const pressedPackets = packetsOf(PRESSED_MS, ptimeMs);
  let freePacketNo = 0;
  for (const { atMs, key } of [...presses].sort((a, b) => a.atMs - b.atMs)) {
    const beginPacketNo = Math.max(freePacketNo, Math.round(atMs / ptimeMs));
    for (let i = 0; i < pressedPackets + END_COPIES; i++) {
      const packets = Math.min(i + 1, pressedPackets);
      plan.set(beginPacketNo + i, {
        code: KEYS.indexOf(key),
        beginPacketNo,
        durationCodes: packets * ptimeMs * CODES_PER_MS,
        isEnd: packets === pressedPackets,
      });
    }
    // A packet of audio between two keys, so that they are two.
    freePacketNo = beginPacketNo + pressedPackets + END_COPIES + 1;
  }
  return plan;
}

const packetsOf = (ms: number, ptimeMs: number): number => Math.ceil(ms / ptimeMs);
