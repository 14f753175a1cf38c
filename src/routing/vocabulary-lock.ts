import { createHash } from 'node:crypto';

import { z } from 'zod';

import type { HotWord } from './hot-words-schema.ts';
import type { FileVocabulary } from './vocabularies.ts';

/** What `npm run vocabulary -- sync` noted of one list of the rules. */
export interface LockedVocabulary {
  /** The service's id of the list. */
  readonly id: string;
  /** That it was made for. */
  readonly model: string;
  /** {@link digestOf} the words that it has. */
  readonly digest: string;
  /** When its words last took the place of others; RFC 3339. Undefined: never, since it was made. */
  readonly updatedAt?: string | undefined;
}

/** Lists by their names in the rules. */
export type VocabularyLock = Readonly<Record<string, LockedVocabulary>>;

const lockSchema = z.object({
  version: z.literal(1),
  vocabularies: z.record(
    z.string(),
    z.object({
      id: z.string().min(1).max(256),
      model: z.string().min(1),
      digest: z.string(),
      updatedAt: z.iso.datetime().optional(),
    }),
  ),
});

/** The file beside a file of rules that holds what their lists are called at the service. */
export const lockFileOf = (routesFile: string): string => `${routesFile}.lock`;

/** @returns undefined where it is none */
export function readLock(text: string): VocabularyLock | undefined {
  try {
    return lockSchema.parse(JSON.parse(text)).vocabularies;
  } catch {
    return undefined;
  }
}

/** Names in one order, so that the same lists are the same text. */
export function writeLock(lock: VocabularyLock): string {
  const vocabularies = Object.fromEntries(Object.entries(lock).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ version: 1, vocabularies }, undefined, 2)}\n`;
}

/** Names of lists that are not at the service, or with other words, as far as the lock tells. */
export const staleLists = (
  lists: ReadonlyMap<string, FileVocabulary>,
  lock: VocabularyLock,
): readonly string[] =>
  [...lists.values()]
    .filter(({ name, model, words }) => {
      const locked = lock[name];
      return locked?.model !== model || locked.digest !== digestOf(words);
    })
    .map(({ name }) => name);

/** The same for the same words, in whatever order. */
export function digestOf(words: readonly HotWord[]): string {
  const lines = words.map(({ text, weight, lang }) => JSON.stringify([text, weight, lang ?? '']));
  return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
}
