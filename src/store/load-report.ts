import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** A span of time: calls that began in `[from, to)`. */
export interface ReportSpan {
  readonly from: Date;
  readonly to: Date;
}

/** What the rows of a span come to. Seconds are of audio, over all legs. */
export interface ReportTotals {
  readonly calls: number;
  readonly active: number;
  readonly finishing: number;
  readonly complete: number;
  readonly failed: number;
  readonly legs: number;
  readonly sentences: number;
  readonly heardSeconds: number;
  readonly recognisedSeconds: number;
  readonly concealedSeconds: number;
  readonly deadLetters: number;
}

/**
 * One thing that is not as it should be:
 * - `unrecognised`: audio that came and that no recogniser gave words for;
 * - `sentences_missing`: the leg gave more sentences than there are rows;
 * - `lost`, `failed`: the call was given up, or none of its audio was recognised;
 * - `no_audio`: the call was answered and nothing came on the leg.
 */
export interface ReportGap {
  readonly kind: 'unrecognised' | 'sentences_missing' | 'lost' | 'failed' | 'no_audio';
  readonly callId: CallId;
  readonly startedAt: Date | null;
  readonly legNo: number | null;
  /** Seconds of audio, or sentences; null where it is neither. */
  readonly amount: number | null;
}

/** Gaps at most; the totals hold all. */
export const REPORT_GAPS_MAX = 1_000;

/** Legs of the span's calls, with how much was heard, by what their media says. */
const LEGS = `
  select call.id as call_id, call.started_at as call_started_at, call.state, call.fault, leg.id, leg.leg_no, leg.ended_at,
         leg.sentence_count, leg.started_at,
         coalesce((media->>'heardMs')::float8, extract(epoch from leg.ended_at - leg.started_at)::float8 * 1000, 0) as heard_ms,
         coalesce((media->>'unrecognisedMs')::float8, 0) as unrecognised_ms,
         coalesce((media->>'concealedMs')::float8, 0) as concealed_ms,
         (select count(*)::int from sentences where leg_id = leg.id) as rows
    from calls as call
    join legs as leg on leg.call_id = call.id and leg.id between leg_ids_from(call.id) and leg_ids_to(call.id)
   where call.started_at >= $1 and call.started_at < $2`;

const LOAD_TOTALS = `
with leg as (${LEGS}), per_call as (
  select count(*)::int as calls, count(*) filter (where state = 'active')::int as active,
         count(*) filter (where state = 'finishing')::int as finishing,
         count(*) filter (where state = 'complete')::int as complete,
         count(*) filter (where state = 'failed')::int as failed
    from calls where started_at >= $1 and started_at < $2
)
select per_call.*, count(leg.id)::int as legs, coalesce(sum(rows), 0)::int as sentences,
       coalesce(sum(heard_ms), 0) / 1000 as "heardSeconds",
       coalesce(sum(greatest(0, heard_ms - unrecognised_ms)), 0) / 1000 as "recognisedSeconds",
       coalesce(sum(concealed_ms), 0) / 1000 as "concealedSeconds",
       (select count(*)::int from dead_letters where last_at >= $1) as "deadLetters"
  from per_call left join leg on true
 group by calls, active, finishing, complete, failed`;

const LOAD_GAPS = `
with leg as (${LEGS})
select 'unrecognised' as kind, call_id as "callId", call_started_at as "startedAt", leg_no as "legNo",
       unrecognised_ms / 1000 as amount
  from leg where unrecognised_ms > 0
union all
select 'sentences_missing', call_id, call_started_at, leg_no, sentence_count - rows
  from leg where sentence_count > rows and state <> 'finishing'
union all
select 'no_audio', call_id, call_started_at, leg_no, null
  from leg where ended_at is not null and started_at is null
union all
select case when fault = 'lost' then 'lost' else 'failed' end, id, started_at, null, null
  from calls where started_at >= $1 and started_at < $2 and state = 'failed' and fault is distinct from 'sentences_missing'
 order by "startedAt", "callId", "legNo"
 limit ${REPORT_GAPS_MAX}`;

/** @throws what `pg` throws; see `toStoreError` */
export async function loadReport(
  db: Queryable,
  { from, to }: ReportSpan,
): Promise<{ readonly totals: ReportTotals; readonly gaps: readonly ReportGap[] }> {
  const totals = await db.query<ReportTotals>(LOAD_TOTALS, [from, to]);
  const gaps = await db.query<ReportGap>(LOAD_GAPS, [from, to]);
  const [row] = totals.rows;
  if (row === undefined) throw new Error('unreachable: a count has a row');
  return { totals: row, gaps: gaps.rows };
}

/** Which of these calls have no row, or one that no snapshot filled. @throws what `pg` throws; see `toStoreError` */
export async function findMissingCalls(
  db: Queryable,
  callIds: readonly CallId[],
): Promise<readonly CallId[]> {
  const { rows } = await db.query<{ id: CallId }>(
    `select id from unnest($1::uuid[]) as given (id)
      where not exists (select from calls where calls.id = given.id and revision > 0)
        and not exists (select from forgotten_calls where call_id = given.id)`,
    [callIds],
  );
  return rows.map(({ id }) => id);
}
