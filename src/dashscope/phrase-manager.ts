import { z } from 'zod';

import { RECOGNITION_MODELS } from './models.ts';
import { type CallOptions, mayHaveBeenDone, RestClient, type RestClientOptions } from './rest-client.ts';
import { DashScopeRequestRefused } from './rest-errors.ts';
import { broken, countCharacters, countParts, type HotWordFault, refuseFaults } from './vocabulary-rules.ts';

/** Phrase → weight: 1 to 5 makes it likelier, -6 to -1 less likely. */
export type PhraseWeights = Readonly<Record<string, number>>;

/** What the service tells of a list. It does not give the phrases themselves back. */
export interface PhraseList {
  /** For `phraseId` of a task. */
  readonly phraseId: string;
  readonly jobId: string | undefined;
  readonly model: string | undefined;
  /** `YYYY-MM-DD HH:MM:SS`, in a time zone that the service does not name. */
  readonly createTime: string | undefined;
}

export interface PhrasePage extends CallOptions {
  /** From 1, which is the default. */
  readonly pageNo?: number | undefined;
  /** Up to 100. Default: 10. */
  readonly pageSize?: number | undefined;
}

export interface PhraseListPage {
  /** Of all pages; undefined where the service did not say. */
  readonly total: number | undefined;
  readonly lists: readonly PhraseList[];
}

const PHRASES_MAX = 500;
const CHARACTERS_MAX = 10;
const WORDS_MAX = 5;
const PAGE_SIZE_MAX = 100;
const FINAL_CODES = ['Throttling.AllocationQuota'];

const optionalText = z.string().optional().catch(undefined);
const wireList = z
  .object({
    finetuned_output: z.string().min(1),
    job_id: optionalText,
    model: optionalText,
    create_time: optionalText,
  })
  .transform((wire): PhraseList => ({
    phraseId: wire.finetuned_output,
    jobId: wire.job_id,
    model: wire.model,
    createTime: wire.create_time,
  }));
const one = z.object({ output: wireList });
const page = z.object({
  output: z.object({
    total: z.number().optional().catch(undefined),
    finetuned_outputs: z.array(wireList),
  }),
});
const acknowledged = z.object({});

/** Lists of hot words for the v1 models. Model Studio, "Paraformer hotwords". Checked before anything is sent. */
export class PhraseManager {
  readonly #rest: RestClient;

  /** @throws {DashScopeError} `ASR_USAGE` where the address is none */
  constructor(options: RestClientOptions) {
    this.#rest = new RestClient(options);
  }

  /**
   * Makes a list. Not repeated where the answer may only have been lost: the service cannot tell what is in its lists,
   * so nobody could find the list again.
   *
   * @throws {HotWordsInvalid} nothing was sent
   */
  create(model: string, phrases: PhraseWeights, options: CallOptions = {}): Promise<PhraseList> {
    return this.#compile(model, phrases, undefined, options);
  }

  /** Replaces the whole list. @throws {HotWordsInvalid} nothing was sent */
  update(
    phraseId: string,
    model: string,
    phrases: PhraseWeights,
    options: CallOptions = {},
  ): Promise<PhraseList> {
    return this.#compile(model, phrases, phraseId, options);
  }

  /** @throws {DashScopeRequestRefused} there is no such list */
  async query(phraseId: string, { signal }: CallOptions = {}): Promise<PhraseList> {
    const path = `/fine-tunes/outputs/${encodeURIComponent(phraseId)}`;
    const { value } = await this.#rest.request({ method: 'GET', path, answer: one, repeat: 'safe', signal });
    return value.output;
  }

  async list({ pageNo = 1, pageSize = 10, signal }: PhrasePage = {}): Promise<PhraseListPage> {
    refuseFaults([
      ...(Number.isInteger(pageNo) && pageNo >= 1 ? [] : [broken('page', 'pageNo', String(pageNo))]),
      ...(Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= PAGE_SIZE_MAX
        ? []
        : [broken('page', 'pageSize', String(pageSize))]),
    ]);
    const { value } = await this.#rest.request({
      method: 'GET',
      path: '/fine-tunes/outputs',
      query: { page_no: pageNo, page_size: pageSize },
      answer: page,
      repeat: 'safe',
      signal,
    });
    return { total: value.output.total, lists: value.output.finetuned_outputs };
  }

  /** @throws {DashScopeRequestRefused} there is no such list */
  async delete(phraseId: string, { signal }: CallOptions = {}): Promise<void> {
    const path = `/fine-tunes/outputs/${encodeURIComponent(phraseId)}`;
    const request = { method: 'DELETE', path, answer: acknowledged, repeat: 'once', signal } as const;
    try {
      await this.#rest.request(request);
    } catch (thrown) {
      if (!mayHaveBeenDone(thrown)) throw thrown;
      await this.#rest.pause(1, signal);
      try {
        await this.#rest.request(request);
      } catch (again) {
        // It was done the first time.
        if (!isMissing(again)) throw again;
      }
    }
  }

  async #compile(
    model: string,
    phrases: PhraseWeights,
    phraseId: string | undefined,
    { signal }: CallOptions,
  ): Promise<PhraseList> {
    refuseFaults([...checkPhraseModel(model), ...checkPhrases(phrases)]);
    const { value } = await this.#rest.request({
      method: 'POST',
      path: '/fine-tunes',
      body: {
        model,
        training_type: 'compile_asr_phrase',
        hyper_parameters: { phrase_list: phrases },
        finetuned_output: phraseId,
      },
      answer: one,
      repeat: phraseId === undefined ? 'once' : 'safe',
      finalCodes: FINAL_CODES,
      signal,
    });
    return { ...value.output, model: value.output.model ?? model };
  }
}

function checkPhraseModel(model: string): readonly HotWordFault[] {
  const known = RECOGNITION_MODELS.find(({ name }) => name === model);
  if (model !== '' && known?.hotWords !== 'vocabularyId') return [];
  return [broken('phrase-model', 'model', model === '' ? 'nothing' : model)];
}

/** Faults name phrases by their place, from 0. */
function checkPhrases(phrases: PhraseWeights): readonly HotWordFault[] {
  const entries = Object.entries(phrases);
  const faults = entries.flatMap(([text, weight], index) => checkPhrase(text, weight, `phrases[${index}]`));
  if (entries.length > 0 && entries.length <= PHRASES_MAX) return faults;
  return [broken('phrase-count', 'phrases', `${entries.length} phrases`), ...faults];
}

function checkPhrase(text: string, weight: number, at: string): readonly HotWordFault[] {
  const faults: HotWordFault[] = [];
  if (text.trim() === '') faults.push(broken('text-present', at, 'nothing'));
  // "Only Chinese characters" against "only English words, or a mix".
  else if (!/[A-Za-z]/.test(text)) {
    const characters = countCharacters(text);
    if (characters > CHARACTERS_MAX) faults.push(broken('phrase-characters', at, `${characters} characters`));
  } else {
    const words = countParts(text);
    if (words > WORDS_MAX) faults.push(broken('phrase-words', at, `${words} words`));
  }
  const allowed = Number.isInteger(weight) && weight >= -6 && weight <= 5 && weight !== 0;
  if (!allowed) faults.push(broken('phrase-weight', `${at}.weight`, String(weight)));
  return faults;
}

function isMissing(thrown: unknown): boolean {
  return (
    thrown instanceof DashScopeRequestRefused &&
    (thrown.httpStatus === 404 ||
      ['BadRequest.ResourceNotExist', 'NotFound'].includes(thrown.dashscopeCode ?? ''))
  );
}
