import type { FastifyRequest } from 'fastify';

import type { CallId } from '../ids.ts';
import { logRead, type ReadKind } from '../store/access-log.ts';
import type { Queryable } from '../store/pool.ts';

/**
 * Notes that whoever asks reads these calls. Await it before the first byte goes out: what cannot be noted is not
 * handed out.
 *
 * @throws what `pg` throws; the request then fails
 */
export async function recordRead(
  db: Queryable,
  { principal, id: requestId, socket }: FastifyRequest,
  kind: ReadKind,
  callIds: readonly CallId[],
): Promise<void> {
  const { tokenId, name: tokenName, tenant } = principal;
  const peer = socket.remoteAddress ?? 'unknown';
  await logRead(db, { kind, callIds, tokenId, tokenName, tenant, requestId, peer });
}
