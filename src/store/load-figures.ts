import type { CallFigures, LegFacts, SentenceFacts } from '../figures/call-figures.ts';
import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/** A call's figures as the table holds them. */
export interface StoredFigures extends CallFigures {
  readonly revision: number;
  readonly computedAt: Date;
}

const LOAD_FIGURES = {
  name: 'load-figures',
  text: `
select revision, span_ms as "spanMs", agent_talk_ms as "agentTalkMs", customer_talk_ms as "customerTalkMs",
       other_talk_ms as "otherTalkMs", silence_ms as "silenceMs", longest_silence_ms as "longestSilenceMs",
       overlap_ms as "overlapMs", interruptions, longest_monologue_ms as "longestMonologueMs", sentences, words,
       characters, heard_ms::float8 as "heardMs", recognised_ms::float8 as "recognisedMs",
       concealed_ms::float8 as "concealedMs", legs, computed_at as "computedAt"
  from call_figures where call_id = $1`,
};

/** Undefined until the call is complete. @throws what `pg` throws; see `toStoreError` */
export async function loadFigures(db: Queryable, callId: CallId): Promise<StoredFigures | undefined> {
  const { rows } = await db.query<StoredFigures>({ ...LOAD_FIGURES, values: [callId] });
  return rows[0];
}

/** `heard_ms` of older legs: no figure of theirs, so how long they lasted. */
const LOAD_LEG_FACTS = {
  name: 'load-leg-facts',
  text: `
select leg_no as "legNo", role, extract(epoch from started_at)::float8 * 1000 as "startedAtMs",
       extract(epoch from ended_at)::float8 * 1000 as "endedAtMs",
       coalesce((media->>'heardMs')::float8, extract(epoch from ended_at - started_at)::float8 * 1000, 0) as "heardMs",
       coalesce((media->>'unrecognisedMs')::float8, 0) as "unrecognisedMs",
       coalesce((media->>'concealedMs')::float8, 0) as "concealedMs"
  from legs where call_id = $1 and id between leg_ids_from($1) and leg_ids_to($1)`,
};

/** Without punctuation alone, which the recogniser hands over as words, too. */
const LOAD_SENTENCE_FACTS = {
  name: 'load-sentence-facts',
  text: `
select legs.leg_no as "legNo", extract(epoch from begin_at)::float8 * 1000 as "beginMs",
       extract(epoch from end_at)::float8 * 1000 as "endMs", text, jsonb_array_length(words) as words,
       emo_tag as "emoTag", emo_confidence as "emoConfidence"
  from sentences join legs on legs.id = leg_id and legs.id between leg_ids_from($1) and leg_ids_to($1)
 where sentences.call_id = $1 and leg_id between leg_ids_from($1) and leg_ids_to($1)`,
};

interface CallFacts {
  readonly legs: readonly LegFacts[];
  readonly sentences: readonly SentenceFacts[];
}

/** What figures are computed from. @throws what `pg` throws; see `toStoreError` */
export async function loadCallFacts(db: Queryable, callId: CallId): Promise<CallFacts> {
  type Nullable<T> = { readonly [K in keyof T]: T[K] | null };
  const legs = await db.query<Nullable<LegFacts> & LegFacts>({ ...LOAD_LEG_FACTS, values: [callId] });
  const sentences = await db.query<SentenceFacts>({ ...LOAD_SENTENCE_FACTS, values: [callId] });
  return {
    legs: legs.rows.map((leg) => ({
      ...leg,
      startedAtMs: leg.startedAtMs ?? undefined,
      endedAtMs: leg.endedAtMs ?? undefined,
    })),
    sentences: sentences.rows,
  };
}
