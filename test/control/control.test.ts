import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import type { Bus } from '../../src/bus/bus.ts';
import { loadConfig } from '../../src/config.ts';
import { REPLIES, REQUESTS } from '../../src/control/commands.ts';
import { ControlClient } from '../../src/control/control-client.ts';
import { serveControl } from '../../src/control/control-server.ts';
import { CallscribeError } from '../../src/errors.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import { openBus } from '../../workers/stores.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

describe.each(['redis', 'postgres'] as const)('a command over %s', { timeout: 30_000 }, (kind) => {
  let database: TestDatabase;
  let bus: Bus;
  beforeAll(async () => {
    database = await createDatabase();
    const env: Record<string, string> = kind === 'redis' ? { REDIS_URL: `${inject('redisUrl')}/13` } : {};
    const config = loadConfig({ DATABASE_URL: database.url, ...env });
    bus = openBus(config, database.url, { logger: silentLogger, metrics: createMetrics() });
  });
  afterAll(async () => {
    await bus.close();
    await database.drop();
  });

  const PAUSE = { kind: 'pause', by: 'test' } as const;
  const PAUSED = { state: 'paused', since: null, changed: true };

  it('is answered by whoever has the call, when it has taken effect, and others do not matter', async () => {
    const [ours, theirs] = [newCallId(), newCallId()];
    let done = false;
    const stops = [
      await serveControl({ bus, execute: () => Promise.resolve(undefined), logger: silentLogger }),
      await serveControl({
        bus,
        execute: async (callId) => {
          if (callId !== ours) return undefined;
          await new Promise((resolve) => setTimeout(resolve, 50));
          done = true;
          return PAUSED;
        },
        logger: silentLogger,
      }),
    ];
    const client = await ControlClient.open(bus, { answerWithinMs: 700 });
    expect(await client.ask(ours, PAUSE)).toEqual(PAUSED);
    expect(done).toBe(true);
    expect(await client.ask(theirs, PAUSE)).toBeUndefined();
    await client.close();
    for (const stop of stops) await stop();
  });

  it('is sent again until it is answered, and done once', async () => {
    const asked: string[] = [];
    let times = 0;
    const stop = await serveControl({
      bus,
      // The answer is lost the first time, as far as the client can tell: it leaves after the next request came.
      execute: async () => {
        times += 1;
        while (asked.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
        return PAUSED;
      },
      logger: silentLogger,
    });
    const unsubscribe = await bus.subscribe(REQUESTS, {
      onMessage: (message) => asked.push((JSON.parse(message) as { id: string }).id),
      onLost: () => undefined,
    });
    const client = await ControlClient.open(bus);
    expect(await client.ask(newCallId(), PAUSE)).toEqual(PAUSED);
    expect(times).toBe(1);
    expect(new Set(asked).size).toBe(1);
    await client.close();
    await unsubscribe();
    await stop();
  });

  it('that nobody answers, or that fails, is an error that says so', async () => {
    const client = await ControlClient.open(bus, { answerWithinMs: 300 });
    await expect(client.ask(newCallId(), PAUSE)).rejects.toMatchObject({ code: 'CONTROL_TIMEOUT' });
    const stop = await serveControl({
      bus,
      execute: () => Promise.reject(new CallscribeError('STORAGE_UNUSABLE', 'no disk')),
      logger: silentLogger,
    });
    await expect(client.ask(newCallId(), PAUSE)).rejects.toMatchObject({ code: 'CONTROL_FAILED' });
    await client.close();
    await stop();
  });

  it('is not disturbed by what is no message of this version', async () => {
    const stop = await serveControl({ bus, execute: () => Promise.resolve(PAUSED), logger: silentLogger });
    const client = await ControlClient.open(bus);
    for (const channel of [REQUESTS, REPLIES]) {
      for (const message of ['', 'x', '{}', '[]', JSON.stringify({ id: randomUUID(), command: 1 })]) {
        bus.publish(channel, message);
      }
    }
    bus.publish(
      REQUESTS,
      JSON.stringify({ id: randomUUID(), callId: newCallId(), command: { kind: 'explode', by: 'x' } }),
    );
    expect(await client.ask(newCallId(), PAUSE)).toEqual(PAUSED);
    await client.close();
    await stop();
  });
});
