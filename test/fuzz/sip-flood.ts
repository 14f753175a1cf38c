import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as TcpSocket } from 'node:net';

import type { SeededRandom } from '../../src/seeded-random.ts';
import {
  type Dialog,
  INVITE_HEADERS,
  METADATA,
  METHODS,
  multipart,
  newDialog,
  SDPS,
  type Sender,
  wellFormed,
} from './corpus.ts';
import { mutateText, pick, upTo } from './mutate.ts';

/** A call of the flood that stands, for what is sent inside it and to its ports. */
export interface Anchor {
  dialog: Dialog;
  /** Where the service takes this call's media. */
  mediaPort: number;
}

export type MessageKind = 'message' | 'sdp' | 'multipart' | 'metadata';
const KINDS: readonly MessageKind[] = ['message', 'message', 'sdp', 'multipart', 'metadata'];
const ANCHORS = 8;
/** Calls of the flood at a time, those that are just being ended included. */
const CALLS_MAX = 40;
/** Of the requests with a mutated body: in a call that stands. New calls cost the service, which is to be fuzzed, not loaded. */
const IN_CALL_SHARE = 0.8;
/** None may be higher (RFC 3261 §8.1.1.5), whatever number a mutated request brought into a call. */
const LAST_CSEQ = 2 ** 31 - 1;

/**
 * Sends mutated SIP and behaves otherwise like a peer: acknowledges what answers its INVITEs and hangs up, answers what
 * the service asks. A few calls of its own it keeps, for what is sent inside a call.
 */
export class SipFlood {
  readonly sent: Record<MessageKind, number> = { message: 0, sdp: 0, multipart: 0, metadata: 0 };
  readonly statuses: Record<string, number> = {};
  readonly anchors: Anchor[] = [];
  readonly #random: SeededRandom;
  readonly #server: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>;
  readonly #udp: Socket;
  readonly #sender: Sender;
  readonly #streams: TcpSocket[] = [];
  /** Call-IDs of anchors that are being set up. */
  readonly #wanted = new Map<string, Dialog>();
  /** BYEs without an answer yet. */
  readonly #ending = new Map<string, string>();
  readonly #probes = new Map<string, () => void>();
  #nextStream = 0;
  #isEnding = false;

