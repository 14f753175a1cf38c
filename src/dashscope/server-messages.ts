import { z } from 'zod';

/** Everything that the service may say in a task; heartbeat results are told apart from results. */
export type ServerMessage =
  | { readonly kind: 'task-started'; readonly taskId: string | undefined }
  | {
      readonly kind: 'result-generated';
      readonly taskId: string | undefined;
      readonly result: SentenceResult;
    }
  | { readonly kind: 'heartbeat'; readonly taskId: string | undefined }
  | { readonly kind: 'task-finished'; readonly taskId: string | undefined }
  | {
      readonly kind: 'task-failed';
      readonly taskId: string | undefined;
      readonly errorCode: string;
      readonly errorMessage: string;
    }
  /** An event that did not exist when this was written. */
  | { readonly kind: 'unknown'; readonly taskId: string | undefined }
  /** Not JSON, or without what its event needs. `fault` is one of our own constant texts. */
  | { readonly kind: 'malformed'; readonly fault: string };

/** What is heard of one sentence; each result replaces the one before. Milliseconds of the task's audio. */
export interface SentenceResult {
  /** 1, 2, 3 … in a task; undocumented, so maybe absent. */
  readonly sentenceId: number | undefined;
  readonly beginMs: number;
  /** Undefined while the sentence is open. */
  readonly endMs: number | undefined;
  readonly text: string;
  readonly final: boolean;
  readonly words: readonly WordResult[];
  /** Only on finals of paraformer-realtime-8k-v2, and even there not promised. */
  readonly emotion: EmotionResult | undefined;
  /** Billed seconds of the task so far: cumulative, on finals. */
  readonly usageSeconds: number | undefined;
}

export interface WordResult {
  readonly beginMs: number;
  readonly endMs: number;
  readonly text: string;
  readonly punctuation: string;
}

export interface EmotionResult {
  readonly tag: string;
  /** 0 to 1. */
  readonly confidence: number | undefined;
}

// A field that we can do without never spoils a message: what it should not be is as if it were not there. What the
// service sends every day must not go that way, though: a value that fails costs more than all the others.
const optional = <T extends z.ZodType>(type: T) => type.optional().catch(undefined);
const timeMs = z.number().min(0).transform(Math.round);

const wireSentence = z.object({
  sentence_id: optional(z.number().int()),
  begin_time: timeMs,
  end_time: optional(timeMs.nullable()),
  text: z.string(),
  sentence_end: optional(z.boolean()),
  heartbeat: optional(z.boolean()),
  words: z.array(z.unknown()).catch([]),
  emo_tag: optional(z.string().min(1)),
  emo_confidence: optional(z.number().min(0).max(1)),
});
type WireSentence = z.infer<typeof wireSentence>;

const wireWord = z.object({
  begin_time: timeMs,
  end_time: timeMs,
  text: z.string(),
  punctuation: z.string().catch(''),
});

const wireMessage = z.object({
  header: z.object({
    event: z.string(),
    task_id: optional(z.string()),
    error_code: optional(z.string()),
    error_message: optional(z.string()),
  }),
  payload: z.unknown().optional(),
});

const wireResult = z.object({
  output: z.object({ sentence: z.unknown() }),
  usage: optional(z.object({ duration: z.number().min(0) }).nullable()),
});

/** Reads one text frame. Never throws: what cannot be read comes back as `malformed`. */
export function decodeServerMessage(text: string): ServerMessage {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { kind: 'malformed', fault: 'text frame is not JSON' };
  }
  const message = wireMessage.safeParse(json);
  if (!message.success) return { kind: 'malformed', fault: 'message has no header with an event' };
  const { header, payload } = message.data;
  const taskId = header.task_id;
  switch (header.event) {
    case 'task-started':
    case 'task-finished':
      // The payload of task-finished comes in three forms, {} among them; none says anything.
      return { kind: header.event, taskId };
    case 'task-failed':
      return {
        kind: 'task-failed',
        taskId,
        errorCode: header.error_code ?? '',
        errorMessage: header.error_message ?? '',
      };
    case 'result-generated':
      return decodeResult(taskId, payload);
    default:
      return { kind: 'unknown', taskId };
  }
}

function decodeResult(taskId: string | undefined, payload: unknown): ServerMessage {
  const body = wireResult.safeParse(payload);
  if (!body.success) return { kind: 'malformed', fault: 'result has no payload.output' };
  const wire = body.data.output.sentence;
  if (isHeartbeat(wire)) return { kind: 'heartbeat', taskId };
  const parsed = wireSentence.safeParse(wire);
  if (!parsed.success) return { kind: 'malformed', fault: 'result has no sentence with begin_time and text' };

  const sentence = parsed.data;
  const words = sentence.words.flatMap(decodeWord);
  const final = isFinal(sentence);
  const result: SentenceResult = {
    sentenceId: sentence.sentence_id,
    beginMs: sentence.begin_time,
    endMs: final ? finalEndMs(sentence, words) : undefined,
    text: sentence.text,
    final,
    words,
    emotion:
      sentence.emo_tag === undefined
        ? undefined
        : { tag: sentence.emo_tag, confidence: sentence.emo_confidence },
    usageSeconds: body.data.usage?.duration,
  };
  return { kind: 'result-generated', taskId, result };
}

function isHeartbeat(sentence: unknown): boolean {
  return (
    typeof sentence === 'object' &&
    sentence !== null &&
    'heartbeat' in sentence &&
    sentence.heartbeat === true
  );
}

/**
 * The one rule. Sources disagree: "Paraformer server events" names `sentence_end`, the page before it and the
 * vendor's Python SDK a non-null `end_time`, its Java SDK takes either; and the newer page's own sample shows
 * `end_time: null` beside `sentence_end: true`. So `sentence_end` decides where it is there.
 */
export function isFinal(sentence: Pick<WireSentence, 'sentence_end' | 'end_time'>): boolean {
  return sentence.sentence_end ?? sentence.end_time != null;
}

/** Where the end is null, the last word's; where there is no word either, no more is known than the begin. */
function finalEndMs(sentence: WireSentence, words: readonly WordResult[]): number {
  return Math.max(sentence.begin_time, sentence.end_time ?? words.at(-1)?.endMs ?? 0);
}

function decodeWord(value: unknown): WordResult[] {
  const word = wireWord.safeParse(value);
  if (!word.success) return [];
  const { begin_time: beginMs, end_time: endMs, text, punctuation } = word.data;
  return [{ beginMs, endMs, text, punctuation }];
}
