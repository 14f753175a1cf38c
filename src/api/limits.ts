import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance } from 'fastify';

import { CallscribeError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';

/** Credentials whose requests are counted; beyond it, the one that asked least lately is forgotten. */
const COUNTED_MAX = 10_000;

/**
 * Counts the requests of each credential by the minute, in this process. Programs on this machine have no limit while
 * there is no token. Nor have routes without a credential: they read nothing.
 */
export async function limitRequests(
  app: FastifyInstance,
  requestsPerMinute: number,
  metrics: Metrics,
): Promise<void> {
  await app.register(rateLimit, {
    hook: 'preValidation',
    cache: COUNTED_MAX,
    timeWindow: '1 minute',
    keyGenerator: ({ principal }) => principal.tokenId,
    allowList: ({ principal }) => principal.kind === 'loopback',
    max: ({ principal }) => principal.requestsPerMinute ?? requestsPerMinute,
    enableDraftSpec: true,
    errorResponseBuilder: (_request, { max, after }) => {
      metrics.apiRefusals.inc({ reason: 'TOO_MANY_REQUESTS' });
      return new CallscribeError(
        'TOO_MANY_REQUESTS',
        `this credential may send ${max} requests a minute: ask again in ${after}`,
      );
    },
  });
}
