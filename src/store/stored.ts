import type { CallRecord, LegRecord } from '../call/record.ts';
import type { CallId, LegId } from '../ids.ts';
import type { SentenceWord } from '../transcript/sentence.ts';

/** A call as the table holds it. What only a snapshot tells is null until one came (`revision` 0). */
export interface StoredCall {
  readonly id: CallId;
  readonly revision: number;
  readonly state: 'active' | 'finishing' | 'complete' | 'failed';
  readonly sipCallId: string | null;
  readonly tenant: string | null;
  readonly direction: string | null;
  readonly mapping: string | null;
  readonly startedAt: Date | null;
  readonly answeredAt: Date | null;
  readonly endedAt: Date | null;
  readonly endReason: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly identifiers: CallRecord['identifiers'];
}

export interface StoredLeg {
  readonly id: LegId;
  readonly legNo: number;
  readonly label: string | null;
  readonly role: LegRecord['role'];
  readonly name: string | null;
  readonly uri: string | null;
  readonly roleEvidence: Readonly<Record<string, unknown>>;
  readonly codec: string | null;
  readonly model: string | null;
  readonly vocabularyId: string | null;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly media: Readonly<Record<string, unknown>> | null;
  readonly sentenceCount: number | null;
}

/** A sentence with the leg that it was said on. */
export interface StoredSentence {
  readonly legId: LegId;
  readonly legNo: number;
  readonly role: LegRecord['role'];
  readonly sentenceNo: number;
  readonly beginMs: number;
  readonly endMs: number;
  readonly beginAt: Date;
  readonly endAt: Date;
  readonly text: string;
  readonly words: readonly SentenceWord[];
  readonly emoTag: string | null;
  readonly emoConfidence: number | null;
  readonly asrTaskId: string;
  readonly concealedMs: number;
  readonly storedAt: Date;
}

export interface StoredEvent {
  readonly eventNo: number;
  readonly legId: LegId | null;
  readonly at: Date;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}
