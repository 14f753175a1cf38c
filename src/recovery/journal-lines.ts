import { z } from 'zod';

import type { DialogPlace } from '../sip/dialog-place.ts';

/**
 * The lines of a call's journal, `DATA_DIR/calls/<call id>/journal.ndjson`: one JSON object a line, in the order of
 * what happened. Appended only; a line that cannot be read (the last one of a killed process, what a full disk left)
 * is passed over.
 */
export type JournalLine =
  /** The first line: the process whose call it is, by the name of its directory below `DATA_DIR/intakes`. */
  | { readonly kind: 'owner'; readonly owner: string }
  /** `record` is the call as a job carries it. */
  | { readonly kind: 'record'; readonly record: unknown }
  | { readonly kind: 'dialog'; readonly place: DialogPlace }
  | { readonly kind: 'dialog-gone'; readonly sipCallId: string }
  | { readonly kind: 'sentence'; readonly legNo: number; readonly sentenceNo: number; readonly endMs: number }
  | { readonly kind: 'event'; readonly eventNo: number };

/** What a journal says of its call. */
export interface JournalState {
  readonly owner: string | undefined;
  /** As a job carries it; undefined where the call was never answered. */
  readonly record: unknown;
  /** Dialogs that stood. */
  readonly dialogs: readonly DialogPlace[];
  readonly legs: ReadonlyMap<number, JournalLeg>;
  /** 0 where there was none. */
  readonly lastEventNo: number;
  readonly unreadableLines: number;
}

export interface JournalLeg {
  /** Final sentences that are in the outbox or further. */
  readonly sentences: number;
  /** Where the last of them ends, on the leg's clock. */
  readonly endMs: number;
}

export const NO_SENTENCES: JournalLeg = { sentences: 0, endMs: 0 };

const whole = z.number().int().min(0);
const line: z.ZodType<JournalLine> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('owner'), owner: z.string().regex(/^[\w-]{1,64}$/) }),
  z.object({ kind: z.literal('record'), record: z.record(z.string(), z.unknown()) }),
  z.object({
    kind: z.literal('dialog'),
    place: z.object({
      sipCallId: z.string(),
      localTag: z.string(),
      remoteTag: z.string(),
      localAddress: z.string(),
      remoteAddress: z.string(),
      remoteTarget: z.string(),
      routeSet: z.array(z.string()),
    }),
  }),
  z.object({ kind: z.literal('dialog-gone'), sipCallId: z.string() }),
  z.object({ kind: z.literal('sentence'), legNo: whole, sentenceNo: whole, endMs: z.number().min(0) }),
  z.object({ kind: z.literal('event'), eventNo: whole }),
]);

/** A line begins with a line feed where the one before may be torn. */
export const writeJournalLine = (entry: JournalLine): string => `${JSON.stringify(entry)}\n`;

/** What a journal says, up to wherever it was written. Never throws. */
export function readJournal(text: string): JournalState {
  let owner: string | undefined;
  let record: unknown;
  let lastEventNo = 0;
  let unreadableLines = 0;
  const dialogs = new Map<string, DialogPlace>();
  const legs = new Map<number, JournalLeg>();
  for (const written of text.split('\n')) {
    if (written === '') continue;
    const entry = readLine(written);
    if (entry === undefined) {
      unreadableLines += 1;
      continue;
    }
    switch (entry.kind) {
      case 'owner':
        owner = entry.owner;
        break;
      case 'record':
        record = entry.record;
        break;
      case 'dialog':
        dialogs.set(entry.place.sipCallId, entry.place);
        break;
      case 'dialog-gone':
        dialogs.delete(entry.sipCallId);
        break;
      case 'sentence': {
        const { sentences, endMs } = legs.get(entry.legNo) ?? NO_SENTENCES;
        legs.set(entry.legNo, {
          sentences: Math.max(sentences, entry.sentenceNo),
          endMs: Math.max(endMs, entry.endMs),
        });
        break;
      }
      case 'event':
        lastEventNo = Math.max(lastEventNo, entry.eventNo);
        break;
      default:
        entry satisfies never;
    }
  }
  return { owner, record, dialogs: [...dialogs.values()], legs, lastEventNo, unreadableLines };
}

function readLine(written: string): JournalLine | undefined {
  try {
    const parsed = line.safeParse(JSON.parse(written));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
