import type { Queryable } from './pool.ts';

/** A fact that cannot become a row as it is. */
export interface DeadFact {
  /** The queue that it came by. */
  readonly queue: string;
  readonly id: string;
  readonly name: string;
  readonly callId: string | undefined;
  /** JSON. */
  readonly data: unknown;
  readonly code: string;
  /** Holds nothing of the data. */
  readonly reason: string;
}

/** Keeps a fact among the dead letters; once more the same one counts its attempts. Not of forgotten calls. */
const BURY_FACT = {
  name: 'bury-fact',
  text: `
insert into dead_letters (queue, fact_id, name, call_id, data, code, reason)
select $1, left($2, 512), left($3, 512), $4::uuid, coalesce($5::jsonb, 'null'), $6, $7
 where not exists (select from forgotten_calls where call_id = $4)
on conflict (queue, fact_id) do update set
  name = excluded.name, data = excluded.data, code = excluded.code, reason = excluded.reason,
  attempts = dead_letters.attempts + 1, last_at = clock_timestamp()`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function buryFact(db: Queryable, fact: DeadFact): Promise<void> {
  const { queue, id, name, callId, data, code, reason } = fact;
  await db.query({ ...BURY_FACT, values: [queue, id, name, callId, JSON.stringify(data), code, reason] });
}
