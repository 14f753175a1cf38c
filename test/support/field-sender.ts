import { type MadeSentence, makeCodes } from './captioned-audio.ts';
import { rtpDatagram } from './rtp-stream.ts';

/** One datagram and the moment of its arrival. */
export interface Arrival {
  readonly atMs: number;
  readonly datagram: Buffer;
  readonly address: string;
  readonly port: number;
  /** The samples of the leg that it carries; an empty stretch where it carries none. */
  readonly beginSample: number;
  readonly endSample: number;
}

export const SENDER = { address: '192.0.2.1', port: 4_000 };

/**
 * A sender with a clock of its own: sample `n` of its audio is spoken at `n / 8` ms, and leaves when its packet is
 * full. What it sends is written down; what becomes of that on the way, a test decides.
 */
export class FieldSender {
  readonly codes: Uint8Array;
  readonly sent: Arrival[] = [];
  ptimeSamples = 160;
  payloadType = 0;
  ssrc = 0x1234;
  source: { readonly address: string; readonly port: number } = SENDER;
  sequenceNumber = 65_530;
  /** Timestamp of sample 0. */
  timestampBase = 0xffff_f000;
  #at = 0;

  constructor(durationMs: number, sentences: readonly MadeSentence[]) {
    this.codes = makeCodes('PCMU', durationMs, sentences);
  }

  /** Sends the audio up to a moment. */
  speakUntil(ms: number): this {
    while (this.#at < ms * 8) {
      const end = Math.min(this.#at + this.ptimeSamples, ms * 8, this.codes.length);
      if (end === this.#at) return this;
      this.#send(this.codes.subarray(this.#at, end), this.payloadType, this.#at, end);
      this.#at = end;
    }
    return this;
  }

  /** Sends nothing until a moment, its timestamps count on. */
  pauseUntil(ms: number): this {
    this.#at = ms * 8;
    return this;
  }

  /** Comfort noise of RFC 3389 every 200 ms. */
  noiseUntil(ms: number, payloadType = 13): this {
    for (; this.#at < ms * 8; this.#at = Math.min(this.#at + 1_600, ms * 8)) {
      this.#send(Uint8Array.of(60, 10, 20), payloadType, this.#at, this.#at);
    }
    return this;
  }

  /** A key that is held down until a moment, RFC 4733: an update each 20 ms, the end three times. */
  pressUntil(ms: number, code: number, payloadType = 101): this {
    const begin = this.#at;
    const packets = (ms * 8 - begin) / 160;
    for (let i = 1; i <= packets + 2; i++) {
      const ticks = 160 * Math.min(i, packets);
      const payload = Uint8Array.of(code, i >= packets ? 0x8a : 10, ticks >> 8, ticks & 0xff);
      this.#send(payload, payloadType, begin, begin, begin + ticks);
    }
    this.#at = ms * 8;
    return this;
  }

  /** @param spokenSample where the sender's clock is when the packet leaves */
  #send(payload: Uint8Array, payloadType: number, begin: number, end: number, spokenSample = end): void {
    this.sent.push({
      atMs: spokenSample / 8,
      datagram: rtpDatagram({
        sequenceNumber: this.sequenceNumber,
        timestamp: this.timestampBase + begin,
        ssrc: this.ssrc,
        payloadType,
        payload,
      }),
      ...this.source,
      beginSample: begin,
      endSample: end,
    });
    this.sequenceNumber += 1;
  }
}
