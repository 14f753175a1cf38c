import type { CallFigures } from '../figures/call-figures.ts';
import type { CallId } from '../ids.ts';
import type { Queryable } from './pool.ts';

/**
 * Writes a call's figures and, with them, makes it `complete`: all or nothing, and nothing where a newer snapshot
 * has come since the figures were computed, whose own check will do it.
 */
const SAVE_FIGURES = {
  name: 'save-figures',
  text: `
with done as (
  update calls set state = 'complete', fault = null
   where id = $1 and revision = $2
     and (state in ('finishing', 'complete') or state = 'failed' and fault is not null)
  returning id
)
insert into call_figures (call_id, revision, span_ms, agent_talk_ms, customer_talk_ms, other_talk_ms, silence_ms,
                          longest_silence_ms, overlap_ms, interruptions, longest_monologue_ms, sentences, words,
                          characters, heard_ms, recognised_ms, concealed_ms, legs)
select id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 from done
on conflict (call_id) do update set
  revision = excluded.revision, span_ms = excluded.span_ms, agent_talk_ms = excluded.agent_talk_ms,
  customer_talk_ms = excluded.customer_talk_ms, other_talk_ms = excluded.other_talk_ms,
  silence_ms = excluded.silence_ms, longest_silence_ms = excluded.longest_silence_ms,
  overlap_ms = excluded.overlap_ms, interruptions = excluded.interruptions,
  longest_monologue_ms = excluded.longest_monologue_ms, sentences = excluded.sentences, words = excluded.words,
  characters = excluded.characters, heard_ms = excluded.heard_ms, recognised_ms = excluded.recognised_ms,
  concealed_ms = excluded.concealed_ms, legs = excluded.legs, computed_at = clock_timestamp()
 where call_figures.revision <= excluded.revision`,
};

/** The greatest that the columns hold; a call of 24 days. */
const INTEGER_MAX = 2_147_483_647;
const bounded = (value: number): number => Math.min(INTEGER_MAX, Math.max(0, Math.round(value)));

/**
 * @param revision of the snapshot that the figures were computed from
 * @returns `outdated` when the call has a newer snapshot by now, or is not one that could be complete
 * @throws what `pg` throws; see `toStoreError`
 */
export async function saveFigures(
  db: Queryable,
  callId: CallId,
  revision: number,
  figures: CallFigures,
): Promise<'written' | 'outdated'> {
  const result = await db.query({
    ...SAVE_FIGURES,
    values: [
      callId,
      revision,
      bounded(figures.spanMs),
      bounded(figures.agentTalkMs),
      bounded(figures.customerTalkMs),
      bounded(figures.otherTalkMs),
      bounded(figures.silenceMs),
      bounded(figures.longestSilenceMs),
      bounded(figures.overlapMs),
      bounded(figures.interruptions),
      bounded(figures.longestMonologueMs),
      bounded(figures.sentences),
      bounded(figures.words),
      bounded(figures.characters),
      Math.round(figures.heardMs),
      Math.round(figures.recognisedMs),
      Math.round(figures.concealedMs),
      JSON.stringify(figures.legs),
    ],
  });
  return result.rowCount === 1 ? 'written' : 'outdated';
}
