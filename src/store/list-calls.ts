import type { LegRecord } from '../call/record.ts';
import type { Queryable } from './pool.ts';
import type { StoredCall } from './stored.ts';

/** What a call must be. Left out: any. */
export interface CallFilter {
  /** The only tenant that may be seen; undefined sees all. */
  readonly tenant?: string | undefined;
  readonly state?: StoredCall['state'] | undefined;
  /** Began at or after. */
  readonly from?: Date | undefined;
  /** Began before. */
  readonly to?: Date | undefined;
  /** Name of the agent, or the user of their address; case does not matter. */
  readonly agent?: string | undefined;
  /** The last digits of a party's number, or all of them. */
  readonly numberDigits?: string | undefined;
  /** An id by which a CRM knows the call. */
  readonly identifier?: string | undefined;
}

/** A call's place among all, newest first. */
export interface CallPosition {
  /** RFC 3339 with microseconds, as the database compares. */
  readonly startedAt: string;
  readonly id: string;
}

/** A call as a list shows it. */
export interface ListedCall extends Pick<
  StoredCall,
  'id' | 'state' | 'tenant' | 'direction' | 'startedAt' | 'answeredAt' | 'endedAt' | 'endReason'
> {
  readonly position: CallPosition;
  readonly fault: string | null;
  readonly legs: readonly {
    readonly leg_no: number;
    readonly role: LegRecord['role'];
    readonly name: string | null;
    readonly uri: string | null;
  }[];
}

export interface ListCallsOptions {
  readonly filter: CallFilter;
  /** Calls behind this one; undefined begins with the newest. */
  readonly after?: CallPosition | undefined;
  readonly limit: number;
}

/**
 * Calls from the newest on, of those that a snapshot has told about.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function listCalls(db: Queryable, options: ListCallsOptions): Promise<readonly ListedCall[]> {
  const { text, values } = statementFor(options);
  const result = await db.query<ListedCall>({ text, values: [...values] });
  return result.rows;
}

/** The statement and its values; for whoever wants to see the plan. */
export function statementFor({ filter, after, limit }: ListCallsOptions): {
  readonly text: string;
  readonly values: readonly unknown[];
} {
  const values: unknown[] = [];
  const value = (given: unknown): string => `$${values.push(given)}`;
  const conditions = ['revision > 0', 'started_at is not null'];
  if (filter.tenant !== undefined) conditions.push(`tenant = ${value(filter.tenant)}`);
  if (filter.state !== undefined) conditions.push(`state = ${value(filter.state)}`);
  if (filter.from !== undefined) conditions.push(`started_at >= ${value(filter.from)}`);
  if (filter.to !== undefined) conditions.push(`started_at < ${value(filter.to)}`);
  if (filter.agent !== undefined) {
    const agent = `lower(${value(filter.agent)})`;
    conditions.push(
      `id in (select call_id from legs where role = 'agent' and lower(name) = ${agent}
               union select call_id from legs where role = 'agent' and lower(uri_user(uri)) = ${agent})`,
    );
  }
  if (filter.numberDigits !== undefined) {
    conditions.push(
      `id in (select call_id from legs
               where uri is not null and reversed_number(uri) like reverse(${value(filter.numberDigits)}) || '%')`,
    );
  }
  if (filter.identifier !== undefined) {
    conditions.push(`id in (select call_id from call_identifiers where value = ${value(filter.identifier)})`);
  }
  if (after !== undefined) {
    const at = `${value(after.startedAt)}::timestamptz`;
    conditions.push(`started_at <= ${at} and (started_at < ${at} or id > ${value(after.id)}::uuid)`);
  }
  return {
    text: `
select id, state, fault, tenant, direction, started_at as "startedAt", answered_at as "answeredAt",
       ended_at as "endedAt", end_reason as "endReason",
       jsonb_build_object('startedAt', to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'id', id) as position,
       coalesce((select jsonb_agg(jsonb_build_object('leg_no', leg_no, 'role', role, 'name', name, 'uri', uri) order by leg_no)
                   from legs
                  where call_id = page.id and legs.id between leg_ids_from(page.id) and leg_ids_to(page.id)), '[]') as legs
  from (select * from calls where ${conditions.join(' and ')}
         order by started_at desc, id limit ${value(limit)}) as page
 order by started_at desc, id`,
    values,
  };
}
