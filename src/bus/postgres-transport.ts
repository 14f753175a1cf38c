import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';

import { systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import type { BusTransport, OpenTransport, TransportEvents } from './transport.ts';

export interface PostgresTransportOptions {
  readonly databaseUrl: string;
  readonly logger: Logger;
}

/** A payload must be shorter than 8000 bytes. */
const PACKET_MAX_BYTES = 7_900;
const STATEMENT_MAX_MS = 2_000;
const CONNECT_MAX_MS = 5_000;
/** How often it is asked whether the listening session still leads anywhere. */
const PING_EVERY_MS = 5_000;
const RETRY_MAX_MS = 2_000;
const PREFIX = 'callscribe_';

/** LISTEN and NOTIFY of Postgres 14 or newer: for where there is no Redis. Not through PgBouncer. */
export function postgresTransport(options: PostgresTransportOptions): OpenTransport {
  return (events) => new PostgresTransport(options, events);
}

class PostgresTransport implements BusTransport {
  readonly packetMaxBytes = PACKET_MAX_BYTES;
  readonly #options: PostgresTransportOptions;
  readonly #events: TransportEvents;
  readonly #channels = new Set<string>();
  #writer: Promise<pg.Client> | undefined;
  #reader: Promise<pg.Client> | undefined;
  /** The reader, while it stands. */
  #listening: pg.Client | undefined;
  readonly #closing = new AbortController();
  #ping: NodeJS.Timeout | undefined;

  constructor(options: PostgresTransportOptions, events: TransportEvents) {
    this.#options = options;
    this.#events = events;
  }

  async send(channel: string, packets: readonly string[]): Promise<void> {
    this.#writer ??= this.#connect(() => (this.#writer = undefined));
    const client = await this.#writer.catch((error: unknown) => {
      this.#writer = undefined;
      throw error;
    });
    try {
      await client.query({
        name: 'bus-notify',
        text: 'select pg_notify($1, packet) from unnest($2::text[]) as packet',
        values: [PREFIX + channel, packets],
      });
    } catch (error) {
      this.#writer = undefined;
      void client.end().catch(() => undefined);
      throw error;
    }
  }

  async listen(channel: string): Promise<void> {
    this.#channels.add(channel);
    this.#reader ??= this.#openReader();
    const client = await this.#reader;
    await client.query(`listen ${PREFIX}${channel}`);
  }

  async unlisten(channel: string): Promise<void> {
    this.#channels.delete(channel);
    // Where that fails the session is gone, and the subscription with it.
    await this.#listening?.query(`unlisten ${PREFIX}${channel}`).catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearInterval(this.#ping);
    const sessions = [this.#writer, this.#reader].map(async (session) => (await session)?.end());
    await within(STATEMENT_MAX_MS, Promise.allSettled(sessions));
  }

  async #connect(onGone: () => void): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      connectionTimeoutMillis: CONNECT_MAX_MS,
      query_timeout: STATEMENT_MAX_MS,
      keepAlive: true,
      // Nothing of it is kept, so nothing need wait for the disk.
      options: '-c synchronous_commit=off',
      application_name: 'callscribe bus',
    });
    client.on('error', (error) => {
      this.#options.logger.debug({ code: systemCode(error) }, 'a Postgres session of the live bus was lost');
    });
    client.on('end', onGone);
    await client.connect();
    return client;
  }

  /** Tries until it listens to every channel, or the transport is closed. */
  async #openReader(): Promise<pg.Client> {
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)) {
      this.#closing.signal.throwIfAborted();
      try {
        const client = await this.#connect(() => undefined);
        client.on('notification', ({ channel, payload = '' }) => {
          this.#events.onPacket(channel.slice(PREFIX.length), payload);
        });
        for (const channel of this.#channels) await client.query(`listen ${PREFIX}${channel}`);
        this.#watch(client);
        return client;
      } catch (error) {
        this.#options.logger.debug({ code: systemCode(error) }, 'the live bus cannot listen yet');
        await sleep(pauseMs, undefined, { signal: this.#closing.signal });
      }
    }
  }

  #watch(client: pg.Client): void {
    this.#listening = client;
    const ping = setInterval(() => {
      client.query('select 1').catch(() => client.end().catch(() => undefined));
    }, PING_EVERY_MS);
    ping.unref();
    this.#ping = ping;
    client.once('end', () => {
      clearInterval(ping);
      this.#listening = undefined;
      if (this.#closing.signal.aborted) return;
      this.#reader = this.#openReader();
      this.#reader.then(
        () => {
          this.#events.onBack();
        },
        // The transport was closed meanwhile.
        () => undefined,
      );
    });
  }
}
