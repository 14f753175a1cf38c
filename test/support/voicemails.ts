import { MemoryAudio } from '../../src/asr/memory-audio.ts';
import type { CallEvent, CallRecord } from '../../src/call/record.ts';
import { type CallId, newCallId, newLegId } from '../../src/ids.ts';
import { silentLogger as logger } from '../../src/log.ts';
import type { Job } from '../../src/queue/jobs.ts';
import { saveRecording } from '../../src/recording/save-recording.ts';
import type { Pool } from '../../src/store/pool.ts';
import type { FinalSentence } from '../../src/transcript/sentence.ts';
import type { VoicemailEnded } from '../../src/voicemail/record.ts';
import { writeCallJobs } from '../../workers/calls.ts';
import { type RowDeps, writeSentenceJobs } from '../../workers/sentences.ts';
import { aCall, aLeg, anEvent, aSentence, finishing } from './facts.ts';

export interface MessageOptions {
  readonly tenant?: string;
  /** Names of the endpoints that the rule of the call lets know of it. */
  readonly webhooks?: readonly string[];
  readonly mailbox?: string;
  readonly mailTo?: readonly string[];
  readonly caller?: { readonly uri?: string; readonly name?: string };
  /** Of the message; the greeting takes the three seconds before. */
  readonly texts?: readonly string[];
  readonly ended?: Partial<VoicemailEnded>;
  readonly startedAt?: Date;
  /** Where its WAV goes; without, there is an event and no file. */
  readonly recordingDir?: string;
}

/** When the message begins, on the leg's clock. */
export const BEGIN_MS = 3_000;
/** Samples of the message are these numbers, one after the other. */
export const sampleAt = (index: number): number => (index * 7) % 30_000;

/** What an intake tells of a call that leaves a message, in the order in which it does. */
export interface MessageFactJobs {
  readonly call: CallRecord;
  readonly jobs: readonly Job[];
}

export async function messageJobs(options: MessageOptions = {}): Promise<MessageFactJobs> {
  const { tenant = 'default', mailbox = '1001', mailTo = [], texts = ['Please call me back.'] } = options;
  const { startedAt = new Date() } = options;
  const id = newCallId(startedAt);
  const { uri = 'sip:13800138000@pbx.example.com', name = 'Anna' } = options.caller ?? {};
  const legStartedAt = new Date(startedAt.getTime() + 50);
  const leg = aLeg({ id: newLegId(id), uri, name, startedAt: legStartedAt });
  const { webhooks } = options;
  const routed = webhooks === undefined ? {} : { metadata: { route: { webhooks } } };
  const call = aCall({ id, tenant, startedAt, mapping: 'metadata', legs: [leg], ...routed });
  const sentences: FinalSentence[] = texts.map((text, index) => ({
    ...aSentence({ callId: id, legId: leg.id, sentenceNo: index + 1, text }),
    tenant,
    webhooks,
    beginMs: BEGIN_MS + index * 1_000,
    endMs: BEGIN_MS + index * 1_000 + 900,
  }));
  const ended: VoicemailEnded = {
    endMs: BEGIN_MS + 5_000,
    reason: 'hangup',
    content: 'message',
    ...options.ended,
  };
  const at = (ms: number): Date => new Date(legStartedAt.getTime() + ms);
  const event = (eventNo: number, kind: string, detail: object, ms: number): Job => ({
    name: 'call-event',
    payload: anEvent({
      callId: id,
      legId: leg.id,
      eventNo,
      kind,
      detail: detail as CallEvent['detail'],
      at: at(ms),
    }),
  });
  const recorded = await recordedDetail(call, options.recordingDir);
  return {
    call,
    jobs: [
      { name: 'call', payload: call },
      event(1, 'voicemail_began', { mailbox, beginMs: BEGIN_MS, mailTo }, BEGIN_MS),
      ...sentences.map((payload): Job => ({ name: 'sentence', payload })),
      event(2, 'voicemail_ended', ended, ended.endMs),
      { name: 'call-end', payload: finishing(call, [texts.length]) },
      event(3, 'recorded', recorded, ended.endMs + 500),
    ],
  };
}

async function recordedDetail(
  { id, startedAt, legs }: CallRecord,
  recordingDir: string | undefined,
): Promise<object> {
  const [leg] = legs;
  if (recordingDir === undefined) {
    return { file: 'none', beginAt: leg!.startedAt, crc32: 1, channels: [{ legNo: 0, channel: 'both' }] };
  }
  const source = new MemoryAudio(120_000);
  const samples = Int16Array.from({ length: 80_000 }, (_, index) => {
    const inMessage = index - BEGIN_MS * 8;
    return inMessage < 0 ? -1 : sampleAt(inMessage);
  });
  source.append(Buffer.from(samples.buffer));
  const track = { legNo: 0, role: leg!.role, startedAt: leg!.startedAt!, source };
  return (await saveRecording({ recordingDir, callId: id, startedAt, legs: [track] }))!;
}

/** Does what the roles do when such a job comes by itself. */
export async function writeJob(deps: RowDeps, job: Job): Promise<void> {
  const write = job.name === 'sentence' || job.name === 'leg-end' ? writeSentenceJobs : writeCallJobs;
  await write(deps, [job], { isSingle: true, attempt: 1 });
}

/** A message as it is in the rows when all is done. */
export async function leaveMessage(pool: Pool, options: MessageOptions = {}): Promise<CallId> {
  const { call, jobs } = await messageJobs(options);
  for (const job of jobs) await writeJob({ pool, logger }, job);
  return call.id;
}
