import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';

import { type Bus, type BusListener, type BusOutcome, MESSAGE_MAX_BYTES } from '../../src/bus/bus.ts';
import { PacketBus } from '../../src/bus/packet-bus.ts';
import { postgresTransport } from '../../src/bus/postgres-transport.ts';
import { redisTransport } from '../../src/bus/redis-transport.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase('empty');
});
afterAll(() => database.drop());

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** What came, with a way to wait for it. */
class Heard implements BusListener {
  readonly log: string[] = [];
  #waiting: (() => void)[] = [];

  onMessage(message: string): void {
    this.#note(message);
  }

  onLost(): void {
    this.#note('LOST');
  }

  async until(isMet: (log: readonly string[]) => boolean): Promise<void> {
    while (!isMet(this.log)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #note(entry: string): void {
    this.log.push(entry);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

describe.each(['redis', 'postgres'] as const)('the bus on %s', (kind) => {
  const serverUrl = (): string => (kind === 'redis' ? `${inject('redisUrl')}/7` : database.url);

  function open(url = serverUrl(), outcomes: Partial<Record<BusOutcome, number>> = {}): Bus {
    const bus = new PacketBus({
      openTransport:
        kind === 'redis'
          ? redisTransport({ redisUrl: url, logger })
          : postgresTransport({ databaseUrl: url, logger }),
      logger,
      onOutcome: (outcome, count) => {
        outcomes[outcome] = (outcomes[outcome] ?? 0) + count;
      },
    });
    closers.push(() => bus.close());
    return bus;
  }

  async function listen(bus: Bus, channel = 'live'): Promise<Heard> {
    const heard = new Heard();
    await bus.subscribe(channel, heard);
    return heard;
  }

  it('brings every message to every subscriber of the channel, in order, also in its own process', async () => {
    const [one, other] = [open(), open()];
    const all = [await listen(one), await listen(one), await listen(other)];
    const elsewhere = await listen(other, 'control');
    const messages = Array.from({ length: 5_000 }, (_, no) => `{"no":${no},"text":"您好，客服中心 😀"}`);
    for (const message of messages) one.publish('live', message);
    one.publish('control', 'the end');
    await elsewhere.until((log) => log.length > 0);
    for (const heard of all) {
      await heard.until((log) => log.length >= messages.length);
      expect(heard.log).toEqual(messages);
    }
    expect(elsewhere.log).toEqual(['the end']);
  });

  it('carries a message of the largest size whole, and drops a larger one, which is told', async () => {
    const outcomes: Partial<Record<BusOutcome, number>> = {};
    const bus = open(undefined, outcomes);
    const heard = await listen(bus);
    const largest = '音'.repeat(Math.floor(MESSAGE_MAX_BYTES / 3));
    bus.publish('live', largest);
    await heard.until((log) => log.length > 0);
    expect(heard.log).toEqual([largest]);
    bus.publish('live', `${largest}音`);
    await heard.until((log) => log.length > 1);
    expect(heard.log[1]).toBe('LOST');
    expect(outcomes).toMatchObject({ sent: 1, dropped: 1, lost: 1 });
  });

  it('does not let publishing wait: what is too much at once is dropped, counted and told', async () => {
    const outcomes: Partial<Record<BusOutcome, number>> = {};
    const bus = open(undefined, outcomes);
    const heard = await listen(bus);
    const message = 'x'.repeat(100_000);
    for (let count = 0; count < 200; count += 1) bus.publish('live', message);
    await heard.until((log) => log.includes('LOST'));
    await bus.close();
    expect(outcomes.dropped).toBeGreaterThan(0);
    expect((outcomes.dropped ?? 0) + (outcomes.sent ?? 0)).toBe(200);
  });

  it('tells a subscriber that was cut off that it may have missed something, once it listens again', async () => {
    const proxy = await TcpProxy.to(serverUrl());
    closers.push(() => proxy.close());
    const [publisher, subscriber] = [open(), open(proxy.url(serverUrl()))];
    const heard = await listen(subscriber);
    publisher.publish('live', 'before');
    await heard.until((log) => log.includes('before'));
    await proxy.cut('refuse');
    publisher.publish('live', 'meanwhile');
    await proxy.mend();
    await heard.until((log) => log.includes('LOST'));
    publisher.publish('live', 'after');
    await heard.until((log) => log.includes('after'));
    expect(heard.log.filter((entry) => entry !== 'LOST')).toEqual(['before', 'after']);
  });

  it('tells all subscribers when a publisher was cut off, though nothing more is published', async () => {
    const proxy = await TcpProxy.to(serverUrl());
    closers.push(() => proxy.close());
    const outcomes: Partial<Record<BusOutcome, number>> = {};
    const [publisher, subscriber] = [open(proxy.url(serverUrl()), outcomes), open()];
    const heard = await listen(subscriber);
    publisher.publish('live', 'before');
    await heard.until((log) => log.includes('before'));
    await proxy.cut('drop');
    publisher.publish('live', 'meanwhile');
    publisher.publish('live', 'and more');
    await proxy.mend();
    await heard.until((log) => log.includes('LOST'));
    publisher.publish('live', 'after');
    await heard.until((log) => log.includes('after'));
    await publisher.close();
    expect(heard.log).toEqual(['before', 'LOST', 'after']);
    expect(outcomes).toMatchObject({ sent: 2, dropped: 2 });
  });

  it('ends a subscription without touching the others, also those of the same channel', async () => {
    const bus = open();
    const [first, second] = [new Heard(), new Heard()];
    const unsubscribe = await bus.subscribe('live', first);
    const unsubscribeSecond = await bus.subscribe('live', second);
    await unsubscribe();
    bus.publish('live', 'one');
    await second.until((log) => log.length > 0);
    await unsubscribeSecond();
    bus.publish('live', 'two');
    const again = await listen(bus);
    bus.publish('live', 'three');
    await again.until((log) => log.includes('three'));
    expect([first.log, second.log]).toEqual([[], ['one']]);
  });

  it('goes on when a listener throws', async () => {
    const outcomes: Partial<Record<BusOutcome, number>> = {};
    const bus = open(undefined, outcomes);
    const throwing = (): void => {
      throw new Error('a mistake');
    };
    await bus.subscribe('live', { onMessage: throwing, onLost: throwing });
    const heard = await listen(bus);
    bus.publish('live', 'one');
    await heard.until((log) => log.length > 0);
    expect(outcomes).toMatchObject({ received: 1, failed: 1 });
  });

  it('says so when nothing answers where it should subscribe', { timeout: 15_000 }, async () => {
    const proxy = await TcpProxy.to(serverUrl());
    closers.push(() => proxy.close());
    const bus = open(proxy.url(serverUrl()));
    await proxy.cut('refuse');
    await expect(bus.subscribe('live', new Heard())).rejects.toMatchObject({ code: 'BUS_UNREACHABLE' });
  });

  it('refuses names of channels and messages that it could not carry', async () => {
    const bus = open();
    expect(() => {
      bus.publish('Live!', 'x');
    }).toThrow(RangeError);
    expect(() => {
      bus.publish('live', 'two\nlines');
    }).toThrow(RangeError);
    await expect(bus.subscribe('', new Heard())).rejects.toThrow(RangeError);
  });
});

it('does not hear what another deployment publishes in another database of the same Redis', async () => {
  const [mine, other] = ['7', '8'].map((db) => {
    const redisUrl = `${inject('redisUrl')}/${db}`;
    const bus = new PacketBus({ openTransport: redisTransport({ redisUrl, logger }), logger });
    closers.push(() => bus.close());
    return bus;
  });
  const heard = new Heard();
  await mine!.subscribe('live', heard);
  const otherHeard = new Heard();
  await other!.subscribe('live', otherHeard);
  other!.publish('live', 'theirs');
  await otherHeard.until((log) => log.length > 0);
  mine!.publish('live', 'ours');
  await heard.until((log) => log.length > 0);
  expect(heard.log).toEqual(['ours']);
});
