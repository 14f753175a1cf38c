import type { Bus } from '../src/bus/bus.ts';
import type { Clock } from '../src/clock.ts';
import { LiveFeed } from '../src/live/feed.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { loadCall } from '../src/store/load-call.ts';
import { loadLegs } from '../src/store/load-legs.ts';
import {
  findCallsBegunSince,
  findUnfinishedCalls,
  loadEventsSince,
  loadSentencesSince,
} from '../src/store/load-since.ts';
import type { Queryable } from '../src/store/pool.ts';

export interface LiveFeedDeps {
  readonly pool: Queryable;
  readonly bus: Bus;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** What the api role sends its live subscribers from. @throws {CallscribeError} BUS_UNREACHABLE */
export async function openLiveFeed({ pool, bus, metrics, logger, clock }: LiveFeedDeps): Promise<LiveFeed> {
  const feed = await LiveFeed.open({
    bus,
    store: {
      loadCall: (callId) => loadCall(pool, callId),
      loadLegs: (callId) => loadLegs(pool, callId),
      sentencesSince: (callId, nos, limit) => loadSentencesSince(pool, callId, nos, limit),
      eventsSince: (callId, eventNo, limit) => loadEventsSince(pool, callId, eventNo, limit),
      unfinishedCalls: (tenant, limit) => findUnfinishedCalls(pool, tenant, limit),
      callsBegunSince: (tenant, since, limit) => findCallsBegunSince(pool, tenant, since, limit),
    },
    clock,
    logger,
    onOutcome: (outcome) => {
      metrics.liveStreams.inc({ outcome });
    },
  });
  observe(metrics, 'callscribe_live_subscribers', 'live streams that are open', () => feed.subscribers);
  return feed;
}
