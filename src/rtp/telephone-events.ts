import type { RtpPacket } from './packet.ts';
import { timestampDelta } from './sequence.ts';

const BLOCK_BYTES = 4;
/** Several events in one packet (RFC 4733 §2.5.1.4) are keys hit faster than packets leave; more is no keyboard. */
const BLOCKS_MAX = 8;
/** §2.5.1.3: a longer event goes on in another segment, whose timestamp is where this one ended. */
const SEGMENT_MAX_TICKS = 0xffff;
/** Updates come every 50 ms or faster (§2.5.1.2). After this long without one, all ends of the event were lost. */
const UPDATE_MAX_MS = 500;
/** A packet that lies back by less is a late copy of an event before; by more, the sender's clock began anew. */
const COPY_MAX_TICKS = 80_000;

/** One event, once: a key that was pressed, however many packets told of it. */
export interface TelephoneEvent {
  /** 0 to 255, RFC 4733 §3.2; 0 to 15 are the keys 0 to 9, *, #, A to D. */
  readonly code: number;
  /** Where on the leg's clock it began; undefined when the clock had not started yet. */
  readonly beginSample: number | undefined;
  /** How long it lasted as far as it was told, 8,000 ticks a second. */
  readonly durationTicks: number;
  /** `told` by an end packet, or `inferred`, when all of them were lost. */
  readonly end: 'told' | 'inferred';
}

/** What a packet was: of the event that is known already, of a new one, or too short to say. */
export type TelephoneEventVerdict = 'known' | 'new' | 'malformed';

/**
 * Reads the telephone-events of one source, RFC 4733 §2.3, in the order of their sequence numbers:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *     |     event     |E|R| volume    |          duration             |
 *     +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *
 * All packets of an event carry the timestamp of its begin, so the timestamp is its name, and any one of them is
 * enough to know of it. It is over with the first E bit; without one when another event begins, when nothing came
 * for 500 ms, or with the leg.
 */
export class TelephoneEvents {
  readonly #ended: (event: TelephoneEvent) => void;
  /**
   * `over`: the event whose timestamp is below was handed out, copies of its end may follow. `disowned`: as `open`,
   * but it is not handed out.
   */
  #state: 'none' | 'open' | 'disowned' | 'over' = 'none';
  #code = 0;
  /** Of the event's present segment. */
  #timestamp = 0;
  #durationTicks = 0;
  /** Of the segments before it. */
  #segmentsTicks = 0;
  #beginSample: number | undefined;
  #updatedMs = 0;

  constructor(ended: (event: TelephoneEvent) => void) {
    this.#ended = ended;
  }

  /** @param beginSample where the packet's timestamp is on the leg's clock */
  take(packet: RtpPacket, beginSample: number | undefined): TelephoneEventVerdict {
    const { bytes, payloadBegin, payloadEnd } = packet;
    const blocks = Math.min((payloadEnd - payloadBegin) >> 2, BLOCKS_MAX);
    if (blocks === 0) return 'malformed';
    const isKnown = this.#state !== 'none' && timestampDelta(packet.timestamp, this.#timestamp) === 0;
    let offsetTicks = 0;
    for (let block = 0; block < blocks; block++) {
      const at = payloadBegin + BLOCK_BYTES * block;
      const code = bytes[at]!;
      const durationTicks = (bytes[at + 2]! << 8) | bytes[at + 3]!;
      const beginsAt = beginSample === undefined ? undefined : beginSample + offsetTicks;
      this.#takeBlock(packet, (packet.timestamp + offsetTicks) >>> 0, code, durationTicks, beginsAt);
      if ((bytes[at + 1]! & 0x80) !== 0) this.#close('told');
      offsetTicks += durationTicks;
    }
    return isKnown ? 'known' : 'new';
  }

  /** An event that has begun and is not over is not handed out. */
  disown(): void {
    if (this.#state === 'open') this.#state = 'disowned';
  }

  /** Ends an event that nothing was heard of for 500 ms. */
  tick(nowMs: number): void {
    if (this.#isGoingOn && nowMs - this.#updatedMs >= UPDATE_MAX_MS) this.#close('inferred');
  }

  /** The source is over, or another one begins: nothing that follows belongs to what was before. */
  reset(): void {
    this.#close('inferred');
    this.#state = 'none';
  }

  #takeBlock(
    packet: RtpPacket,
    timestamp: number,
    code: number,
    durationTicks: number,
    beginSample: number | undefined,
  ): void {
    this.#updatedMs = packet.arrivalMs;
    if (this.#state !== 'none') {
      const aheadTicks = timestampDelta(timestamp, this.#timestamp);
      if (aheadTicks === 0) {
        this.#durationTicks = Math.max(this.#durationTicks, durationTicks);
        return;
      }
      if (aheadTicks < 0 && aheadTicks > -COPY_MAX_TICKS) return;
      if (!packet.marker && this.#isNextSegment(code, aheadTicks)) {
        this.#segmentsTicks += aheadTicks;
        this.#timestamp = timestamp;
        this.#durationTicks = durationTicks;
        return;
      }
      this.#close('inferred');
    }
    this.#state = 'open';
    this.#code = code;
    this.#timestamp = timestamp;
    this.#durationTicks = durationTicks;
    this.#segmentsTicks = 0;
    this.#beginSample = beginSample;
  }

  #isNextSegment(code: number, aheadTicks: number): boolean {
    if (!this.#isGoingOn || code !== this.#code) return false;
    return aheadTicks === SEGMENT_MAX_TICKS || aheadTicks === this.#durationTicks;
  }

  get #isGoingOn(): boolean {
    return this.#state === 'open' || this.#state === 'disowned';
  }

  #close(end: TelephoneEvent['end']): void {
    if (!this.#isGoingOn) return;
    const isOwned = this.#state === 'open';
    this.#state = 'over';
    if (!isOwned) return;
    this.#ended({
      code: this.#code,
      beginSample: this.#beginSample,
      durationTicks: this.#segmentsTicks + this.#durationTicks,
      end,
    });
  }
}
