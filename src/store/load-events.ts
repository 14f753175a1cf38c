import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';
import type { StoredEvent } from './stored.ts';

const LOAD_EVENTS = {
  name: 'load-events',
  text: `
select event_no as "eventNo", leg_id as "legId", at, kind, detail
  from call_events
 where call_id = $1
 order by event_no`,
};

/** What happened in the call, in order. @throws what `pg` throws; see `toStoreError` */
export async function loadEvents(db: Queryable, callId: CallId): Promise<readonly StoredEvent[]> {
  const result = await db.query<StoredEvent>({ ...LOAD_EVENTS, values: [callId] });
  return result.rows;
}
