import { type Caption, CAPTION_MAX_BYTES, decodeCaption } from './caption.ts';
import {
  copyCodes,
  type CopyHeader,
  decodeHeader,
  decodePayload,
  FrameBits,
  HEADER_BYTES,
  SYNC,
  SYNC_BITS,
} from './frame.ts';
import { G711_LAWS, lowBitOfPcm, NOT_A_CODE } from './law.ts';

/** Positions count samples since the first one that the reader was fed. */
export type CaptionEvent =
  /** A copy begins; what it says is not known yet. Not told of the copies of a sentence that is known already. */
  | { readonly kind: 'sync'; readonly atCode: number }
  /** A copy that began there was hit before it could be read. */
  | { readonly kind: 'unreadable'; readonly atCode: number }
  /** A copy was read whole. Its sentence goes on until `endCode`. */
  | {
      readonly kind: 'caption';
      readonly beginCode: number;
      readonly endCode: number;
      readonly caption: Caption;
    }
  /** The sentence of the last `caption` is over; `damaged` unless each of its codes came, in order, unchanged. */
  | { readonly kind: 'end'; readonly endCode: number; readonly damaged: boolean };

/**
 * Finds captions in decoded G.711 audio of either law. Pure; chunk borders may fall anywhere. Keeps at most one
 * copy of one caption (about 4 KB), however long the audio is. Audio without captions gives no event: silence,
 * comfort noise and other people's speech do not hold the 64 bits of the sync.
 */
export class CaptionReader {
  readonly #lanes = G711_LAWS.map((law) => new Lane(lowBitOfPcm[law]));

  feed(pcm: Int16Array): CaptionEvent[] {
    const events: CaptionEvent[] = [];
    for (const lane of this.#lanes) lane.feed(pcm, events);
    return events;
  }

  /** No audio follows: a sentence that is not over has lost its end. */
  finish(): CaptionEvent[] {
    const events: CaptionEvent[] = [];
    for (const lane of this.#lanes) lane.finish(events);
    return events;
  }
}

const SYNC_HIGH = Buffer.from(SYNC).readInt32BE(0);
const SYNC_LOW = Buffer.from(SYNC).readInt32BE(4);

/** A copy of which some bits are in. */
interface Reading {
  readonly atCode: number;
  bytes: Buffer;
  bits: number;
  header: CopyHeader | undefined;
}

/** A sentence whose caption is known and whose every further bit is compared. */
interface Following {
  /** Where the sentence's first code is, by the newest copy: codes that were lost or doubled move it. */
  beginCode: number;
  endCode: number;
  damaged: boolean;
  readonly payload: Buffer;
  readonly bits: FrameBits;
}

/** Reads as if the audio were of one law; the other law's lane finds values that are no codes. */
class Lane {
  readonly #lowBit: Uint8Array;
  #position = 0;
  /** The last 64 bits. */
  #high = 0;
  #low = 0;
  #reading: Reading | undefined;
  #following: Following | undefined;

  constructor(lowBit: Uint8Array) {
    this.#lowBit = lowBit;
  }

  feed(pcm: Int16Array, events: CaptionEvent[]): void {
    for (const sample of pcm) {
      const bit = this.#lowBit[sample & 0xffff]!;
      this.#high = (this.#high << 1) | (this.#low >>> 31);
      this.#low = (this.#low << 1) | (bit & 1);
      if (bit === NOT_A_CODE) this.#high = this.#low = 0;
      if (this.#following !== undefined) this.#compare(this.#following, bit);
      if (this.#reading !== undefined) this.#append(this.#reading, bit, events);
      this.#position += 1;
      if (this.#low === SYNC_LOW && this.#high === SYNC_HIGH) this.#onSync(events);
      if (this.#following?.endCode === this.#position) this.#end(this.#following, events);
    }
  }

  finish(events: CaptionEvent[]): void {
    this.#abandonReading(events);
    if (this.#following === undefined) return;
    this.#following.endCode = this.#position;
    this.#following.damaged = true;
    this.#end(this.#following, events);
  }

  #compare(following: Following, bit: number): void {
    if (following.bits.at(this.#position - following.beginCode) !== bit) following.damaged = true;
  }

  #onSync(events: CaptionEvent[]): void {
    const atCode = this.#position - SYNC_BITS;
    const following = this.#following;
    if (following !== undefined) {
      const expected = (atCode - following.beginCode) % copyCodes(following.payload.length) === 0;
      if (expected && atCode >= following.beginCode) return;
      following.damaged = true;
    } else if (this.#reading === undefined) {
      events.push({ kind: 'sync', atCode });
    }
    this.#abandonReading(events);
    const bytes = Buffer.alloc(HEADER_BYTES);
    bytes.set(SYNC, 0);
    this.#reading = { atCode, bytes, bits: SYNC_BITS, header: undefined };
  }

  #abandonReading(events: CaptionEvent[]): void {
    if (this.#reading === undefined) return;
    events.push({ kind: 'unreadable', atCode: this.#reading.atCode });
    this.#reading = undefined;
  }

  #append(reading: Reading, bit: number, events: CaptionEvent[]): void {
    if (bit === NOT_A_CODE) {
      this.#abandonReading(events);
      return;
    }
    reading.bytes[reading.bits >> 3]! |= bit << (7 - (reading.bits & 7));
    reading.bits += 1;
    if (reading.bits < reading.bytes.length * 8) return;
    if (reading.header !== undefined) {
      this.#onCopy(reading, reading.header, events);
      return;
    }
    reading.header = decodeHeader(reading.bytes, CAPTION_MAX_BYTES);
    if (reading.header === undefined) {
      this.#abandonReading(events);
      return;
    }
    const whole = Buffer.alloc(copyCodes(reading.header.payloadBytes) / 8);
    whole.set(reading.bytes, 0);
    reading.bytes = whole;
  }

  #onCopy(reading: Reading, header: CopyHeader, events: CaptionEvent[]): void {
    const payload = decodePayload(reading.bytes, header);
    const caption = payload === undefined ? undefined : decodeCaption(payload);
    if (payload === undefined || caption === undefined) {
      this.#abandonReading(events);
      return;
    }
    this.#reading = undefined;
    const beginCode = reading.atCode - header.offsetCodes;
    const endCode = beginCode + header.spanCodes;
    const following = this.#following;
    if (following?.payload.equals(payload) === true && header.offsetCodes > 0) {
      // The same sentence, somewhere else than awaited: codes were lost or doubled, not replaced.
      following.beginCode = beginCode;
      following.endCode = endCode;
      return;
    }
    if (following !== undefined) {
      following.endCode = Math.min(following.endCode, reading.atCode);
      this.#end(following, events);
    }
    // A first copy at an offset: the ones before it were hit.
    const damaged = header.offsetCodes > 0;
    const bits = new FrameBits({ payload, spanCodes: header.spanCodes });
    this.#following = { beginCode, endCode, damaged, payload, bits };
    events.push({ kind: 'caption', beginCode: Math.max(0, beginCode), endCode, caption });
  }

  #end(following: Following, events: CaptionEvent[]): void {
    this.#following = undefined;
    events.push({ kind: 'end', endCode: following.endCode, damaged: following.damaged });
  }
}
