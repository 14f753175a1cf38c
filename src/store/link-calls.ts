import { type CallId, lowestIdAt, timeOfId } from '../ids.ts';
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
with shared as (
  select me.id as my_id, other.id, other.started_at, other.ended_at, mine.kind, mine.value,
         me.started_at as my_start, me.ended_at as my_end,
         count(*) over (partition by me.id, mine.kind, mine.value) as shared_by
    from calls me
    join call_identifiers mine on mine.call_id = me.id
    join call_identifiers theirs on theirs.value = mine.value and theirs.call_id <> me.id
     and theirs.call_id between $3 and $4
     and (theirs.kind = mine.kind and mine.kind = any($2)
          or theirs.kind = 'sip-call-id' and mine.kind = 'replaces'
          or theirs.kind = 'replaces' and mine.kind = 'sip-call-id')
    join calls other on other.id = theirs.call_id and other.id between $3 and $4
   where me.id = any($1) and me.id between $3 and $4 and mine.call_id between $3 and $4
     and other.started_at between me.started_at - interval '${WINDOW}' and me.started_at + interval '${WINDOW}'
     and length(mine.value) >= ${VALUE_CHARACTERS_MIN} and mine.value !~ '^[0-]+$'
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

/** Ids of calls of about that time, so that two months are read and not all; of random ids all. */
function idsAround(callId: CallId): readonly [string, string] {
  const at = timeOfId(callId)?.getTime();
  if (at === undefined) return [lowestIdAt(new Date(0)), 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
  return [lowestIdAt(new Date(Math.max(0, at - 2 * WINDOW_MS))), lowestIdAt(new Date(at + 2 * WINDOW_MS))];
}

/** The calls that belong together with this one. @throws what `pg` throws; see `toStoreError` */
export async function loadLinks(db: Queryable, callId: CallId): Promise<readonly CallLink[]> {
  const { rows } = await db.query<CallLink>({ ...LOAD_LINKS, values: [callId] });
  return rows;
}
