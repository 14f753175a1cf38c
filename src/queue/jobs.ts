import { z } from 'zod';

import type { CallEvent, CallRecord, LegRecord } from '../call/record.ts';
import { CallscribeError } from '../errors.ts';
import { type CallId, isUuid, type LegId, toCallId, toLegId } from '../ids.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { JsonValue } from './json.ts';
import { toJson } from './json.ts';

/** The queues; one worker role reads each. Events of a call travel with its snapshots. */
export const QUEUE_NAMES = ['sentences', 'calls'] as const;
export type QueueName = (typeof QUEUE_NAMES)[number];

/** What is on its way to the rows: one whole fact, or a step of a call's end that waits for such. */
export type Job =
  | { readonly name: 'sentence'; readonly payload: FinalSentence }
  | { readonly name: 'call'; readonly payload: CallRecord }
  | { readonly name: 'call-event'; readonly payload: CallEvent }
  | { readonly name: 'leg-end'; readonly payload: LegEnd }
  | { readonly name: 'call-end'; readonly payload: CallRecord };
export type JobName = Job['name'];

/** All sentences of a leg have been published; done when that many rows are there. */
export interface LegEnd {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly sentenceCount: number;
}

/** A fact as outbox, jobs and dead letters carry it. */
export interface EncodedJob {
  readonly queue: QueueName;
  readonly name: JobName;
  /**
   * Made from the fact, so that the same fact is known as one. BullMQ refuses a colon and a bare integer in an id
   * (bullmq 6.7, Job.validateOptions).
   */
  readonly id: string;
  readonly data: JsonValue;
}

/** Which role handles it. */
export const QUEUE_OF: Readonly<Record<JobName, QueueName>> = {
  sentence: 'sentences',
  'leg-end': 'sentences',
  call: 'calls',
  'call-event': 'calls',
  'call-end': 'calls',
};

/** A job that carries facts, in order; those before it carried one fact each, under the fact's name. */
export const BATCH = 'batch';

/** The data of a job whose rows are there; it may come once more when its worker died just then. */
export const DONE = { done: true } as const;

const isDone = (data: unknown): boolean =>
  typeof data === 'object' && data !== null && 'done' in data && data.done === true;

/** A fact inside a batch; its queue is the batch's. */
export interface BatchedFact {
  readonly name: string;
  readonly id: string;
  readonly data: unknown;
}

/** Whether this is a call's last snapshot: everything of its legs has been published. */
export const isLastSnapshot = ({ state, legs }: CallRecord): boolean =>
  state === 'finishing' && legs.every(({ sentenceCount }) => sentenceCount !== undefined);

/** An id is no longer than that; a btree entry in Postgres may have 2,704 bytes (three a code unit at most). */
export const IDENTIFIER_MAX_CHARS = 512;

export function encodeJob(job: Job): EncodedJob {
  const isCall = job.name === 'call' || job.name === 'call-end';
  const payload = isCall ? withBoundedIdentifiers(job.payload) : job.payload;
  return { queue: QUEUE_OF[job.name], name: job.name, id: idOf(job), data: toJson(payload) };
}

function idOf(job: Job): string {
  switch (job.name) {
    case 'sentence':
      return `${job.payload.legId}.${job.payload.sentenceNo}`;
    case 'call':
      return `${job.payload.id}.${job.payload.revision}`;
    case 'call-event':
      return `${job.payload.callId}.event.${job.payload.eventNo}`;
    case 'leg-end':
      return `${job.payload.legId}.end`;
    case 'call-end':
      return `${job.payload.id}.${job.payload.revision}.end`;
  }
}

function withBoundedIdentifiers(call: CallRecord): CallRecord {
  const cut = (text: string): string => text.slice(0, IDENTIFIER_MAX_CHARS);
  return {
    ...call,
    identifiers: call.identifiers.map(({ kind, value }) => ({ kind: cut(kind), value: cut(value) })),
  };
}

/**
 * Reads a job that a worker took. Unknown fields are ignored, so that a newer publisher may run beside an older
 * worker.
 *
 * @throws {CallscribeError} JOB_MALFORMED, naming the fields at fault but none of their values
 */
export function decodeJob(name: string, data: unknown): Job {
  switch (name) {
    case 'sentence':
      return { name, payload: parse(sentence, name, data) };
    case 'call':
      return { name, payload: parse(call, name, data) };
    case 'call-event':
      return { name, payload: parse(callEvent, name, data) };
    case 'leg-end':
      return { name, payload: parse(legEnd, name, data) };
    case 'call-end':
      return { name, payload: parse(call, name, data) };
    default:
      throw new CallscribeError('JOB_MALFORMED', 'no job has this name');
  }
}

