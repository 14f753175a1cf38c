import { type CallId, lowestIdAt, timeOfId } from '../ids.ts';
import { beginOfMonth, monthOf, monthsAfter } from './months.ts';
import type { Queryable } from './pool.ts';

/** Why two calls belong together; see the table's comments. */
export type CallLinkKind = 'replaces' | 'joined' | 'continues' | 'duplicate';

/** A call that belongs together with another. */
export interface CallLink {
  readonly callId: CallId;
  readonly kind: CallLinkKind;
  /** Whether the other call began before this one. */
  readonly earlier: boolean;
  /** What both have in common. */
  readonly identifierKind: string;
}

/** Ids that name a call and not its parties, its account or its recorder; the first that two calls share counts. */
const LINKING_KINDS = [
  'replaces',
  'join-key',
  'siprec-group-id',
  'ucid',
  'genesys-uuid',
  'gcid',
  'broadworks-tracking-id',
  'broadworks-correlation',
  'audiocodes-call-id',
  'cisco-guid',
  'cisco-refci',
  'x-call-id',
  'user-to-user',
  'icid',
  'sip-session-id',
  'siprec-session-id',
];

/** An id that more calls share than this within the window names something larger than a call. */
const SHARED_BY_MAX = 16;
/**
 * So many calls with an id are looked at, in no order, of the months of a batch and two days around it; one that has more, such as a header that a
 * peer fills with the same text in every call, links none. Without that, each call would cost as much as there are.
 */
const LOOKED_AT_MAX = 256;
/** Shorter ids are counters that begin anew. */
const VALUE_CHARACTERS_MIN = 6;
const WINDOW = '24 hours';
const WINDOW_MS = 86_400_000;
/** The INVITE of a transfer often overtakes the BYE that it follows. */
const OVERLAP_TOLERANCE = '5 seconds';

/** Looks both ways, so that whichever of two calls is written last finds the other, and their end corrects the kind. */
const LINK_CALLS = {
  name: 'link-calls',
  text: `
with mine as materialized (
  select me.id as my_id, me.started_at as my_start, me.ended_at as my_end, own.kind, own.value
    from calls me
    join call_identifiers own on own.call_id = me.id
   where me.id = any($1) and me.id >= $3 and me.id < $4 and own.call_id >= $3 and own.call_id < $4
     and length(own.value) >= ${VALUE_CHARACTERS_MIN} and own.value !~ '^[0-]+$'
), theirs as materialized (
  select mine.*, few.call_id
    from mine
   cross join lateral (
      select mine.kind as their_kind where mine.kind = any($2)
      union all select 'sip-call-id' where mine.kind = 'replaces'
      union all select 'replaces' where mine.kind = 'sip-call-id') as wanted
   cross join lateral (
      select call_id, count(*) over () as looked_at
        from (select call_id from call_identifiers as of_others
               where of_others.value = mine.value and of_others.kind = their_kind
                 and call_id >= $3 and call_id < $4 limit ${LOOKED_AT_MAX} + 1) as first_few) as few
   where few.call_id <> my_id and looked_at <= ${LOOKED_AT_MAX}
), shared as (
  select theirs.*, other.id, other.started_at, other.ended_at,
         count(*) over (partition by my_id, kind, value) as shared_by
    from theirs
    join calls other on other.id = theirs.call_id and other.id >= $3 and other.id < $4
   where other.started_at between my_start - interval '${WINDOW}' and my_start + interval '${WINDOW}'
), nearest as (
  select distinct on (my_id, id) *,
         case kind when 'sip-call-id' then 'replaces' else kind end as by
    from shared
   where shared_by <= ${SHARED_BY_MAX}
   order by my_id, id, array_position($2, case kind when 'sip-call-id' then 'replaces' else kind end)
), pairs as (
  select case when later then my_id else id end as call_id,
         case when later then id else my_id end as linked_id,
         case when by = 'replaces' then 'replaces'
              when by = 'join-key' then 'joined'
              when greatest(my_start, started_at) + interval '${OVERLAP_TOLERANCE}'
                   < least(coalesce(my_end, 'infinity'), coalesce(ended_at, 'infinity')) then 'duplicate'
              else 'continues' end as kind,
         by, value
    from nearest, lateral (select (my_start, my_id) > (started_at, id) as later) as order_of
)
insert into call_links (call_id, linked_id, kind, identifier_kind, identifier_value)
select distinct on (call_id, linked_id) call_id, linked_id, kind, by, value
  from pairs order by call_id, linked_id, array_position($2, by)
on conflict (call_id, linked_id) do update set
  kind = excluded.kind, identifier_kind = excluded.identifier_kind, identifier_value = excluded.identifier_value
where (call_links.kind, call_links.identifier_kind) is distinct from (excluded.kind, excluded.identifier_kind)`,
};

const LOAD_LINKS = {
  name: 'load-links',
  text: `
select linked_id as "callId", kind, true as earlier, identifier_kind as "identifierKind"
  from call_links where call_id = $1
union all
select call_id, kind, false, identifier_kind from call_links where linked_id = $1
 order by "callId"`,
};

/**
 * Links calls to those that they belong together with: they share an id, within a day. To be called after each
 * snapshot; what the first one cannot know (whether the other goes on) the last one corrects.
 *
 * @param callIds best of about the same time: the months of all of them are read for each
 * @throws what `pg` throws; see `toStoreError`
 */
export async function linkCalls(db: Queryable, callIds: readonly CallId[]): Promise<void> {
  if (callIds.length === 0) return;
  const ranges = callIds.map(idsAround);
  const from = ranges.map(([lowest]) => lowest).sort()[0];
  const to = ranges
    .map(([, highest]) => highest)
    .sort()
    .at(-1);
  await db.query({ ...LINK_CALLS, values: [callIds, LINKING_KINDS, from, to] });
}

/** Ids of the months that calls of about that time are in, from, included, up to, not included; of random ids all. */
function idsAround(callId: CallId): readonly [string, string] {
  const at = timeOfId(callId)?.getTime();
  if (at === undefined) return [lowestIdAt(new Date(0)), 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
  const first = monthOf(new Date(Math.max(0, at - 2 * WINDOW_MS)));
  const last = monthOf(new Date(at + 2 * WINDOW_MS));
  return [lowestIdAt(beginOfMonth(first)), lowestIdAt(beginOfMonth(monthsAfter(last, 1)))];
}

/** The calls that belong together with this one. @throws what `pg` throws; see `toStoreError` */
export async function loadLinks(db: Queryable, callId: CallId): Promise<readonly CallLink[]> {
  const { rows } = await db.query<CallLink>({ ...LOAD_LINKS, values: [callId] });
  return rows;
}
