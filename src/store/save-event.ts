import type { CallEvent } from '../call/record.ts';
import type { Queryable } from './pool.ts';

/** Inserts an event, once; makes the call as a skeleton, first, where its snapshot has not come yet. */
const SAVE_EVENT = {
  name: 'save-event',
  text: `
with call as (
  insert into calls (id) values ($1) on conflict do nothing returning 1
)
insert into call_events (call_id, event_no, leg_id, at, kind, detail)
select $1, $2, $3, $4, $5, $6 where (select count(*) from call) >= 0
on conflict (call_id, event_no) do nothing`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function saveEvent(db: Queryable, event: CallEvent): Promise<'written' | 'repeated'> {
  const { callId, eventNo, legId, at, kind, detail } = event;
  const values = [callId, eventNo, legId, at, kind, JSON.stringify(detail)];
  const result = await db.query({ ...SAVE_EVENT, values });
  return result.rowCount === 1 ? 'written' : 'repeated';
}
