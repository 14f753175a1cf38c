import { type SeededRandom, seededRandom } from '../seeded-random.ts';

/** One sentence of a chaos call. Its text is said once in a whole run. Times count from the leg's first sample. */
export interface SpokenSentence {
  readonly text: string;
  readonly beginMs: number;
  readonly endMs: number;
}

export interface SpokenLeg {
  readonly party: 'agent' | 'customer';
  readonly codec: 'PCMA' | 'PCMU';
  readonly sentences: readonly SpokenSentence[];
}

/** What is said in one call. Both legs have the same first sample and the same length. */
export interface SpokenCall {
  readonly callNo: number;
  readonly durationMs: number;
  /** In the order of the offer's audio lines. */
  readonly legs: readonly SpokenLeg[];
}

const LEGS = [
  { party: 'agent', codec: 'PCMA', says: '坐席' },
  { party: 'customer', codec: 'PCMU', says: '客户' },
] as const;
/** Long enough for one copy of the longest caption (0.4 s) and some more. */
const SENTENCE_MS = { min: 700, max: 1_500 };
/** Recognisers end a sentence after 800 ms of silence (`max_sentence_silence`). */
const GAP_MS = { min: 900, max: 1_300 };
/** Shorter than that silence, so that hanging up ends the last sentence. */
const TAIL_MS = 500;
const PACKET_MS = 20;

/**
 * What call number `callNo` of a run says; the seed and the number alone decide it. No two sentences of a run have
 * the same text, so that of each it can be told whether it was lost, doubled, late, or written to another's leg.
 */
export function callScript(seed: number, callNo: number, sentencesPerLeg: number): SpokenCall {
  const random = seededRandom((seed + Math.imul(callNo, 0x9e37_79b1)) >>> 0);
  const legs = LEGS.map(({ party, codec, says }): SpokenLeg => {
    let atMs = draw(random, { min: 200, max: 1_200 });
    const sentences = Array.from({ length: sentencesPerLeg }, (_, index): SpokenSentence => {
      const beginMs = atMs;
      const endMs = beginMs + draw(random, SENTENCE_MS);
      atMs = endMs + draw(random, GAP_MS);
      return { text: `第${callNo}通${says}第${index + 1}句。`, beginMs, endMs };
    });
    return { party, codec, sentences };
  });
  const lastMs = Math.max(...legs.map(({ sentences }) => sentences.at(-1)?.endMs ?? 0));
  return { callNo, durationMs: Math.ceil((lastMs + TAIL_MS) / PACKET_MS) * PACKET_MS, legs };
}

/** Whole milliseconds. */
function draw(random: SeededRandom, { min, max }: { readonly min: number; readonly max: number }): number {
  return min + Math.floor(random() * (max - min + 1));
}
