import { z } from 'zod';

import { AUDIO_FORMATS, type AudioFormat } from './audio-decoder.ts';

/** What a client asked for, checked. */
export type ClientRequest =
  | { readonly kind: 'run-task'; readonly task: TaskRequest }
  | { readonly kind: 'finish-task'; readonly taskId: string }
  | { readonly kind: 'refused'; readonly failure: TaskFailure };

export interface TaskRequest {
  readonly taskId: string;
  readonly model: string;
  readonly format: AudioFormat;
  readonly sampleRateHz: number;
  /** v2 models only; elsewhere it is ignored. */
  readonly vocabularyId: string | undefined;
  /** v1 models only; elsewhere it is ignored. */
  readonly phraseId: string | undefined;
  readonly sentenceSilenceMs: number;
  readonly heartbeat: boolean;
  /** Whether texts have punctuation marks; the v1 models always give them. */
  readonly punctuation: boolean;
  /** Whether finals carry `emo_tag` and `emo_confidence`. */
  readonly emotion: boolean;
}

/** A `task-failed` to be. */
export interface TaskFailure {
  /** Empty where the message did not say. */
  readonly taskId: string;
  readonly code: string;
  readonly message: string;
}

interface ModelFacts {
  /** What it requires of `sample_rate`; undefined: any. */
  readonly sampleRateHz: number | undefined;
  readonly hotWords: 'vocabulary' | 'phrases';
}

const MODELS: Readonly<Partial<Record<string, ModelFacts>>> = {
  'paraformer-realtime-v2': { sampleRateHz: undefined, hotWords: 'vocabulary' },
  'paraformer-realtime-8k-v2': { sampleRateHz: 8_000, hotWords: 'vocabulary' },
  'paraformer-realtime-v1': { sampleRateHz: 16_000, hotWords: 'phrases' },
  'paraformer-realtime-8k-v1': { sampleRateHz: 8_000, hotWords: 'phrases' },
};
const EMOTION_MODEL = 'paraformer-realtime-8k-v2';
/** 32 hex digits (the Python SDK) or the dashed form (the Java SDK). */
const TASK_ID = /^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$/i;
/** Sentences cut by meaning end at the latest after so much silence (speech demo FAQ). */
const SEMANTIC_SILENCE_MS = 2_000;
const SENTENCE_SILENCE_DEFAULT_MS = 800;

const envelope = z.object({
  header: z.object({ action: z.string().optional(), task_id: z.string().optional() }),
  payload: z.record(z.string(), z.unknown()).optional(),
});

/** Constants of `payload` that stand in every run-task. */
const CONSTANTS = { task_group: 'audio', task: 'asr', function: 'recognition' } as const;

// Unknown parameters are let through: official clients add `stream` and `pre_task_id`.
const parameters = z.object({
  format: z.enum(AUDIO_FORMATS),
  sample_rate: z.number().int().min(1_000).max(192_000),
  semantic_punctuation_enabled: z.boolean().default(false),
  max_sentence_silence: z.number().int().min(200).max(6_000).default(SENTENCE_SILENCE_DEFAULT_MS),
  heartbeat: z.boolean().default(false),
  vocabulary_id: z.string().optional(),
  disfluency_removal_enabled: z.boolean().optional(),
  multi_threshold_mode_enabled: z.boolean().optional(),
  punctuation_prediction_enabled: z.boolean().default(true),
  inverse_text_normalization_enabled: z.boolean().optional(),
  language_hints: z.array(z.string()).optional(),
});

const resources = z.array(z.object({ resource_id: z.string().min(1), resource_type: z.string() })).optional();

/** Reads one text frame of a client. Never throws. */
export function decodeClientFrame(text: string): ClientRequest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('', 'InvalidParameter', 'The message is not JSON! Please follow the protocol!');
  }
  const message = envelope.safeParse(json);
  if (!message.success) return refuse('', 'InvalidParameter', missing('header'));
  const { header, payload } = message.data;
  const taskId = header.task_id ?? '';
  if (!TASK_ID.test(taskId)) return refuse(taskId, 'InvalidParameter', missing('header.task_id'));
  if (header.action === 'finish-task') return { kind: 'finish-task', taskId };
  if (header.action === 'run-task') return decodeRunTask(taskId, payload ?? {});
  return refuse(taskId, 'InvalidParameter', missing('header.action'));
}

function decodeRunTask(taskId: string, payload: Readonly<Record<string, unknown>>): ClientRequest {
  for (const [name, value] of Object.entries(CONSTANTS)) {
    if (payload[name] !== value) return refuse(taskId, 'InvalidParameter', missing(`payload.${name}`));
  }
  const { model, input } = payload;
  if (typeof model !== 'string' || model === '') {
    return refuse(taskId, 'InvalidParameter', missing('payload.model'));
  }
  if (typeof input !== 'object' || input === null) {
    return refuse(taskId, 'InvalidParameter', 'task can not be null');
  }
  const known = MODELS[model];
  if (known === undefined) return refuse(taskId, 'ModelNotFound', 'Model can not be found.');
  const asked = parameters.safeParse(payload['parameters']);
  if (!asked.success) {
    return refuse(taskId, 'InvalidParameter', parameterFault(payload['parameters'], asked.error));
  }
  const value = asked.data;
  if (known.sampleRateHz !== undefined && known.sampleRateHz !== value.sample_rate) {
    const text = `sample_rate ${value.sample_rate} is not supported by ${model}`;
    return refuse(taskId, 'InvalidParameter', text);
  }
  const listed = resources.safeParse(payload['resources']);
  if (!listed.success) return refuse(taskId, 'InvalidParameter', missing('payload.resources'));
  const phrases = listed.data?.find((resource) => resource.resource_type === 'asr_phrase');
  const { hotWords } = known;
  const semantic = value.semantic_punctuation_enabled;
  const task: TaskRequest = {
    taskId,
    model,
    format: value.format,
    sampleRateHz: value.sample_rate,
    vocabularyId: hotWords === 'vocabulary' ? value.vocabulary_id : undefined,
    phraseId: hotWords === 'phrases' ? phrases?.resource_id : undefined,
    sentenceSilenceMs: semantic ? SEMANTIC_SILENCE_MS : value.max_sentence_silence,
    heartbeat: value.heartbeat,
    punctuation: hotWords === 'phrases' || value.punctuation_prediction_enabled,
    emotion: model === EMOTION_MODEL && !semantic,
  };
  return { kind: 'run-task', task };
}

/** What is there but cannot be is not missing. */
function parameterFault(given: unknown, error: z.ZodError): string {
  const path = error.issues[0]?.path.join('.') ?? '';
  const name = `payload.parameters${path === '' ? '' : `.${path}`}`;
  const there = typeof given === 'object' && given !== null && path.split('.')[0]! in given;
  return there ? `Invalid value of parameter '${name}'! Please follow the protocol!` : missing(name);
}

const missing = (name: string): string => `Missing required parameter '${name}'! Please follow the protocol!`;

function refuse(taskId: string, code: string, message: string): ClientRequest {
  return { kind: 'refused', failure: { taskId, code, message } };
}
