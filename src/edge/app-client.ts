import { createHash, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { encodeFrame, FrameDecoder } from './wire-frame.ts';
import { type ClientMessage, decodeClientMessage, encodeAnswer } from './wire-message.ts';

export type SipFromApp = Extract<ClientMessage, { kind: 'sip' }>;

/** What may wait for a client that does not read; beyond it the connection is closed. */
const UNSENT_MAX_BYTES = 16_777_216;

/** drachtio-srf sends pings only to servers of 0.8.2 and later, and reads three numbers at the beginning. */
const SERVER_VERSION = 'v0.9.10-callscribe-edge';

export interface AppClientOptions {
  readonly secret: string;
  /** What the client is told about our SIP addresses: `udp/127.0.0.1:5060,tcp/127.0.0.1:5060`. */
  readonly hostports: () => string;
  readonly onSip: (message: SipFromApp, client: AppClient) => void;
  readonly onClose: (client: AppClient) => void;
  readonly logger: Logger;
}

/** One drachtio client: a connection, what it routes, and the part of the protocol that is not about SIP. */
export class AppClient {
  readonly #socket: Socket;
  readonly #options: AppClientOptions;
  readonly #decoder = new FrameDecoder();
  readonly #verbs = new Set<string>();
  #isAuthenticated = false;

  constructor(socket: Socket, options: AppClientOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.#onData(chunk);
    });
    // The close that follows is what counts.
    socket.on('error', (error) => {
      options.logger.debug({ err: error }, 'edge client connection ended with an error');
    });
    socket.on('close', () => {
      options.onClose(this);
    });
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  /** Whether the client asked for requests of that method outside a dialog. */
  routes(method: string): boolean {
    return this.isOpen && this.#verbs.has(method);
  }

  /** Hands one message to the client; without effect once the connection is gone. */
  send(payload: Buffer): void {
    if (!this.isOpen) return;
    if (this.#socket.writableLength > UNSENT_MAX_BYTES) {
      this.#options.logger.error('edge client does not read what is sent to it');
      this.#socket.destroy();
      return;
    }
    this.#socket.write(encodeFrame(payload));
  }

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (!this.isOpen) return;
        this.#onMessage(decodeClientMessage(frame));
      }
    } catch (thrown) {
      this.#options.logger.warn({ err: toError(thrown) }, 'edge client broke the wire protocol');
      this.#socket.destroy();
    }
  }

  #onMessage(message: ClientMessage): void {
    // drachtio-server also takes routes from whoever did not authenticate; here the secret guards the calls.
    const isOpenToAll = message.kind === 'authenticate' || message.kind === 'ping';
    if (!isOpenToAll && message.kind !== 'unreadable' && !this.#isAuthenticated) {
      this.refuse(message.id, 'not authenticated');
      return;
    }
    switch (message.kind) {
      case 'authenticate':
        this.#isAuthenticated = isSameText(message.secret, this.#options.secret);
        if (this.#isAuthenticated) this.#accept(message.id, ...this.#introduction());
        else this.refuse(message.id, 'incorrect secret');
        return;
      case 'route':
        this.#verbs.add(message.verb);
        this.#accept(message.id);
        return;
      case 'remove-route':
        this.#verbs.delete(message.verb);
        this.#accept(message.id);
        return;
      case 'ping':
        this.#accept(message.id, 'pong');
        return;
      case 'sip':
        this.#options.onSip(message, this);
        return;
      case 'unreadable':
        this.refuse(message.id, message.reason);
        return;
      default:
        message satisfies never;
    }
  }

  #introduction(): string[] {
    const hostports = this.#options.hostports();
    return [hostports, SERVER_VERSION, hostports];
  }

  #accept(id: string, ...fields: readonly string[]): void {
    this.send(encodeAnswer(id, 'OK', ...fields));
  }

  /** Says what is wrong with the protocol, and closes, as drachtio-server does. */
  refuse(id: string, reason: string): void {
    this.send(encodeAnswer(id, 'NO', reason));
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }
}

function isSameText(given: string, wanted: string): boolean {
  const [a, b] = [given, wanted].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(a!, b!);
}
