import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import type { Clock } from '../clock.ts';
import type { RefusalFault } from './faults.ts';

/** What a REST interface answers: its `output`, or why not. */
export type Outcome =
  | { readonly kind: 'done'; readonly output: Readonly<Record<string, unknown>> }
  | ({ readonly kind: 'refused' } & RefusalFault);

/** Lists of hot words for the v2 models. */
export interface Vocabulary {
  readonly vocabularyId: string;
  readonly targetModel: string;
  readonly entries: readonly VocabularyEntry[];
  readonly gmtCreate: string;
  readonly gmtModified: string;
  /** On the monotonic clock; before it the list is `UNDEPLOYED`. */
  readonly deployedAtMs: number;
}

/** Model Studio, "Custom hot words". */
export const VOCABULARIES_MAX = 10;
const ENTRIES_MAX = 500;
const TEXT_MAX_CHARACTERS = 15;
const TEXT_MAX_PARTS = 7;
const LANGUAGES = ['zh', 'en', 'ja', 'yue', 'ko', 'de', 'fr', 'ru'];

const entry = z.looseObject({
  text: z
    .string()
    .min(1)
    .refine(isShortEnough, 'a hot word has at most 15 characters, or 7 parts where all is ASCII'),
  weight: z.number().int().min(1).max(5),
  lang: z.enum(LANGUAGES).optional(),
});
export type VocabularyEntry = z.infer<typeof entry>;

function isShortEnough(text: string): boolean {
  const ascii = Buffer.byteLength(text) === text.length;
  return ascii
    ? text.split(' ').filter((part) => part !== '').length <= TEXT_MAX_PARTS
    : Array.from(text).length <= TEXT_MAX_CHARACTERS;
}

const entries = z.array(entry).max(ENTRIES_MAX);
const inputs = z.discriminatedUnion('action', [
  z.object({
    action: z.literal('create_vocabulary'),
    target_model: z.string().min(1),
    prefix: z.string().regex(/^[a-z0-9]{1,9}$/),
    vocabulary: entries,
  }),
  z.object({
    action: z.literal('list_vocabulary'),
    prefix: z.string().nullish(),
    page_index: z.number().int().min(0).default(0),
    page_size: z.number().int().min(1).max(1_000).default(10),
  }),
  z.object({ action: z.literal('query_vocabulary'), vocabulary_id: z.string() }),
  z.object({ action: z.literal('update_vocabulary'), vocabulary_id: z.string(), vocabulary: entries }),
  z.object({ action: z.literal('delete_vocabulary'), vocabulary_id: z.string() }),
]);
const request = z.object({ model: z.literal('speech-biasing'), input: inputs });
type Input = z.infer<typeof inputs>;

/** `POST …/services/audio/asr/customization`: five actions on one address. In memory. */
export class Vocabularies {
  readonly #clock: Clock;
  readonly #lists = new Map<string, Vocabulary>();

  readonly #deployMs: number;

  /** @param deployMs from create or update until the list is `OK` */
  constructor(clock: Clock, deployMs: number) {
    this.#clock = clock;
    this.#deployMs = deployMs;
  }

  get size(): number {
    return this.#lists.size;
  }

  get(vocabularyId: string): Vocabulary | undefined {
    return this.#lists.get(vocabularyId);
  }

  /** Puts a list there under an id of the caller's; for tests that begin with one. */
  put(vocabularyId: string, targetModel: string, given: readonly VocabularyEntry[] = []): void {
    const now = wallText(this.#clock);
    this.#lists.set(vocabularyId, {
      vocabularyId,
      targetModel,
      entries: given,
      gmtCreate: now,
      gmtModified: now,
      deployedAtMs: this.#deployedAtMs(),
    });
  }

  handle(body: unknown): Outcome {
    const asked = request.safeParse(body);
    if (!asked.success) return invalid(asked.error);
    return this.#act(asked.data.input);
  }

  #act(input: Input): Outcome {
    switch (input.action) {
      case 'create_vocabulary': {
        if (this.#lists.size >= VOCABULARIES_MAX) {
          return refused(400, 'Throttling.AllocationQuota', 'Free allocated quota exceeded.');
        }
        const vocabularyId = `vocab-${input.prefix}-${randomBytes(10).toString('hex')}`;
        this.put(vocabularyId, input.target_model, input.vocabulary);
        return done({ vocabulary_id: vocabularyId });
      }
      case 'list_vocabulary': {
        const wanted = `vocab-${input.prefix ?? ''}`;
        const from = input.page_index * input.page_size;
        const page = [...this.#lists.values()]
          .filter(({ vocabularyId }) => vocabularyId.startsWith(wanted))
          .slice(from, from + input.page_size);
        return done({ vocabulary_list: page.map((list) => this.#summary(list)) });
      }
      case 'query_vocabulary':
        return this.#with(input.vocabulary_id, (list) => {
          const { vocabulary_id: _, ...rest } = this.#summary(list);
          return { ...rest, target_model: list.targetModel, vocabulary: list.entries };
        });
      case 'update_vocabulary':
        return this.#with(input.vocabulary_id, (list) => {
          const gmtModified = wallText(this.#clock);
          const deployedAtMs = this.#deployedAtMs();
          this.#lists.set(list.vocabularyId, {
            ...list,
            entries: input.vocabulary,
            gmtModified,
            deployedAtMs,
          });
          return {};
        });
      case 'delete_vocabulary':
        return this.#with(input.vocabulary_id, (list) => {
          this.#lists.delete(list.vocabularyId);
          return {};
        });
      default:
        return input satisfies never;
    }
  }

  #deployedAtMs(): number {
    return this.#clock.monotonicMs() + this.#deployMs;
  }

  #summary(list: Vocabulary): Record<string, unknown> {
    const { vocabularyId, gmtCreate, gmtModified } = list;
    const status = this.#clock.monotonicMs() < list.deployedAtMs ? 'UNDEPLOYED' : 'OK';
    return { vocabulary_id: vocabularyId, gmt_create: gmtCreate, gmt_modified: gmtModified, status };
  }

  #with(vocabularyId: string, act: (list: Vocabulary) => Record<string, unknown>): Outcome {
    const list = this.#lists.get(vocabularyId);
    return list === undefined ? NOT_EXISTING : done(act(list));
  }
}

export const NOT_EXISTING = {
  kind: 'refused',
  status: 400,
  code: 'BadRequest.ResourceNotExist',
  message: 'The required resource not exist.',
} as const;

const done = (output: Readonly<Record<string, unknown>>): Outcome => ({ kind: 'done', output });

function refused(status: number, code: string, message: string): Outcome {
  return { kind: 'refused', status, code, message };
}

/** Names the field, never its value. */
export function invalid(error: z.ZodError): Outcome {
  const issue = error.issues[0];
  const field = issue?.path.join('.') ?? '';
  return refused(400, 'InvalidParameter', `${field === '' ? 'the body' : field}: ${issue?.message ?? ''}`);
}

/** `YYYY-MM-DD HH:MM:SS`; here UTC, the service does not say. */
export function wallText(clock: Clock): string {
  return clock.wallTime().toISOString().slice(0, 19).replace('T', ' ');
}
