import { setTimeout as delay } from 'node:timers/promises';

import { CaptionReader } from '../../src/caption/reader.ts';
import { type MadeSentence, makeCodes } from './captioned-audio.ts';
import { MediaSender, press } from './media-sender.ts';
import { sdp } from './signalling.ts';

const PACKET_MS = 20;
const SAMPLES_PER_PACKET = 160;

/** One leg whose audio the test sends packet by packet, four times as fast as it plays. */
export class PlayedLeg {
  readonly #sender: MediaSender;
  readonly #codes: Uint8Array;
  #port = 0;

  private constructor(sender: MediaSender, codes: Uint8Array) {
    this.#sender = sender;
    this.#codes = codes;
  }

  static async open(durationMs: number, sentences: readonly MadeSentence[]): Promise<PlayedLeg> {
    return new PlayedLeg(await MediaSender.open(), makeCodes('PCMU', durationMs, sentences));
  }

  /** The session description of the INVITE. */
  get offer(): string {
    return sdp(`m=audio ${this.#sender.port} RTP/AVP 0 101`, 'a=rtpmap:101 telephone-event/8000');
  }

  /** @param ok the answer to the INVITE, which says where the audio goes */
  answered(ok: string): void {
    this.#port = Number(/^m=audio (\d+)/m.exec(ok)?.[1]);
  }

  /** The audio of these milliseconds; with a key, its packets stand for the first 100 ms. */
  async play(fromMs: number, toMs: number, key?: number): Promise<void> {
    let packetNo = fromMs / PACKET_MS;
    if (key !== undefined) {
      await press(this.#sender, this.#port, packetNo, key);
      packetNo += 5;
    }
    for (; packetNo < toMs / PACKET_MS; packetNo++) {
      const begin = packetNo * SAMPLES_PER_PACKET;
      const payload = this.#codes.subarray(begin, begin + SAMPLES_PER_PACKET);
      await this.#sender.send(this.#port, { sequenceNumber: packetNo, timestamp: begin, payload });
      await delay(PACKET_MS / 4);
    }
  }

  /** Telephone-event packets that say how long a key has been pressed so far. */
  async hold(key: number, beginMs: number, packetNo: number, isEnd: boolean): Promise<void> {
    const ticks = (packetNo * PACKET_MS - beginMs + PACKET_MS) * 8;
    const payload = Uint8Array.of(key, isEnd ? 0x8a : 10, ticks >> 8, ticks & 0xff);
    const timestamp = beginMs * 8;
    await this.#sender.send(this.#port, { sequenceNumber: packetNo, timestamp, payloadType: 101, payload });
  }
}

export function captionsOf(samples: Int16Array): string[] {
  const reader = new CaptionReader();
  return [...reader.feed(samples), ...reader.finish()].flatMap((event) =>
    event.kind === 'caption' ? [event.caption.text] : [],
  );
}

/** Of little-endian bytes. */
export const samplesOf = (bytes: Buffer): Int16Array =>
  new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
