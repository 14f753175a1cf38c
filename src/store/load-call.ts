import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { StoredCall } from './stored.ts';

const LOAD_CALL = {
  name: 'load-call',
  text: `
select id, revision, state, sip_call_id as "sipCallId", tenant, direction, mapping, started_at as "startedAt",
       answered_at as "answeredAt", ended_at as "endedAt", end_reason as "endReason", metadata,
       coalesce((select jsonb_agg(jsonb_build_object('kind', kind, 'value', value) order by kind, value)
                   from call_identifiers where call_id = calls.id), '[]') as identifiers
  from calls
 where id = $1 and ($2::text is null or tenant = $2)`,
};

/**
 * @param tenant the only one that may be seen; undefined sees all
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadCall(
  db: Queryable,
  callId: CallId,
  tenant?: string,
): Promise<StoredCall | undefined> {
  const result = await db.query<StoredCall>({ ...LOAD_CALL, values: [callId, tenant ?? null] });
  return result.rows[0];
}
