import { z } from 'zod';

import { type CallOptions, mayHaveBeenDone, RestClient, type RestClientOptions } from './rest-client.ts';
import { DashScopeRequestRefused } from './rest-errors.ts';
import {
  broken,
  checkEntries,
  checkPrefix,
  checkTargetModel,
  refuseFaults,
  type VocabularyEntry,
} from './vocabulary-rules.ts';

export interface NewVocabulary {
  /** Must be the model of the later task: a list made for another is silently not used. */
  readonly targetModel: string;
  /** Part of the id; lower-case letters and digits, fewer than 10. */
  readonly prefix: string;
  readonly vocabulary: readonly VocabularyEntry[];
}

export interface VocabularySummary {
  readonly vocabularyId: string;
  /** `YYYY-MM-DD HH:MM:SS`, in a time zone that the service does not name. */
  readonly gmtCreate: string;
  readonly gmtModified: string;
  /** `OK`: it can be used; `UNDEPLOYED`: not yet. */
  readonly status: string;
}

export interface Vocabulary extends VocabularySummary {
  readonly targetModel: string;
  readonly vocabulary: readonly VocabularyEntry[];
}

export interface VocabularyPage extends CallOptions {
  /** Only lists of this prefix. */
  readonly prefix?: string | undefined;
  /** From 0, which is the default. */
  readonly pageIndex?: number | undefined;
  /** Default: 10. */
  readonly pageSize?: number | undefined;
}

const PATH = '/services/audio/asr/customization';
/** The account's number of lists is used up: that does not pass. Elsewhere the same code is a matter of time. */
const FINAL_CODES = ['Throttling.AllocationQuota'];
const PAGE_SIZE = 10;
/** An account has 10 lists; nobody turns more pages than this. */
const PAGES_MAX = 1_000;
const CREATE_ATTEMPTS = 3;

const wireEntry = z
  .object({ text: z.string(), weight: z.number(), lang: z.string().nullish() })
  .transform(({ text, weight, lang }): VocabularyEntry => ({
    text,
    weight,
    ...(lang == null ? {} : { lang }),
  }));
const wireTimes = {
  gmt_create: z.string().catch(''),
  gmt_modified: z.string().catch(''),
  status: z.string().catch(''),
};
const created = z.object({ output: z.object({ vocabulary_id: z.string().min(1) }) });
const listed = z.object({
  output: z.object({
    vocabulary_list: z.array(
      z.object({ vocabulary_id: z.string(), ...wireTimes }).transform((wire): VocabularySummary => ({
        vocabularyId: wire.vocabulary_id,
        gmtCreate: wire.gmt_create,
        gmtModified: wire.gmt_modified,
        status: wire.status,
      })),
    ),
  }),
});
const queried = z.object({
  output: z.object({
    ...wireTimes,
    target_model: z.string(),
    vocabulary: z.array(wireEntry),
  }),
});
const acknowledged = z.object({});

/**
 * Lists of hot words for the v2 models. Everything is checked before it is sent. Model Studio, "Custom hot words": 10
 * lists an account, 500 hot words a list; between two updates of a list should lie 5 minutes.
 */
export class VocabularyService {
  readonly #rest: RestClient;
  /** Creations go one after the other, so that each can tell its own list from the others. */
  #creating: Promise<unknown> = Promise.resolve();
  #lastRequestId: string | undefined;

  /** @throws {DashScopeError} `ASR_USAGE` where the address is none */
  constructor(options: RestClientOptions) {
    this.#rest = new RestClient(options);
  }

  /** Of the newest request that succeeded; what the vendor's support asks for. */
  getLastRequestId(): string | undefined {
    return this.#lastRequestId;
  }

  /**
   * Makes a list. The request is not idempotent: where the answer is lost, the lists of the prefix are compared with
   * those of before, and a new one with these hot words is taken as the one that was asked for.
   *
   * @returns its id
   * @throws {HotWordsInvalid} nothing was sent
   * @throws {DashScopeRequestRefused} such as `Throttling.AllocationQuota`, where the account has its 10 lists
   */
  create(wanted: NewVocabulary, options: CallOptions = {}): Promise<string> {
    const made = this.#creating.then(() => this.#create(wanted, options));
    this.#creating = made.catch(() => undefined);
    return made;
  }

  /** One page. */
  async list(page: VocabularyPage = {}): Promise<readonly VocabularySummary[]> {
    const { prefix, pageIndex = 0, pageSize = PAGE_SIZE, signal } = page;
    refuseFaults([
      ...(prefix === undefined ? [] : checkPrefix(prefix)),
      ...(isWhole(pageIndex, 0) ? [] : [broken('page', 'pageIndex', String(pageIndex))]),
      ...(isWhole(pageSize, 1) ? [] : [broken('page', 'pageSize', String(pageSize))]),
    ]);
    const input = { action: 'list_vocabulary', prefix, page_index: pageIndex, page_size: pageSize };
    const { output } = await this.#call(input, listed, 'safe', signal);
    return output.vocabulary_list;
  }

