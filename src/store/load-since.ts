import type { CallId } from '../ids.ts';
import { SENTENCE_COLUMNS } from './load-transcript.ts';
import type { Queryable } from './pool.ts';
import type { StoredEvent, StoredSentence } from './stored.ts';

const LOAD_SENTENCES_SINCE = {
  name: 'load-sentences-since',
  text: `
select ${SENTENCE_COLUMNS}
  from sentences join legs on legs.id = leg_id and legs.id between leg_ids_from($1) and leg_ids_to($1)
 where sentences.call_id = $1 and leg_id between leg_ids_from($1) and leg_ids_to($1)
   and sentence_no > coalesce(($3::int[])[array_position($2::int[], leg_no)], 0)
 order by begin_at, leg_no, sentence_no
 limit $4`,
};

/**
 * The call's sentences of all legs after a place in each, in the order in which they were begun.
 *
 * @param sentenceNos the last one that is not wanted, by leg number; of other legs all are
 * @throws what `pg` throws; see `toStoreError`
 */
export async function loadSentencesSince(
  db: Queryable,
  callId: CallId,
  sentenceNos: ReadonlyMap<number, number>,
  limit: number,
): Promise<readonly StoredSentence[]> {
  const values = [callId, [...sentenceNos.keys()], [...sentenceNos.values()], limit];
  const { rows } = await db.query<StoredSentence>({ ...LOAD_SENTENCES_SINCE, values });
  return rows;
}

const LOAD_EVENTS_SINCE = {
  name: 'load-events-since',
  text: `
select event_no as "eventNo", leg_id as "legId", at, kind, detail
  from call_events
 where call_id = $1 and event_no > $2
 order by event_no
 limit $3`,
};

/** What happened in the call after that event, in order. @throws what `pg` throws; see `toStoreError` */
export async function loadEventsSince(
  db: Queryable,
  callId: CallId,
  eventNo: number,
  limit: number,
): Promise<readonly StoredEvent[]> {
  const { rows } = await db.query<StoredEvent>({ ...LOAD_EVENTS_SINCE, values: [callId, eventNo, limit] });
  return rows;
}

const FIND_UNFINISHED_CALLS = {
  name: 'find-unfinished-calls',
  text: `
select id from calls
 where state in ('active', 'finishing') and ($1::text is null or tenant = $1)
 order by started_at desc
 limit $2`,
};

/** Calls that go on or are being finished, newest first. @throws what `pg` throws; see `toStoreError` */
export async function findUnfinishedCalls(
  db: Queryable,
  tenant: string | undefined,
  limit: number,
): Promise<readonly CallId[]> {
  const { rows } = await db.query<{ id: CallId }>({
    ...FIND_UNFINISHED_CALLS,
    values: [tenant ?? null, limit],
  });
  return rows.map(({ id }) => id);
}

const FIND_CALLS_BEGUN_SINCE = {
  name: 'find-calls-begun-since',
  text: `
select id from calls
 where started_at >= $2 and ($1::text is null or tenant = $1)
 order by started_at desc
 limit $3`,
};

/** Newest first, also those that have ended. @throws what `pg` throws; see `toStoreError` */
export async function findCallsBegunSince(
  db: Queryable,
  tenant: string | undefined,
  since: Date,
  limit: number,
): Promise<readonly CallId[]> {
  const { rows } = await db.query<{ id: CallId }>({
    ...FIND_CALLS_BEGUN_SINCE,
    values: [tenant ?? null, since, limit],
  });
  return rows.map(({ id }) => id);
}
