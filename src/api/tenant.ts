import type { Principal } from '../access/principal.ts';
import { CallscribeError } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { loadCall } from '../store/load-call.ts';
import type { Queryable } from '../store/pool.ts';
import type { StoredCall } from '../store/stored.ts';

/** No tenant has it: what is asked for exists for nobody who asks. */
const NO_TENANT = '';

/**
 * The only tenant whose rows a request may see; undefined: all. Asking for another than one's own finds nothing.
 *
 * @param asked by the request itself, where it filters by tenant
 */
export function seenTenant({ tenant }: Principal, asked?: string): string | undefined {
  if (tenant === undefined) return asked;
  return asked === undefined || asked === tenant ? tenant : NO_TENANT;
}

/** @throws {CallscribeError} NOT_FOUND, also where another tenant has it */
export async function findCall(db: Queryable, principal: Principal, callId: CallId): Promise<StoredCall> {
  const call = await loadCall(db, callId, principal.tenant);
  if (call === undefined) throw new CallscribeError('NOT_FOUND', 'there is no such call');
  return call;
}
