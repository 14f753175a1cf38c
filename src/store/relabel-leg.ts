import type { CallId, LegId } from '../ids.ts';
import type { PartyRole } from '../sip/role-rules.ts';
import { type Pool, withTransaction } from './pool.ts';
import type { StoredLeg } from './stored.ts';

export interface Relabelling {
  readonly legNo: number;
  readonly role: PartyRole;
  /** Who says so. */
  readonly by: string;
  readonly at: Date;
}

type Labelled = Pick<StoredLeg, 'id' | 'role' | 'name' | 'uri' | 'roleEvidence' | 'startedAt'>;

const LOCK_LEG = `
select id, role, name, uri, role_evidence as "roleEvidence", started_at as "startedAt"
  from legs where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1) and leg_no = $2
   for update`;

/** Numbers that no process gives: those of a call and of its recovery are below. */
const SAVE_ROLE = `
with leg as (
  update legs set role = $3, role_evidence = $4
   where id = $2 and call_id = $1
)
insert into call_events (call_id, leg_id, event_no, at, kind, detail)
select $1, $2, greatest(2000000, coalesce(max(event_no), 0) + 1), $5, 'party_changed', $6
  from call_events where call_id = $1`;

/** As many as a call that goes on keeps; the oldest stay. */
const HISTORY_MAX = 64;

/**
 * Says of an ended call who speaks on a leg. What it was before stays in the evidence's history, and later snapshots of
 * the call do not take it back. The figures are the caller's to compute again.
 *
 * @returns `unknown` where the call has no such leg
 * @throws what `pg` throws; see `toStoreError`
 */
export async function relabelLeg(
  pool: Pool,
  callId: CallId,
  relabelling: Relabelling,
): Promise<'changed' | 'unchanged' | 'unknown'> {
  const { legNo, role, at } = relabelling;
  return withTransaction(pool, async (client) => {
    const { rows } = await client.query<Labelled>(LOCK_LEG, [callId, legNo]);
    const [leg] = rows;
    if (leg === undefined) return 'unknown';
    if (leg.role === role && leg.roleEvidence['rule'] === 'operator') return 'unchanged';
    const evidence = JSON.stringify(evidenceOf(leg, relabelling));
    await client.query(SAVE_ROLE, [callId, leg.id satisfies LegId, role, evidence, at, detailOf(leg, role)]);
    return 'changed';
  });
}

function evidenceOf(leg: Labelled, { role, by, at }: Relabelling): object {
  const { history, ...before } = leg.roleEvidence;
  const known: unknown[] = Array.isArray(history) ? history : [];
  const first = { since: leg.startedAt, role: leg.role, name: leg.name, uri: leg.uri, ...before };
  const facts = { ...before, rule: 'operator', saw: by, setAt: at };
  const entry = { since: at, role, name: leg.name, uri: leg.uri, ...facts };
  const kept = known.length === 0 ? [first] : known;
  return { ...facts, history: kept.length >= HISTORY_MAX ? kept : [...kept, entry] };
}

const detailOf = ({ role: before, name, uri }: Labelled, role: PartyRole): object => ({
  before: { role: before, name, uri },
  role,
  name,
  uri,
  rule: 'operator',
});