/**
 * What a job carries, not decoded yet: the facts of a batch, or the one fact of a job as older versions made them.
 *
 * @throws {CallscribeError} JOB_MALFORMED
 */
export function factsOf(name: string, id: string, data: unknown): readonly BatchedFact[] {
  if (isDone(data)) return [];
  return name === BATCH ? parse(batch, name, data).facts : [{ name, id, data }];
}

function parse<T>(schema: z.ZodType<T>, name: string, data: unknown): T {
  const result = schema.safeParse(data);
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.code}`);
  throw new CallscribeError('JOB_MALFORMED', `job "${name}" cannot be read: ${faults.join(', ')}`);
}

/** What has no value travels as null. */
export const optional = <T>(schema: z.ZodType<T>): z.ZodType<T | undefined> =>
  schema.nullish().transform((value) => value ?? undefined);

/** Every name of a union, checked by the compiler: a new one that is missing here is an error there. */
const oneOf = <T extends string>(names: Readonly<Record<T, true>>) => z.enum(Object.keys(names) as T[]);

const callId = z.string().refine(isUuid).transform(toCallId);
const legId = z.string().refine(isUuid).transform(toLegId);
const time = z.iso.datetime().transform((text) => new Date(text));
const count = z.int().min(0).max(2_147_483_647);
/** Milliseconds are whole in the rows; arithmetic on samples may leave a fraction. */
const ms = z.number().min(0).max(2_147_483_647).transform(Math.round);
const number = z.int().min(1).max(2_147_483_647);
const anyObject = z.record(z.string(), z.unknown());

const sentence: z.ZodType<FinalSentence> = z.object({
  callId,
  legId,
  // Publishers before this field knew one tenant.
  tenant: z.string().default('default'),
  webhooks: optional(z.array(z.string().max(128)).max(64)),
  legNo: count,
  sentenceNo: number,
  beginMs: ms,
  endMs: ms,
  beginAt: time,
  endAt: time,
  text: z.string(),
  words: z.array(
    z.object({ text: z.string(), begin_ms: z.number(), end_ms: z.number(), punctuation: z.string() }),
  ),
  emoTag: optional(z.string()),
  emoConfidence: optional(z.number()),
  asrTaskId: z.string(),
  // Publishers before this field have none.
  concealedMs: ms.default(0),
});

const leg: z.ZodType<LegRecord> = z.object({
  id: legId,
  legNo: count,
  label: optional(z.string()),
  role: oneOf<LegRecord['role']>({ agent: true, customer: true, mixed: true, unknown: true }),
  name: optional(z.string()),
  uri: optional(z.string()),
  // A publisher of an older version does not tell it.
  roleEvidence: anyObject.default({}),
  codec: optional(oneOf<NonNullable<LegRecord['codec']>>({ PCMU: true, PCMA: true })),
  model: z.string(),
  vocabularyId: optional(z.string()),
  startedAt: optional(time),
  endedAt: optional(time),
  media: optional(anyObject),
  sentenceCount: optional(count),
});

const call: z.ZodType<CallRecord> = z.object({
  id: callId,
  revision: number,
  state: oneOf<CallRecord['state']>({ active: true, finishing: true, failed: true }),
  sipCallId: z.string(),
  tenant: z.string(),
  direction: oneOf<CallRecord['direction']>({ inbound: true, outbound: true, unknown: true }),
  mapping: oneOf<CallRecord['mapping']>({
    metadata: true,
    signalled: true,
    receiver: true,
    positional: true,
    none: true,
  }),
  startedAt: time,
  answeredAt: optional(time),
  endedAt: optional(time),
  endReason: optional(
    oneOf<NonNullable<CallRecord['endReason']>>({
      bye: true,
      ack_timeout: true,
      session_expired: true,
      no_media: true,
      dialog_lost: true,
      voicemail: true,
      drained: true,
      replaced: true,
      recovered: true,
    }),
  ),
  metadata: anyObject,
  identifiers: z.array(z.object({ kind: z.string(), value: z.string() })),
  legs: z.array(leg),
});

const legEnd: z.ZodType<LegEnd> = z.object({ callId, legId, sentenceCount: count });

const batch: z.ZodType<{ facts: BatchedFact[] }> = z.object({
  facts: z.array(z.object({ name: z.string(), id: z.string(), data: z.unknown() })),
});

const callEvent: z.ZodType<CallEvent> = z.object({
  callId,
  legId: optional(legId),
  eventNo: number,
  at: time,
  kind: z.string(),
  detail: anyObject,
});
