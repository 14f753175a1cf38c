import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import { insertTicket, takeTicket } from '../store/api-tickets.ts';
import type { Queryable } from '../store/pool.ts';
import { digestOf } from './digest.ts';
import { type Principal, SCOPES } from './principal.ts';

/** A browser opens its stream at once; an address with a ticket that lies in a log is worth nothing. */
export const TICKET_VALID_MS = 30_000;

/** JSON has no undefined; what is left out is. */
const principalSchema = z.object({
  kind: z.enum(['token', 'environment', 'oidc', 'loopback']),
  tokenId: z.string(),
  name: z.string(),
  tenant: z.string().optional(),
  scopes: z.array(z.enum(SCOPES)),
  requestsPerMinute: z.number().optional(),
  expiresAt: z.coerce.date().optional(),
});

/**
 * A ticket that stands for this principal once, within {@link TICKET_VALID_MS}, in every api process.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function issueTicket(
  db: Queryable,
  principal: Principal,
): Promise<{ readonly ticket: string; readonly expiresAt: Date }> {
  const ticket = randomBytes(32).toString('base64url');
  return { ticket, expiresAt: await insertTicket(db, digestOf(ticket), principal, TICKET_VALID_MS) };
}

/** @returns undefined where the ticket is unknown, used or expired. @throws what `pg` throws; see `toStoreError` */
export async function redeemTicket(db: Queryable, ticket: string): Promise<Principal | undefined> {
  const taken = await takeTicket(db, digestOf(ticket));
  if (taken === undefined) return undefined;
  const { tenant, requestsPerMinute, ...principal } = principalSchema.parse(taken);
  return { ...principal, tenant, requestsPerMinute };
}
