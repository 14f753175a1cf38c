import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import {
  type Bus,
  type BusListener,
  type BusOutcome,
  checkChannel,
  MESSAGE_MAX_BYTES,
  SUBSCRIBE_MAX_MS,
  type Unsubscribe,
} from './bus.ts';
import { Packer, Unpacker } from './packets.ts';
import type { BusTransport, OpenTransport } from './transport.ts';

export interface PacketBusOptions {
  readonly openTransport: OpenTransport;
  readonly logger: Logger;
  readonly onOutcome?: (outcome: BusOutcome, count: number) => void;
}

/** What may wait while a send is under way; beyond it new messages are dropped. */
const WAITING_MAX_BYTES = 8 * 1_048_576;
const RETRY_MS = 250;
const CLOSE_MAX_MS = 2_000;

interface Outgoing {
  readonly packer: Packer;
  messages: string[];
  /** Something was dropped, and no packet has told so yet. */
  owesNotice: boolean;
}

interface Incoming {
  readonly unpacker: Unpacker;
  readonly listeners: Set<BusListener>;
  /** Resolves when the transport listens. */
  readonly inForce: Promise<void>;
}

/**
 * A bus over any transport of packets. What is published while a send is under way goes out together in the next one,
 * so a burst costs few packets, and a lone message none of its time. After a failed send everything that waits is
 * dropped (it would be old), and a packet is tried until one tells the others that there is a hole.
 */
export class PacketBus implements Bus {
  readonly #options: PacketBusOptions;
  readonly #transport: BusTransport;
  readonly #sender = randomBytes(9).toString('base64url');
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #incoming = new Map<string, Incoming>();
  #waitingBytes = 0;
  /** The last send failed. */
  #isAway = false;
  /** Between a failed send and the next attempt. */
  #isPausing = false;
  #sending: Promise<void> | undefined;
  #isClosed = false;
  readonly #closing = new AbortController();

