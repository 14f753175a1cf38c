import { randomBytes } from 'node:crypto';

import { inject } from 'vitest';

import { type Logger, silentLogger } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import type { QueueBackend } from '../../src/queue/backend.ts';
import { postgresBackend } from '../../src/queue/postgres-backend.ts';
import { redisBackend } from '../../src/queue/redis-backend.ts';
import { Secret } from '../../src/secret.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { addEndpoint } from '../../src/store/webhook-endpoints.ts';
import { newSecret } from '../../src/webhooks/endpoint.ts';
import { WEBHOOK_EVENT_TYPES, type WebhookEventType } from '../../src/webhooks/events.ts';
import { WEBHOOK_POLICY, type WebhookPolicy } from '../../src/webhooks/verdict.ts';
import { CloseStack } from '../../workers/close-stack.ts';
import type { Role } from '../../workers/role-type.ts';
import { startWebhooksRole } from '../../workers/webhooks.ts';
import { createDatabase } from './database.ts';

/** A database of a test's own, and the webhooks role on it as often as it is started. */
export interface TestWebhooks extends AsyncDisposable {
  readonly pool: Pool;
  /** Keys of its queue in Redis begin with it. */
  readonly prefix: string;
  /** Metrics of the role that was started last, as a scraper gets them. */
  metrics(): Promise<string>;
  start(policy?: Partial<WebhookPolicy>): Promise<Role>;
  addEndpoint(
    url: string,
    more?: {
      readonly tenant?: string;
      readonly name?: string;
      readonly eventTypes?: readonly WebhookEventType[];
    },
  ): Promise<{ readonly id: string; readonly secret: string }>;
}

/** Pauses that a test can wait for. */
export const QUICK: WebhookPolicy = {
  ...WEBHOOK_POLICY,
  timeoutMs: 5_000,
  backoff: { minMs: 20, maxMs: 100 },
};

export async function openWebhooks(
  kind: 'redis' | 'postgres',
  logger: Logger = silentLogger,
): Promise<TestWebhooks> {
  const closers = new CloseStack();
  const database = await createDatabase();
  closers.add(() => database.drop());
  const pool = createPool({ databaseUrl: database.url, logger });
  closers.add(() => pool.end());
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const backend = (): QueueBackend =>
    kind === 'redis'
      ? redisBackend({ redisUrl: inject('redisUrl'), prefix })
      : postgresBackend({ databaseUrl: database.url });
  let metrics = createMetrics();
  return {
    pool,
    prefix,
    metrics: () => metrics.registry.metrics(),
    start: async (policy = {}) => {
      metrics = createMetrics();
      const role = await startWebhooksRole({
        pool,
        backend: backend(),
        policy: { ...QUICK, ...policy },
        allow: ['127.0.0.0/8'],
        logger,
        metrics,
      });
      closers.add(() => role.close());
      return role;
    },
    addEndpoint: async (url, { tenant = 'default', name, eventTypes = WEBHOOK_EVENT_TYPES } = {}) => {
      const secret = newSecret();
      const given = { tenant, name, url, eventTypes, secret: new Secret(secret) };
      return { id: await addEndpoint(pool, given), secret };
    },
    [Symbol.asyncDispose]: () => closers.close(),
  };
}
