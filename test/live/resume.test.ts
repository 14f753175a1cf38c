import { afterEach, expect, it } from 'vitest';

import { loadConfig } from '../../src/config.ts';
import type { CallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { type Service, startService } from '../../workers/service.ts';
import { expectAllOf, placeTalk, runningCall } from '../support/live-calls.ts';
import { PositionsClient } from '../support/live-clients.ts';
import { completedCalls, startTestService, type TestService } from '../support/service.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** The api role by itself, beside a service without it. */
async function startApi({ databaseUrl, redisUrl, dataDir }: TestService): Promise<Service> {
  const api = await startService({
    config: loadConfig({
      DATABASE_URL: databaseUrl,
      REDIS_URL: redisUrl,
      DATA_DIR: dataDir,
      HTTP_LISTEN: '127.0.0.1:0',
    }),
    roles: ['api'],
    logger: silentLogger,
  });
  closers.push(() => api.close());
  return api;
}

it(
  'goes on exactly where the client says, in another api process, also with a call that came and went meanwhile',
  { timeout: 40_000 },
  async () => {
    const test = await startTestService({
      queue: 'redis',
      redisDb: 8,
      roles: ['intake', 'sentences', 'calls'],
    });
    closers.push(async () => test[Symbol.asyncDispose]());
    const first = await startApi(test);
    const client = new PositionsClient(first.httpUrl);
    closers.push(() => client.close());
    const ended = placeTalk(test);
    const longCall = await runningCall(test);
    await client.until(() => client.finals.length >= 3);

    await first.close();
    await placeTalk(test, 1);
    const [shortCall] = await completedCalls(test.pool, 1);
    const second = await startApi(test);
    client.moveTo(second.httpUrl);
    await ended;

    await client.until(() => client.of('call').filter(({ state }) => state === 'complete').length === 2);
    await expectAllOf(test, longCall, client);
    await expectAllOf(test, shortCall!.id, client, 1);
    const complete = client.of('call').filter(({ state }) => state === 'complete');
    expect(new Set(complete.map(({ call_id }) => call_id as CallId))).toEqual(
      new Set([longCall, shortCall!.id]),
    );
    expect(client.of('reset')).toEqual([]);
  },
);
