import { Redis } from 'ioredis';

import { toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { BusTransport, OpenTransport } from './transport.ts';

export interface RedisTransportOptions {
  readonly redisUrl: string;
  readonly logger: Logger;
  /** Keeps apart what shares one Redis. Default `callscribe`. */
  readonly prefix?: string;
}

const PACKET_MAX_BYTES = 65_536;
/** Redis takes a packet or is given up for the moment. */
const COMMAND_MAX_MS = 2_000;
/** How often it is asked whether the listening connection still leads anywhere. */
const PING_EVERY_MS = 5_000;

/** Redis pub/sub, or Valkey's. */
export function redisTransport({
  redisUrl,
  logger,
  prefix = 'callscribe',
}: RedisTransportOptions): OpenTransport {
  return (events) => {
    const common = {
      retryStrategy: (times: number) => Math.min(50 * 2 ** times, 2_000),
      commandTimeout: COMMAND_MAX_MS,
      keepAlive: 10_000,
      // A cache that was demoted takes no PUBLISH of ours to where our readers are.
      reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    };
    const writer = new Redis(redisUrl, { ...common, enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    const reader = new Redis(redisUrl, { ...common, autoResubscribe: false, maxRetriesPerRequest: null });
    for (const connection of [writer, reader]) {
      connection.on('error', (error) => {
        logger.debug({ err: toError(error) }, 'a Redis connection of the live bus');
      });
    }
    return new RedisTransport(writer, reader, prefix, events);
  };
}

class RedisTransport implements BusTransport {
  readonly packetMaxBytes = PACKET_MAX_BYTES;
  readonly #writer: Redis;
  readonly #reader: Redis;
  readonly #prefix: string;
  readonly #channels = new Set<string>();
  readonly #ping: NodeJS.Timeout;
  #wasReady = false;
  #isClosed = false;

  constructor(writer: Redis, reader: Redis, prefix: string, events: Parameters<OpenTransport>[0]) {
    this.#writer = writer;
    this.#reader = reader;
    // Pub/sub knows no numbered databases: without the number two deployments would hear each other.
    this.#prefix = `${prefix}:${reader.options.db ?? 0}:bus:`;
    reader.on('message', (name: string, packet: string) => {
      events.onPacket(name.slice(this.#prefix.length), packet);
    });
    reader.on('ready', () => {
      const isFirst = !this.#wasReady;
      this.#wasReady = true;
      if (this.#channels.size === 0) return;
      void reader.subscribe(...[...this.#channels].map((channel) => this.#prefix + channel)).then(
        () => {
          if (!isFirst) events.onBack();
        },
        () => {
          if (!this.#isClosed) reader.disconnect(true);
        },
      );
    });
    this.#ping = setInterval(() => {
      if (reader.status !== 'ready') return;
      reader.ping().catch(() => {
        if (!this.#isClosed) reader.disconnect(true);
      });
    }, PING_EVERY_MS);
    this.#ping.unref();
  }

  async send(channel: string, packets: readonly string[]): Promise<void> {
    await this.#whenFirstConnected();
    await Promise.all(packets.map((packet) => this.#writer.publish(this.#prefix + channel, packet)));
  }

  async listen(channel: string): Promise<void> {
    this.#channels.add(channel);
    // Before that it would be subscribed to twice: here, and with all others when the connection is there.
    while (this.#reader.status !== 'ready') await settled(this.#reader);
    await this.#reader.subscribe(this.#prefix + channel);
  }

  async unlisten(channel: string): Promise<void> {
    this.#channels.delete(channel);
    if (this.#reader.status === 'ready') {
      // Where that fails the connection is gone, and the subscription with it.
      await this.#reader.unsubscribe(this.#prefix + channel).catch(() => undefined);
    }
  }

  close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#ping);
    this.#writer.disconnect();
    this.#reader.disconnect();
    return Promise.resolve();
  }

  /** The first message of a process is not lost only because its connection is still being made. */
  async #whenFirstConnected(): Promise<void> {
    if (this.#writer.status === 'connecting' || this.#writer.status === 'connect') {
      await settled(this.#writer);
    }
  }
}

/** Resolves at the connection's next change of state. */
function settled(connection: Redis): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      connection.off('ready', done);
      connection.off('close', done);
      connection.off('end', done);
      resolve();
    };
    connection.on('ready', done);
    connection.on('close', done);
    connection.on('end', done);
  });
}
