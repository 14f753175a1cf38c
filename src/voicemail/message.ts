import { z } from 'zod';

import type { CallId, LegId } from '../ids.ts';
import { userOf } from '../sip/uri-user.ts';
import type { VoicemailBegan, VoicemailContent, VoicemailEnd, VoicemailEnded } from './record.ts';

/** A message that a caller left, as its row has it. Milliseconds count from the leg's first sample. */
export interface Voicemail {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly tenant: string;
  readonly mailbox: string;
  /** The user of the caller's address. */
  readonly caller: string | null;
  readonly callerName: string | null;
  readonly beginMs: number;
  readonly endMs: number;
  readonly beganAt: Date;
  readonly endedAt: Date;
  readonly endReason: VoicemailEnd;
  readonly content: VoicemailContent;
  readonly text: string;
  /** Whether there is sound to it. */
  readonly recorded: boolean;
}

/** What the rows of a call tell of its message. */
export interface MessageFacts {
  readonly callId: CallId;
  readonly tenant: string;
  readonly recorded: boolean;
  readonly leg: {
    readonly id: LegId;
    readonly uri: string | null;
    readonly name: string | null;
    /** Wall time of its first sample; null where no packet came. */
    readonly startedAt: Date | null;
    /** How much of it there is; null where nobody could tell. */
    readonly heardMs: number | null;
  };
  readonly began: VoicemailBegan;
  /** By the wall clock of the event. */
  readonly beganAt: Date;
  readonly ended: VoicemailEnded | undefined;
  /** Of the leg, in order. */
  readonly sentences: readonly {
    readonly beginMs: number;
    readonly endMs: number;
    readonly text: string;
  }[];
}

export function messageOf(facts: MessageFacts): Voicemail {
  const { callId, tenant, recorded, leg, began, ended } = facts;
  const beginMs = Math.round(began.beginMs);
  const endMs = Math.max(beginMs, Math.round(ended?.endMs ?? leg.heardMs ?? lastEndOf(facts)));
  const at = (ms: number): Date =>
    leg.startedAt === null
      ? new Date(facts.beganAt.getTime() + ms - beginMs)
      : new Date(leg.startedAt.getTime() + ms);
  return {
    callId,
    legId: leg.id,
    tenant,
    mailbox: began.mailbox,
    caller: leg.uri === null ? null : userOf(leg.uri) || null,
    callerName: leg.name,
    beginMs,
    endMs,
    beganAt: at(beginMs),
    endedAt: at(endMs),
    endReason: ended?.reason ?? 'lost',
    // Nobody judged what was lost: better that somebody listens in vain.
    content: ended?.content ?? (endMs > beginMs ? 'message' : 'empty'),
    text: joined(
      facts.sentences.filter((said) => said.endMs > beginMs && said.beginMs < endMs).map(({ text }) => text),
    ),
    recorded,
  };
}

const lastEndOf = ({ sentences }: MessageFacts): number =>
  Math.max(0, ...sentences.map(({ endMs }) => endMs));

const CJK = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef]`;
const BETWEEN = new RegExp(`(?<=${CJK})\n|\n(?=${CJK})`, 'gu');

/** Sentences as one reads them: a blank between two, but none beside characters that are written without. */
const joined = (texts: readonly string[]): string =>
  texts
    .map((text) => text.trim().replaceAll('\n', ' '))
    .filter((text) => text !== '')
    .join('\n')
    .replace(BETWEEN, '')
    .replaceAll('\n', ' ');

const ms = z.number().min(0).max(2_147_483_647);
const began: z.ZodType<VoicemailBegan> = z.object({
  mailbox: z.string().min(1),
  beginMs: ms,
  mailTo: z.array(z.string()),
});
const ended: z.ZodType<VoicemailEnded> = z.object({
  endMs: ms,
  reason: z.enum(['hangup', 'key', 'silence', 'limit']),
  content: z.enum(['message', 'short', 'empty']),
});

/** @returns undefined where another version wrote it */
export const readVoicemailBegan = (detail: unknown): VoicemailBegan | undefined =>
  began.safeParse(detail).data;

/** @returns undefined where another version wrote it */
export const readVoicemailEnded = (detail: unknown): VoicemailEnded | undefined =>
  ended.safeParse(detail).data;