  private constructor(options: {
    random: SeededRandom;
    server: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>;
    udp: Socket;
    rtpPort: number;
  }) {
    this.#random = options.random;
    this.#server = options.server;
    this.#udp = options.udp;
    const { port } = options.udp.address();
    this.#sender = { transport: 'UDP', hostport: `127.0.0.1:${port}`, rtpPort: options.rtpPort };
    options.udp.on('message', (bytes) => {
      this.#onMessage(bytes.toString('latin1'), (text) => {
        this.#sendUdp(text);
      });
    });
  }

  static async open(options: {
    readonly random: SeededRandom;
    readonly server: Readonly<Record<'udp' | 'tcp', { readonly host: string; readonly port: number }>>;
    /** Where the flood's own media comes from. */
    readonly rtpPort: number;
  }): Promise<SipFlood> {
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    return new SipFlood({ ...options, udp });
  }

  /** One mutated message. */
  send(): void {
    const random = this.#random;
    const kind = pick(random, KINDS);
    this.sent[kind] += 1;
    const anchor = this.#chooseAnchor(kind);
    // Of two ways the second may be faster, and then the first request in a call comes out of order.
    const overTcp = anchor === undefined && random() < 0.3;
    const sender: Sender = overTcp ? { ...this.#sender, transport: 'TCP' } : this.#sender;
    const text = this.#make(kind, sender, anchor);
    if (overTcp) this.#sendTcp(text);
    else this.#sendUdp(text);
    if (this.anchors.length + this.#wanted.size < ANCHORS) this.#openAnchor();
  }

  /** The call that a message is meant for; undefined for one that stands alone. */
  #chooseAnchor(kind: MessageKind): Anchor | undefined {
    const random = this.#random;
    const isFull = this.anchors.length + this.#ending.size >= CALLS_MAX;
    const share = kind === 'message' || kind === 'sdp' ? 0.3 : IN_CALL_SHARE;
    const isInCall = isFull || random() < share;
    return isInCall && this.anchors.length > 0 ? pick(random, this.anchors) : undefined;
  }

  #make(kind: MessageKind, sender: Sender, anchor: Anchor | undefined): string {
    const random = this.#random;
    const dialog = anchor === undefined ? newDialog() : { ...anchor.dialog, cseq: anchor.dialog.cseq + 1 };
    if (anchor !== undefined) anchor.dialog = dialog;
    const sdp = pick(random, SDPS)(sender);
    const metadata = pick(random, METADATA);
    const headers = pick(random, INVITE_HEADERS);
    const method = anchor !== undefined && random() < 0.6 ? 'UPDATE' : 'INVITE';
    const type = 'multipart/mixed;boundary=fuzz';
    switch (kind) {
      case 'message': {
        const other = wellFormed(sender, 'INVITE', newDialog(), {
          headers,
          body: multipart(sdp, metadata),
          type,
        });
        if (random() < 0.5) return mutateText(random, other, METADATA[0]!);
        const [name, own] = pick(random, METHODS);
        // A call of the flood's own is ended by the flood alone, or it would have none to speak in.
        const meant = name === 'BYE' && anchor !== undefined ? { ...dialog, toTag: 'other' } : dialog;
        return mutateText(random, wellFormed(sender, name, meant, { headers: own }), other);
      }
      case 'sdp':
        return wellFormed(sender, method, dialog, {
          headers,
          body: mutateText(random, sdp, pick(random, SDPS)(sender)),
        });
      case 'multipart':
        return wellFormed(sender, method, dialog, {
          headers,
          type,
          body: mutateText(random, multipart(sdp, metadata), multipart(sdp, pick(random, METADATA))),
        });
      case 'metadata':
        return wellFormed(sender, method, dialog, {
          headers,
          type,
          body: multipart(sdp, mutateText(random, metadata, pick(random, METADATA))),
        });
    }
  }

  #sendUdp(text: string): void {
    const bytes = Buffer.from(text, 'latin1').subarray(0, 65_000);
    this.#udp.send(bytes, this.#server.udp.port, this.#server.udp.host);
  }

  /** Over one of four connections; one that was closed is opened again. */
  #sendTcp(text: string): void {
    this.#nextStream = (this.#nextStream + 1) % 4;
    let stream = this.#streams[this.#nextStream];
    if (stream === undefined || !stream.writable) {
      stream = connect(this.#server.tcp);
      const opened = stream;
      stream.on('error', () => undefined);
      stream.on('data', (chunk) => {
        for (const message of chunk.toString('latin1').split(/(?=SIP\/2\.0 |[A-Z]+ sip)/)) {
          this.#onMessage(message, (answer) => opened.write(answer, 'latin1'));
        }
      });
      this.#streams[this.#nextStream] = stream;
    }
    // A service that does not read would make this process the one that leaks.
    if (stream.writableLength < 1_000_000) stream.write(text, 'latin1');
    if (upTo(this.#random, 50) === 0) stream.destroy();
  }

  #onMessage(text: string, answer: (text: string) => void): void {
    const status = Number(/^SIP\/2.0 (\d+)/.exec(text)?.[1] ?? 0);
    const valueOf = (name: string): string =>
      new RegExp(`\\r\\n${name}: *([^\\r]*)`, 'i').exec(text)?.[1] ?? '';
    const callId = valueOf('Call-ID');
    if (status === 0) {
      if (!/^[A-Z]+ \S+ SIP\/2.0\r\n/.test(text) || text.startsWith('ACK')) return;
      const copied = text.split('\r\n').filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
      answer(
        `SIP/2.0 200 OK\r\n${copied.join('\r\n')}\r\nContact: <sip:fuzz@${this.#sender.hostport}>\r\nContent-Length: 0\r\n\r\n`,
      );
      return;
    }
    const probe = this.#probes.get(callId);
    if (probe !== undefined) {
      probe();
      return;
    }
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (status < 200) return;
    const [number = '', method = ''] = valueOf('CSeq').split(' ');
    if (method === 'BYE') this.#ending.delete(callId);
    if (method !== 'INVITE' || status >= 300) {
      // The call is gone, or its numbers are used up: another one takes its place.
      if (method !== 'BYE' && (status === 481 || (status === 500 && this.#random() < 0.3))) {
        this.#retire(callId);
      }
      if (method === 'INVITE') answer(this.#within(text, 'ACK', number));
      return;
    }
    answer(this.#within(text, 'ACK', number));
    const wanted = this.#wanted.get(callId);
    if (wanted !== undefined && !this.#isEnding) {
      this.#wanted.delete(callId);
      const toTag = /;tag=([^;]+)/.exec(valueOf('To'))?.[1];
      this.anchors.push({
        dialog: { ...wanted, toTag },
        mediaPort: Number(/\r\nm=audio (\d+)/.exec(text)?.[1] ?? 0),
      });
    } else if (!this.anchors.some(({ dialog }) => dialog.callId === callId) && !this.#ending.has(callId)) {
      const bye = this.#within(text, 'BYE', String(LAST_CSEQ));
      this.#ending.set(callId, bye);
      answer(bye);
    }
  }

  /** A request in the dialog of a response. */
  #within(response: string, method: string, cseq: string): string {
    const copied = response.split('\r\n').filter((line) => /^(from|to|call-id):/i.test(line));
    const branch =
      method === 'ACK' ? (/;branch=([^;\r]+)/.exec(response)?.[1] ?? 'x') : `z9hG4bK-${newDialog().callId}`;
    const accepted = /^SIP\/2.0 2/.test(response);
    const via = `SIP/2.0/UDP ${this.#sender.hostport};branch=${accepted && method === 'ACK' ? `${branch}-ack` : branch};rport`;
    return `${method} sip:recorder@example.org SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\n${copied.join('\r\n')}\r\nCSeq: ${cseq} ${method}\r\nContent-Length: 0\r\n\r\n`;
  }

  #openAnchor(): void {
    const dialog = newDialog();
    this.#wanted.set(dialog.callId, dialog);
    this.#sendUdp(
      wellFormed(this.#sender, 'INVITE', dialog, {
        // Only a recording session is taken without credentials.
        headers: ['Require: siprec'],
        body: pick(this.#random, SDPS)(this.#sender),
      }),
    );
    // Refused or lost, it is forgotten, and another one tried.
    setTimeout(() => this.#wanted.delete(dialog.callId), 2_000).unref();
  }

  #retire(callId: string): void {
    const at = this.anchors.findIndex(({ dialog }) => dialog.callId === callId);
    const [anchor] = at < 0 ? [] : this.anchors.splice(at, 1);
    if (anchor === undefined) return;
    const bye = wellFormed(this.#sender, 'BYE', { ...anchor.dialog, cseq: LAST_CSEQ });
    this.#ending.set(callId, bye);
    this.#sendUdp(bye);
  }

  /**
   * Resolves when the service has answered, or is not going to: it is to be fuzzed and not to be drowned, on a machine that
   * may have more to do.
   */
  async keepPace(): Promise<void> {
    const dialog = newDialog();
    const answered = new Promise<void>((resolve) => this.#probes.set(dialog.callId, resolve));
    this.#sendUdp(wellFormed(this.#sender, 'OPTIONS', dialog));
    let timer: NodeJS.Timeout | undefined;
    const lost = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, 2_000);
    });
    await Promise.race([answered, lost]);
    clearTimeout(timer);
    this.#probes.delete(dialog.callId);
  }

  /** Ends the calls of the flood, and says goodbye again where no answer came. */
  async end(): Promise<void> {
    this.#isEnding = true;
    for (const { dialog } of [...this.anchors]) this.#retire(dialog.callId);
    for (let tries = 0; tries < 40 && this.#ending.size > 0; tries += 1) {
      for (const bye of [...this.#ending.values()].slice(0, 500)) this.#sendUdp(bye);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    for (const stream of this.#streams) stream.destroy();
  }

  async close(): Promise<void> {
    this.#udp.close();
    await once(this.#udp, 'close');
  }
}
