import { randomBytes } from 'node:crypto';

import { z } from 'zod';

import type { Clock } from '../clock.ts';
import { invalid, NOT_EXISTING, type Outcome, wallText } from './vocabularies.ts';

/** Lists of hot words for the v1 models, kept as "fine-tuned outputs". */
export interface PhraseList {
  readonly phraseId: string;
  readonly jobId: string;
  readonly model: string;
  readonly phrases: Readonly<Record<string, number>>;
  readonly createTime: string;
}

const ENTRIES_MAX = 500;
const CHINESE_MAX_CHARACTERS = 10;
const WORDS_MAX = 5;
/** The service names no limit; a sandbox that runs for days needs one. */
const LISTS_MAX = 1_000;

const phrases = z
  .record(
    z.string().min(1).refine(isShortEnough, 'a phrase has at most 10 Chinese characters, or 5 words'),
    z
      .number()
      .int()
      .min(-6)
      .max(5)
      .refine((weight) => weight !== 0, 'a weight is 1 to 5 or -6 to -1'),
  )
  .refine((given) => Object.keys(given).length > 0, 'phrases is empty')
  .refine((given) => Object.keys(given).length <= ENTRIES_MAX, `at most ${ENTRIES_MAX} phrases`);

function isShortEnough(text: string): boolean {
  const chineseOnly = !/[A-Za-z]/.test(text);
  return chineseOnly
    ? Array.from(text).length <= CHINESE_MAX_CHARACTERS
    : text.split(' ').filter((word) => word !== '').length <= WORDS_MAX;
}

const compile = z.object({
  model: z.string().min(1),
  training_type: z.literal('compile_asr_phrase'),
  hyper_parameters: z.object({ phrase_list: phrases }),
  finetuned_output: z.string().nullish(),
});

const page = z.object({
  page_no: z.coerce.number().int().min(1).default(1),
  page_size: z.coerce.number().int().min(1).max(100).default(10),
});

/** `…/fine-tunes` and `…/fine-tunes/outputs`, as far as phrase lists go. In memory. */
export class Phrases {
  readonly #clock: Clock;
  readonly #lists = new Map<string, PhraseList>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#lists.size;
  }

  get(phraseId: string): PhraseList | undefined {
    return this.#lists.get(phraseId);
  }

  /** Creates, or with `finetuned_output` updates. */
  compile(body: unknown): Outcome {
    const asked = compile.safeParse(body);
    if (!asked.success) return invalid(asked.error);
    const { model, hyper_parameters: given, finetuned_output: updated } = asked.data;
    const old = updated == null ? undefined : this.#lists.get(updated);
    if (updated != null && old === undefined) return NOT_EXISTING;
    if (old === undefined && this.#lists.size >= LISTS_MAX) {
      return {
        kind: 'refused',
        status: 400,
        code: 'Throttling.AllocationQuota',
        message: 'Free allocated quota exceeded.',
      };
    }
    const createTime = wallText(this.#clock);
    const minute = createTime.replace(/\D/g, '').slice(0, 12);
    const jobId = `ft-${minute}-${randomBytes(4).toString('hex')}`;
    const list: PhraseList = {
      phraseId: old?.phraseId ?? `${model}-${jobId}`,
      jobId: old?.jobId ?? jobId,
      model: old?.model ?? model,
      phrases: given.phrase_list,
      createTime: old?.createTime ?? createTime,
    };
    this.#lists.set(list.phraseId, list);
    const output = {
      job_id: jobId,
      status: 'SUCCEEDED',
      finetuned_output: list.phraseId,
      training_type: 'compile_asr_phrase',
      create_time: createTime,
    };
    return {
      kind: 'done',
      output: old === undefined ? { ...output, model, output_type: 'custom_resource' } : output,
    };
  }

  /** @param query `page_no` from 1, `page_size` up to 100 */
  list(query: URLSearchParams): Outcome {
    const asked = page.safeParse(Object.fromEntries(query));
    if (!asked.success) return invalid(asked.error);
    const { page_no: pageNo, page_size: pageSize } = asked.data;
    // Newest first, as the service's example has it.
    const lists = [...this.#lists.values()].reverse().slice((pageNo - 1) * pageSize, pageNo * pageSize);
    const output = { page_no: pageNo, page_size: pageSize, total: this.#lists.size };
    return { kind: 'done', output: { ...output, finetuned_outputs: lists.map(describe) } };
  }

  /** The service does not give the phrases themselves back. */
  query(phraseId: string): Outcome {
    const list = this.#lists.get(phraseId);
    return list === undefined ? NOT_EXISTING : { kind: 'done', output: describe(list) };
  }

  delete(phraseId: string): Outcome {
    if (!this.#lists.delete(phraseId)) return NOT_EXISTING;
    return { kind: 'done', output: { finetuned_output: phraseId } };
  }
}

function describe(list: PhraseList): Record<string, unknown> {
  return {
    create_time: list.createTime,
    finetuned_output: list.phraseId,
    job_id: list.jobId,
    model: list.model,
    output_type: 'custom_resource',
  };
}
