import { basename } from 'node:path';

import type { CallRecord, LegRecord } from '../call/record.ts';
import type { CallId, LegId } from '../ids.ts';
import type { FinalSentence } from '../transcript/sentence.ts';
import type { RecordedCall } from './recorded-call.ts';
import { endMsOf, type FileTranscript, type LegTranscript } from './transcript.ts';

/** A file as the tables hold it: a call without signalling, one leg a channel. */
export interface StorableFile {
  readonly call: CallRecord;
  readonly sentences: readonly FinalSentence[];
}

export interface CallOfFileOptions {
  readonly callId: CallId;
  readonly tenant: string;
  /** By leg number. */
  readonly legIds: readonly LegId[];
  /** Wall time of the first sample: when the transcription began, since a file does not say when it was recorded. */
  readonly startedAt: Date;
  /** The file is the recording of this call. */
  readonly recorded?: RecordedCall | undefined;
}

/** Of the identifier by which a call that was recognised again is found from the one that it was made of. */
const RECOGNISED_AGAIN = 'recognised-again';

/** @throws {RangeError} with fewer leg ids than legs */
export function callOfFile(transcript: FileTranscript, options: CallOfFileOptions): StorableFile {
  const { callId, tenant, legIds, startedAt, recorded } = options;
  const legIdOf = ({ legNo }: LegTranscript): LegId => {
    const id = legIds[legNo];
    if (id === undefined) throw new RangeError(`${legIds.length} leg ids, none for leg ${legNo}`);
    return id;
  };
  const endedAt = new Date(Math.max(...transcript.legs.map((leg) => endOf(leg, options).getTime())));
  const call: CallRecord = {
    id: callId,
    revision: 1,
    state: 'finishing',
    sipCallId: `file:${callId}`,
    tenant,
    direction: 'unknown',
    mapping: 'none',
    startedAt,
    answeredAt: undefined,
    endedAt,
    endReason: undefined,
    metadata: metadataOf(transcript, recorded),
    identifiers: recorded === undefined ? [] : [{ kind: RECOGNISED_AGAIN, value: recorded.callId }],
    legs: transcript.legs.map((leg) => toLeg(leg, legIdOf(leg), options)),
  };
  const sentences = transcript.legs.flatMap((leg) => toSentences(leg, legIdOf(leg), options));
  return { call, sentences };
}

function metadataOf({ file }: FileTranscript, recorded: RecordedCall | undefined): CallRecord['metadata'] {
  if (recorded === undefined) return { kind: 'file', name: basename(file) };
  const { webhooks, keepsWords } = recorded;
  const isRouted = webhooks !== undefined || keepsWords !== undefined;
  return isRouted ? { kind: 'recording', route: { webhooks, keepsWords } } : { kind: 'recording' };
}

/** Of its audio, as if it had been played when it was handed in: so figures are those of a call. */
const endOf = ({ audioMs = 0 }: LegTranscript, { startedAt, recorded }: CallOfFileOptions): Date =>
  recorded?.endedAt ?? new Date(startedAt.getTime() + audioMs);

function toLeg(leg: LegTranscript, id: LegId, options: CallOfFileOptions): LegRecord {
  const heard = options.recorded?.channels.find(({ channelNo }) => channelNo === leg.legNo);
  return {
    id,
    legNo: leg.legNo,
    label: undefined,
    role: heard?.role ?? 'unknown',
    name: heard?.name,
    uri: heard?.uri,
    roleEvidence: {},
    codec: leg.codec,
    model: leg.model,
    vocabularyId: leg.vocabularyId,
    startedAt: options.startedAt,
    endedAt: endOf(leg, options),
    media: undefined,
    sentenceCount: leg.sentences.length,
  };
}

function toSentences(leg: LegTranscript, legId: LegId, options: CallOfFileOptions): readonly FinalSentence[] {
  const { callId, tenant, startedAt, recorded } = options;
  const at = (ms: number): Date => new Date(startedAt.getTime() + ms);
  return leg.sentences.map((sentence, index) => {
    const endMs = endMsOf(sentence);
    const words = recorded?.keepsWords === false ? [] : sentence.words;
    return {
      callId,
      legId,
      tenant,
      webhooks: recorded?.webhooks,
      legNo: leg.legNo,
      sentenceNo: index + 1,
      beginMs: sentence.beginMs,
      endMs,
      beginAt: at(sentence.beginMs),
      endAt: at(endMs),
      text: sentence.text,
      words: words.map((word) => ({
        text: word.text,
        begin_ms: word.beginMs,
        end_ms: word.endMs,
        punctuation: word.punctuation,
      })),
      emoTag: sentence.emotion?.tag,
      emoConfidence: sentence.emotion?.confidence,
      asrTaskId: leg.requestId,
      concealedMs: 0,
    };
  });
}