  constructor(options: PacketBusOptions) {
    this.#options = options;
    this.#transport = options.openTransport({
      onPacket: (channel, packet) => {
        this.#accept(channel, packet);
      },
      onBack: () => {
        for (const incoming of this.#incoming.values()) this.#tellLost(incoming);
      },
    });
  }

  publish(channel: string, message: string): void {
    checkChannel(channel);
    if (message.includes('\n')) {
      throw new RangeError('bus message: expected one line of text, found a line break');
    }
    if (this.#isClosed) return;
    const outgoing = this.#outgoingOf(channel);
    const bytes = Buffer.byteLength(message);
    if (this.#isPausing || bytes > MESSAGE_MAX_BYTES || this.#waitingBytes + bytes > WAITING_MAX_BYTES) {
      outgoing.packer.leaveHole();
      outgoing.owesNotice = true;
      this.#count('dropped');
    } else {
      outgoing.messages.push(message);
      this.#waitingBytes += bytes;
    }
    // In the next turn, so that what is published in this one goes out together.
    this.#sending ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#sendAll());
  }

  async subscribe(channel: string, listener: BusListener): Promise<Unsubscribe> {
    checkChannel(channel);
    let incoming = this.#incoming.get(channel);
    if (incoming === undefined) {
      incoming = {
        unpacker: new Unpacker(MESSAGE_MAX_BYTES),
        listeners: new Set(),
        inForce: this.#transport.listen(channel),
      };
      this.#incoming.set(channel, incoming);
    }
    const { listeners, inForce } = incoming;
    // An object of its own: one listener may subscribe twice.
    const own: BusListener = {
      onMessage: (message) => {
        listener.onMessage(message);
      },
      onLost: () => {
        listener.onLost();
      },
    };
    listeners.add(own);
    const unsubscribe = async (): Promise<void> => {
      listeners.delete(own);
      if (listeners.size > 0 || this.#incoming.get(channel)?.listeners !== listeners) return;
      this.#incoming.delete(channel);
      await this.#transport.unlisten(channel);
    };
    try {
      if ((await within(SUBSCRIBE_MAX_MS, inForce)) === 'done') return unsubscribe;
    } catch (cause) {
      await unsubscribe();
      throw unreachable(cause);
    }
    await unsubscribe();
    throw unreachable(undefined);
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      const sent = this.#sending ?? Promise.resolve();
      this.#closing.abort();
      await within(CLOSE_MAX_MS, sent);
    }
    await this.#transport.close();
  }

  #outgoingOf(channel: string): Outgoing {
    let outgoing = this.#outgoing.get(channel);
    if (outgoing === undefined) {
      const packer = new Packer(this.#sender, this.#transport.packetMaxBytes);
      outgoing = { packer, messages: [], owesNotice: false };
      this.#outgoing.set(channel, outgoing);
    }
    return outgoing;
  }

  /** Until nothing waits. Never rejects. */
  async #sendAll(): Promise<void> {
    for (;;) {
      const next = [...this.#outgoing].find(
        ([, { messages, owesNotice }]) => messages.length > 0 || owesNotice,
      );
      if (next === undefined) break;
      await this.#send(...next);
      if (!this.#isAway) continue;
      if (this.#isClosed) break;
      this.#isPausing = true;
      await sleep(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      this.#isPausing = false;
    }
    this.#sending = undefined;
  }

  async #send(channel: string, outgoing: Outgoing): Promise<void> {
    const { messages, packer } = outgoing;
    outgoing.messages = [];
    outgoing.owesNotice = false;
    this.#waitingBytes -= messages.reduce((sum, message) => sum + Buffer.byteLength(message), 0);
    try {
      await this.#transport.send(channel, packer.pack(messages));
    } catch (thrown) {
      outgoing.owesNotice = true;
      this.#count('dropped', messages.length);
      this.#goneAway(thrown);
      return;
    }
    this.#count('sent', messages.length);
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#options.logger.info('live bus: sending again');
  }

  #goneAway(thrown: unknown): void {
    if (!this.#isAway) {
      const fault = { err: toError(thrown), code: systemCode(thrown) };
      this.#options.logger.warn(fault, 'live bus: cannot send; what is published now is dropped');
    }
    this.#isAway = true;
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.messages.length === 0) continue;
      this.#count('dropped', outgoing.messages.length);
      outgoing.messages = [];
      outgoing.packer.leaveHole();
      outgoing.owesNotice = true;
    }
    this.#waitingBytes = 0;
  }

  #accept(channel: string, packet: string): void {
    const incoming = this.#incoming.get(channel);
    if (incoming === undefined) return;
    const unpacked = incoming.unpacker.unpack(packet);
    if (unpacked === undefined) {
      this.#count('malformed');
      return;
    }
    if (unpacked.isAfterHole) this.#tellLost(incoming);
    this.#count('received', unpacked.messages.length);
    for (const message of unpacked.messages) {
      for (const listener of incoming.listeners) {
        this.#guard(() => {
          listener.onMessage(message);
        });
      }
    }
  }

  #tellLost({ listeners }: Incoming): void {
    this.#count('lost');
    for (const listener of listeners) {
      this.#guard(() => {
        listener.onLost();
      });
    }
  }

  #guard(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#count('failed');
      this.#options.logger.error({ err: toError(error) }, 'a listener of the live bus failed');
    }
  }

  #count(outcome: BusOutcome, count = 1): void {
    if (count > 0) this.#options.onOutcome?.(outcome, count);
  }
}

function unreachable(cause: unknown): CallscribeError {
  const reason = cause === undefined ? `no answer within ${SUBSCRIBE_MAX_MS} ms` : 'it refuses';
  return new CallscribeError(
    'BUS_UNREACHABLE',
    `the bus between processes: ${reason}. See that Redis (REDIS_URL), or without it Postgres (DATABASE_URL), is up.`,
    { cause, retryable: true },
  );
}
