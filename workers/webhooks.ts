import { setTimeout as sleep } from 'node:timers/promises';

import { systemClock } from '../src/clock.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import type { QueueBackend } from '../src/queue/backend.ts';
import { backoffMs } from '../src/queue/backoff.ts';
import { Outage } from '../src/queue/outage.ts';
import { loadWebhookEvent } from '../src/store/load-webhook-event.ts';
import { type Pool, toStoreError } from '../src/store/pool.ts';
import { claimMessage, heldForMs, loadDueLanes } from '../src/store/webhook-claim.ts';
import { loadWebhookHealth, purgeDeadMessages, type WebhookHealth } from '../src/store/webhook-dead.ts';
import { loadUnknownNames, type UnknownEndpointName } from '../src/store/webhook-names.ts';
import { dropMessage, settleMessage } from '../src/store/webhook-settle.ts';
import type { AllowedBlocks } from '../src/webhooks/addresses.ts';
import { createGuardedAgent } from '../src/webhooks/guarded-agent.ts';
import { type Lane, LaneHeld, type LaneStore, runLane } from '../src/webhooks/lane.ts';
import { runRelay } from '../src/webhooks/relay.ts';
import { createSender } from '../src/webhooks/sender.ts';
import type { WebhookPolicy } from '../src/webhooks/verdict.ts';
import type { Role } from './role-type.ts';

export interface WebhooksDeps {
  /** Migrated; the caller ends it after the role. */
  readonly pool: Pool;
  readonly backend: QueueBackend;
  readonly policy: WebhookPolicy;
  /** Addresses that are not public and may be reached all the same. */
  readonly allow: AllowedBlocks;
  readonly logger: Logger;
  readonly metrics?: Metrics;
}

/** Lanes at once: four endpoints that stall with all their eight lanes leave the others waiting, for one time-out. */
const LANES_IN_HAND = 32;
const LOOK_EVERY_MS = 250;
const LOOK_AT_LEAST_EVERY_MS = 10_000;
/** A wake-up whose lane could not be worked at, such as without a database. */
const RETRY = { minMs: 500, maxMs: 30_000 };
/** What a request under way may still take when the role ends. */
const CLOSE_GRACE_MS = 3_000;
const LOOK_AFTER_EVERY_MS = 60_000;
const DEAD_KEEP_DAYS = 30;
const QUEUE = 'webhooks';

/**
 * The role that sends webhooks. Messages are rows; the queue spreads the lanes over the processes, and brings back the
 * lanes of an endpoint that failed when its pause is over.
 *
 * @throws {CallscribeError} QUEUE_UNREACHABLE
 */
export async function startWebhooksRole(deps: WebhooksDeps): Promise<Role> {
  const { pool, backend, policy, allow, logger, metrics } = deps;
  const closing = new AbortController();
  const interrupt = new AbortController();
  const nowMs = (): number => systemClock.monotonicMs();
  const queueOutage = new Outage(logger, { service: backend.kind, queue: QUEUE }, nowMs);
  const storeOutage = new Outage(logger, { service: 'store', queue: QUEUE }, nowMs);
  const onQueueError = (error: Error): void => {
    if (!closing.signal.aborted) queueOutage.failed(error);
  };
  const agent = createGuardedAgent({ allow, connectTimeoutMs: policy.timeoutMs });
  const lane = {
    store: laneStore(pool),
    send: createSender({ agent, timeoutMs: policy.timeoutMs, now: () => systemClock.wallTime() }),
    policy,
    backoffMs: (failures: number) => backoffMs(failures, Math.random(), policy.backoff),
    logger,
    closing: closing.signal,
    interrupt: interrupt.signal,
    onVerdict: (outcome: string) => metrics?.webhooks.inc({ outcome }),
  };
  const inHand = new Set<string>();
  const queue = await backend.openQueue(QUEUE, onQueueError);
  const worker = await backend
    .openWorker(QUEUE, {
      concurrency: LANES_IN_HAND,
      process: async ({ id, data }) => {
        queueOutage.worked();
        inHand.add(id);
        try {
          await runLane(lane, readLane(data));
          storeOutage.worked();
        } catch (thrown) {
          if (thrown instanceof LaneHeld) throw thrown;
          const error = toStoreError(thrown);
          storeOutage.failed(error);
          throw error;
        } finally {
          inHand.delete(id);
        }
      },
      retryDelayMs: (attempt, error) =>
        error instanceof LaneHeld ? error.forMs : backoffMs(attempt, Math.random(), RETRY),
      onError: onQueueError,
      onStalled: (jobId) => {
        logger.warn({ queue: QUEUE, jobId }, 'a lane came back because its worker fell silent');
      },
    })
    .catch(async (error: unknown) => {
      await Promise.all([queue.close(), agent.close()]);
      throw error;
    });
  const relay = runRelay(
    {
      dueLanes: async () => {
        const lanes = await loadDueLanes(pool).catch((thrown: unknown) => {
          const error = toStoreError(thrown);
          storeOutage.failed(error);
          throw error;
        });
        storeOutage.worked();
        return lanes.filter((due) => !inHand.has(idOf(due)));
      },
      wake: (lanes) =>
        queue
          .add(lanes.map((due) => ({ id: idOf(due), name: 'lane', data: { ...due } })))
          .catch((thrown: unknown) => {
            onQueueError(toError(thrown));
            throw thrown;
          }),
      pauseMs: LOOK_EVERY_MS,
      maxPauseMs: LOOK_AT_LEAST_EVERY_MS,
      // Told by the outages.
      onFailure: () => metrics?.webhooks.inc({ outcome: 'not_looked' }),
      onSuccess: () => undefined,
    },
    closing.signal,
  );
  const upkeep = lookAfter(deps, closing.signal);
  const close = async (): Promise<void> => {
    closing.abort();
    const grace = setTimeout(() => {
      interrupt.abort();
    }, CLOSE_GRACE_MS);
    await Promise.all([relay, upkeep, worker.close()]);
    clearTimeout(grace);
    await queue.close();
    await agent.destroy();
  };
  let closed: Promise<void> | undefined;
  return { name: QUEUE, close: () => (closed ??= close()) };
}

