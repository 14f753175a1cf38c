import type { CallId, LegId } from '../ids.ts';

/** One word on the leg's clock. The JSON names are the contract of the `sentences.words` column. */
export interface SentenceWord {
  readonly text: string;
  readonly begin_ms: number;
  readonly end_ms: number;
  readonly punctuation: string;
}

/** A sentence that will not change any more. Milliseconds count from the leg's first sample. */
export interface FinalSentence {
  readonly callId: CallId;
  readonly legId: LegId;
  /** Whose call it is (`calls.tenant`). */
  readonly tenant: string;
  /** Names of the webhook endpoints that are told of it, none or some; undefined: all of the tenant. */
  readonly webhooks: readonly string[] | undefined;
  /** 0-based position of the leg in its call (`legs.leg_no`). */
  readonly legNo: number;
  /** 1, 2, 3 … within the leg, without a gap, whatever tasks it came from. */
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly beginAt: Date;
  readonly endAt: Date;
  readonly text: string;
  readonly words: readonly SentenceWord[];
  readonly emoTag: string | undefined;
  readonly emoConfidence: number | undefined;
  readonly asrTaskId: string;
  /** How much of the sentence's audio was lost on the way and made up. */
  readonly concealedMs: number;
}

/** What is heard of the sentence that is being spoken; each one replaces the one before. */
export interface PartialSentence {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly legNo: number;
  /** The number that the final sentence will have. */
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly text: string;
}

export type TranscriptEvent =
  | { readonly kind: 'partial'; readonly sentence: PartialSentence }
  | { readonly kind: 'final'; readonly sentence: FinalSentence };