  /** All, page by page as they are asked for; one that moves between pages is told once. */
  async *listAll(options: Omit<VocabularyPage, 'pageIndex'> = {}): AsyncGenerator<VocabularySummary, void> {
    const seen = new Set<string>();
    const pageSize = options.pageSize ?? PAGE_SIZE;
    for (let pageIndex = 0; pageIndex < PAGES_MAX; pageIndex += 1) {
      const page = await this.list({ ...options, pageIndex, pageSize });
      for (const summary of page) {
        if (seen.has(summary.vocabularyId)) continue;
        seen.add(summary.vocabularyId);
        yield summary;
      }
      if (page.length < pageSize) return;
    }
  }

  /** @throws {DashScopeRequestRefused} `BadRequest.ResourceNotExist` */
  async query(vocabularyId: string, { signal }: CallOptions = {}): Promise<Vocabulary> {
    const input = { action: 'query_vocabulary', vocabulary_id: vocabularyId };
    const { output } = await this.#call(input, queried, 'safe', signal);
    return {
      vocabularyId,
      gmtCreate: output.gmt_create,
      gmtModified: output.gmt_modified,
      status: output.status,
      targetModel: output.target_model,
      vocabulary: output.vocabulary,
    };
  }

  /** Replaces the whole list. @throws {HotWordsInvalid} nothing was sent */
  async update(
    vocabularyId: string,
    vocabulary: readonly VocabularyEntry[],
    { signal }: CallOptions = {},
  ): Promise<void> {
    refuseFaults(checkEntries(vocabulary));
    const input = {
      action: 'update_vocabulary',
      vocabulary_id: vocabularyId,
      vocabulary: toWire(vocabulary),
    };
    await this.#call(input, acknowledged, 'safe', signal);
  }

  /** @throws {DashScopeRequestRefused} `BadRequest.ResourceNotExist` */
  async delete(vocabularyId: string, { signal }: CallOptions = {}): Promise<void> {
    const input = { action: 'delete_vocabulary', vocabulary_id: vocabularyId };
    // Not `safe`: after a lost answer, the second time would say that there is no such list.
    try {
      await this.#call(input, acknowledged, 'once', signal);
    } catch (thrown) {
      if (!mayHaveBeenDone(thrown)) throw thrown;
      await this.#rest.pause(1, signal);
      try {
        await this.#call(input, acknowledged, 'once', signal);
      } catch (again) {
        if (!isVocabularyMissing(again)) throw again;
      }
    }
  }

  async #create(wanted: NewVocabulary, { signal }: CallOptions): Promise<string> {
    const { targetModel, prefix, vocabulary } = wanted;
    refuseFaults([...checkTargetModel(targetModel), ...checkPrefix(prefix), ...checkEntries(vocabulary)]);
    const before = new Set<string>();
    for await (const { vocabularyId } of this.listAll({ prefix, signal })) before.add(vocabularyId);
    const input = {
      action: 'create_vocabulary',
      target_model: targetModel,
      prefix,
      vocabulary: toWire(vocabulary),
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { output } = await this.#call(input, created, 'once', signal);
        return output.vocabulary_id;
      } catch (thrown) {
        if (!mayHaveBeenDone(thrown)) throw thrown;
        await this.#rest.pause(attempt, signal);
        const found = await this.#findNew(wanted, before, signal);
        if (found !== undefined) return found;
        if (attempt >= CREATE_ATTEMPTS) throw thrown;
      }
    }
  }

  /** A list that was not there before and holds what was asked for. */
  async #findNew(
    { targetModel, prefix, vocabulary }: NewVocabulary,
    before: ReadonlySet<string>,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const wanted = JSON.stringify(toWire(vocabulary));
    for await (const { vocabularyId } of this.listAll({ prefix, signal })) {
      // The interface may also give lists of longer prefixes.
      if (before.has(vocabularyId) || !vocabularyId.startsWith(`vocab-${prefix}-`)) continue;
      const list = await this.query(vocabularyId, { signal });
      if (list.targetModel === targetModel && JSON.stringify(toWire(list.vocabulary)) === wanted) {
        return vocabularyId;
      }
    }
    return undefined;
  }

  async #call<T>(
    input: Readonly<Record<string, unknown>>,
    answer: z.ZodType<T>,
    repeat: 'safe' | 'once',
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { value, requestId } = await this.#rest.request({
      method: 'POST',
      path: PATH,
      body: { model: 'speech-biasing', input },
      answer,
      repeat,
      finalCodes: FINAL_CODES,
      signal,
    });
    this.#lastRequestId = requestId ?? this.#lastRequestId;
    return value;
  }
}

/** Only what the service knows, in one order, so that two lists can be compared. */
function toWire(entries: readonly VocabularyEntry[]): readonly VocabularyEntry[] {
  return entries.map(({ text, weight, lang }) => ({ text, weight, ...(lang === undefined ? {} : { lang }) }));
}

/** Whether the service said that it has no such list. */
export function isVocabularyMissing(thrown: unknown): boolean {
  return (
    thrown instanceof DashScopeRequestRefused &&
    ['BadRequest.ResourceNotExist', 'NotFound'].includes(thrown.dashscopeCode ?? '')
  );
}

function isWhole(value: number, min: number): boolean {
  return Number.isInteger(value) && value >= min;
}