const idOf = ({ endpointId, lane }: Lane): string => `${endpointId}.${lane}`;

/** Its rows know all there is to a message. @throws {CallscribeError} JOB_MALFORMED */
function readLane(data: unknown): Lane {
  const { endpointId, lane } = (data ?? {}) as Partial<Record<keyof Lane, unknown>>;
  if (typeof endpointId === 'string' && typeof lane === 'number') return { endpointId, lane };
  throw new CallscribeError('JOB_MALFORMED', 'a wake-up of webhooks names no lane');
}

const laneStore = (pool: Pool): LaneStore => ({
  claim: (lane, leaseMs) => claimMessage(pool, lane, leaseMs),
  loadEvent: (message) => loadWebhookEvent(pool, message),
  settle: (message, verdict) => settleMessage(pool, message, verdict),
  drop: (message) => dropMessage(pool, message.id),
  heldForMs: (endpointId) => heldForMs(pool, endpointId),
});

/** Figures for whoever watches, and dead messages beyond their time. */
async function lookAfter({ pool, metrics, logger }: WebhooksDeps, closing: AbortSignal): Promise<void> {
  let health: ShownHealth | undefined;
  let unknownNames: readonly UnknownEndpointName[] = [];
  if (metrics !== undefined) showHealth(metrics, () => health);
  while (!closing.aborted) {
    try {
      await purgeDeadMessages(pool, DEAD_KEEP_DAYS);
      const unknown = await loadUnknownNames(pool, systemClock.wallTime());
      warnOfNew(unknown, unknownNames, logger);
      unknownNames = unknown;
      health = { ...(await loadWebhookHealth(pool)), unknownNames: unknown.length };
    } catch (thrown) {
      health = undefined;
      logger.debug({ err: toStoreError(thrown) }, 'the figures of webhooks cannot be read');
    }
    await sleep(LOOK_AFTER_EVERY_MS, undefined, { signal: closing }).catch(() => undefined);
  }
}

function warnOfNew(
  names: readonly UnknownEndpointName[],
  known: readonly UnknownEndpointName[],
  logger: Logger,
): void {
  for (const { tenant, name, callId } of names) {
    if (known.some((before) => before.tenant === tenant && before.name === name)) continue;
    const facts = { tenant, endpoint: name, callId };
    logger.warn(facts, 'a rule names a webhook endpoint that its tenant does not have');
  }
}

interface ShownHealth extends WebhookHealth {
  readonly unknownNames: number;
}

/** Of the last look; not a number where it failed. */
function showHealth(metrics: Metrics, read: () => ShownHealth | undefined): void {
  const show = (name: string, help: string, figure: (health: ShownHealth) => number): void => {
    observe(metrics, `callscribe_webhooks_${name}`, help, () => {
      const health = read();
      return health === undefined ? Number.NaN : figure(health);
    });
  };
  show('waiting', 'messages that wait to be delivered', ({ waiting }) => waiting);
  show('oldest_seconds', 'how long the oldest of them waits', ({ oldestSeconds }) => oldestSeconds);
  show('dead', 'messages that were given up (npm run webhooks -- dead)', ({ dead }) => dead);
  show('endpoints_held', 'endpoints that failed and are left alone for a while', ({ held }) => held);
  show(
    'endpoints_disabled',
    'endpoints that were disabled because they fail or want no more',
    ({ disabled }) => disabled,
  );
  show(
    'unknown_names',
    'names that rules gave to calls of the last hour and that no endpoint has (npm run webhooks -- list)',
    ({ unknownNames }) => unknownNames,
  );
}
