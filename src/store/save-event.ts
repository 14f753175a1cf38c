import type { CallEvent } from '../call/record.ts';
import type { Queryable } from './pool.ts';

/**
 * Inserts events, each once, except those of forgotten calls; makes their calls as skeletons, first, where their
 * snapshots have not come yet.
 */
const SAVE_EVENTS = {
  name: 'save-events',
  text: `
with given as materialized (
  select *
    from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[])
      as t (call_id, event_no, leg_id, at, kind, detail)
   where not exists (select from forgotten_calls where forgotten_calls.call_id = t.call_id)
), call as (
  insert into calls (id)
  select distinct call_id from given
   where not exists (select from calls where calls.id = call_id and calls.id = any($1))
   order by 1
  on conflict do nothing returning 1
)
insert into call_events (call_id, event_no, leg_id, at, kind, detail)
select call_id, event_no, leg_id, at, kind, detail::jsonb
  from given where (select count(*) from call) >= 0 order by call_id, event_no
on conflict (call_id, event_no) do nothing`,
};

/**
 * @returns how many were new
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveEvents(db: Queryable, events: readonly CallEvent[]): Promise<number> {
  if (events.length === 0) return 0;
  const column = <T>(read: (event: CallEvent) => T): T[] => events.map(read);
  const result = await db.query({
    ...SAVE_EVENTS,
    values: [
      column(({ callId }) => callId),
      column(({ eventNo }) => eventNo),
      column(({ legId }) => legId),
      column(({ at }) => at),
      column(({ kind }) => kind),
      column(({ detail }) => JSON.stringify(detail)),
    ],
  });
  return result.rowCount ?? 0;
}

/** {@link saveEvents} for one. @throws what `pg` throws; see `toStoreError` */
export async function saveEvent(db: Queryable, event: CallEvent): Promise<'written' | 'repeated'> {
  return (await saveEvents(db, [event])) === 1 ? 'written' : 'repeated';
}
