import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import type { G711Law } from '../../src/rtp/payload-map.ts';
import { type PacketFields, rtpDatagram } from './rtp-stream.ts';
import { sdp } from './signalling.ts';

const PACKET_MS = 20;
const PACKET_SAMPLES = 160;
const KEY_PACKETS = 5;
const KEYS = '0123456789*#';
const PAYLOAD_TYPES = { PCMU: 0, PCMA: 8 } as const;
/** A sample of 0. */
const QUIET = { PCMU: 0xff, PCMA: 0xd5 } as const;

/** Somebody at a telephone, in real time: hears, speaks and presses keys on one RTP stream, from the answer on. */
export class VoicemailCaller implements AsyncDisposable {
  readonly law: G711Law;
  readonly #socket: Socket;
  /** Payloads by timestamp, from that of the first packet. */
  readonly #heard = new Map<number, Buffer>();
  readonly ssrcs = new Set<number>();
  #heardFrom: number | undefined;
  #port = 0;
  #packetNo = 0;
  #saying: Uint8Array = new Uint8Array();
  #key: { readonly code: number; readonly beginNo: number; readonly done: () => void } | undefined;
  #said: (() => void) | undefined;
  #talking: Promise<void> | undefined;
  #isOver = false;

  private constructor(law: G711Law, socket: Socket) {
    this.law = law;
    this.#socket = socket;
    socket.on('message', (datagram) => {
      this.#hear(datagram);
    });
  }

  static async open(law: G711Law): Promise<VoicemailCaller> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new VoicemailCaller(law, socket);
  }

  /** @param lines more of the session description */
  offer(...lines: readonly string[]): string {
    return sdp(
      `m=audio ${this.#socket.address().port} RTP/AVP ${PAYLOAD_TYPES[this.law]} 101`,
      'a=rtpmap:101 telephone-event/8000',
      ...lines,
    );
  }

  /** Begins to send. @param ok the answer, which says where to */
  answered(ok: string): void {
    this.#port = Number(/^m=audio (\d+)/m.exec(ok)?.[1]);
    this.#talking = this.#talk();
  }

  /** Resolves when it was sent. */
  say(codes: Uint8Array): Promise<void> {
    this.#saying = codes;
    return new Promise((resolve) => (this.#said = resolve));
  }

  /** For 100 ms; resolves when it was let go. */
  press(key: string): Promise<void> {
    return new Promise((done) => (this.#key = { code: KEYS.indexOf(key), beginNo: this.#packetNo, done }));
  }

  /** Nothing more is sent. */
  hush(): void {
    this.#isOver = true;
  }

  /** Everything since the first packet; zeros for what did not come. */
  get heard(): Buffer {
    const end = Math.max(0, ...this.#heard.keys());
    const codes = Buffer.alloc(end === 0 ? 0 : end + PACKET_SAMPLES);
    for (const [at, payload] of this.#heard) payload.copy(codes, at);
    return codes;
  }

  /** Resolves when all of these codes came, one after the other; where they began, in samples. */
  async untilHeard(codes: Uint8Array): Promise<number> {
    for (;;) {
      const at = this.heard.indexOf(codes);
      if (at >= 0) return at;
      await delay(PACKET_MS);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hush();
    await this.#talking;
    await new Promise<void>((resolve) => {
      this.#socket.close(resolve);
    });
  }

  #hear(datagram: Buffer): void {
    const timestamp = datagram.readUInt32BE(4);
    this.ssrcs.add(datagram.readUInt32BE(8));
    this.#heardFrom ??= timestamp;
    this.#heard.set((timestamp - this.#heardFrom) >>> 0, datagram.subarray(12));
  }

  async #talk(): Promise<void> {
    const beganAtMs = performance.now();
    for (; !this.#isOver; this.#packetNo++) {
      await delay(Math.max(0, beganAtMs + this.#packetNo * PACKET_MS - performance.now()));
      const fields = this.#nextPacket();
      this.#socket.send(rtpDatagram({ sequenceNumber: this.#packetNo, ...fields }), this.#port, '127.0.0.1');
    }
  }

  #nextPacket(): PacketFields {
    if (this.#key !== undefined) {
      const { code, beginNo, done } = this.#key;
      const packets = this.#packetNo - beginNo + 1;
      const isEnd = packets >= KEY_PACKETS;
      const ticks = packets * PACKET_SAMPLES;
      if (isEnd) {
        this.#key = undefined;
        done();
      }
      return {
        payloadType: 101,
        timestamp: beginNo * PACKET_SAMPLES,
        marker: packets === 1,
        payload: Uint8Array.of(code, isEnd ? 0x8a : 10, ticks >> 8, ticks & 0xff),
      };
    }
    const payload = new Uint8Array(PACKET_SAMPLES).fill(QUIET[this.law]);
    payload.set(this.#saying.subarray(0, PACKET_SAMPLES));
    this.#saying = this.#saying.subarray(PACKET_SAMPLES);
    if (this.#saying.length === 0) {
      this.#said?.();
      this.#said = undefined;
    }
    return { payloadType: PAYLOAD_TYPES[this.law], timestamp: this.#packetNo * PACKET_SAMPLES, payload };
  }
}
