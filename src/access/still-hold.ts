import { findHoldingApiTokens, hasApiTokens } from '../store/api-tokens.ts';
import type { Queryable } from '../store/pool.ts';
import type { Principal } from './principal.ts';

/**
 * Those of the principals, each proven at some time, whose credentials still hold: for what goes on for longer than a
 * request. A token of the environment holds as long as the process runs.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function stillHold(
  db: Queryable,
  principals: readonly Principal[],
  now: Date,
): Promise<ReadonlySet<Principal>> {
  const idsOf = (kind: Principal['kind']): readonly string[] => [
    ...new Set(principals.flatMap((principal) => (principal.kind === kind ? [principal.tokenId] : []))),
  ];
  const stored = idsOf('token');
  const holding = new Set(stored.length === 0 ? [] : await findHoldingApiTokens(db, stored));
  // Nobody is served without a token any more once there was one.
  const isOpen = idsOf('loopback').length === 0 || !(await hasApiTokens(db));
  return new Set(
    principals.filter(({ kind, tokenId, expiresAt }) => {
      if (expiresAt !== undefined && expiresAt <= now) return false;
      if (kind === 'token') return holding.has(tokenId);
      return kind !== 'loopback' || isOpen;
    }),
  );
}
