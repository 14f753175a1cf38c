import type { LegAudioSource } from '../asr/audio-source.ts';
import type { StretchOutcome, StretchToRecognise } from '../asr/recognise-stretch.ts';
import type { Publisher } from '../call/publisher.ts';
import type { CallRecord, LegRecord } from '../call/record.ts';
import type { UnrecognisedCall, UnrecognisedLeg } from '../call/unrecognised.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { decodeJob } from '../queue/jobs.ts';
import type { DialogPlace } from '../sip/dialog-place.ts';
import { TranscriptAssembler } from '../transcript/assembler.ts';
import { type JournalLeg, type JournalState, NO_SENTENCES } from './journal-lines.ts';
import { routeTermsOf } from './route-terms.ts';

/** A leg's audio as it was kept, until it is disposed of. */
export interface KeptLeg extends AsyncDisposable {
  /** Wall time of its first sample. */
  readonly startedAt: Date;
  readonly source: LegAudioSource;
  /** Samples of a stretch whose packets were lost on the way. */
  readonly lostSamples: (beginSample: number, endSample: number) => number;
  /** Places that no sentence goes across; see `AsrSession.endSentence`. */
  readonly cutSamples: readonly number[];
}

export interface RecoverCallServices {
  readonly publisher: Publisher;
  /** Opens what is kept of a leg. @returns undefined where nothing is. @throws where it cannot be read */
  readonly openLeg: (callDirectory: string, legNo: number) => Promise<KeptLeg | undefined>;
  readonly recognise: (stretch: StretchToRecognise) => Promise<StretchOutcome>;
  /** BYE to a dialog that may stand still; bounded, never rejects. */
  readonly hangUp: (place: DialogPlace) => Promise<string>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What came of one call. */
export type RecoveredCall =
  | {
      readonly kind: 'recovered';
      readonly record: CallRecord;
      readonly sentences: number;
      /** What the recogniser did not take at the last attempt either. */
      readonly owed: UnrecognisedCall | undefined;
    }
  /** It had ended in order, but for its recording. */
  | { readonly kind: 'ended-before'; readonly record: CallRecord }
  /** It was never answered, and leaves nothing. */
  | { readonly kind: 'never-answered' };

/**
 * Above what the dead process may have published without its journal knowing: a sentence's number is the same again,
 * since it is found again in the same audio; revisions and numbers of events need room.
 */
const STEP_ABOVE = 1_000;
const SAMPLES_PER_MS = 8;

/**
 * Finishes a call whose process is gone: says BYE where the peer may still be on the line, recognises the audio that
 * has no final sentence, publishes its sentences, and the record with their number, by which the call completes. What
 * was published before is published again where it is not known to have been, which changes nothing.
 *
 * @param attempt from 1; `last`: what the recogniser does not take is left unrecognised
 * @throws {CallscribeError} what keeps a leg from being recognised, where this attempt is not the last one
 */
export async function recoverCall(
  services: RecoverCallServices,
  directory: string,
  journal: JournalState,
  attempt: 'again-later' | 'last',
): Promise<RecoveredCall> {
  const { publisher, clock } = services;
  // Before anything else: a peer that goes on sending pays for the line.
  const byes = Promise.all(journal.dialogs.map((place) => services.hangUp(place)));
  if (journal.record === undefined) {
    await byes;
    return { kind: 'never-answered' };
  }
  const last = recordOf(journal.record);
  if (last.state !== 'active' && last.legs.every((leg) => isDone(leg, sentencesOf(journal, leg)))) {
    publisher.publishCall(last);
    return { kind: 'ended-before', record: last };
  }
  const legs: LegRecord[] = [];
  const owed: UnrecognisedLeg[] = [];
  let eventNo = journal.lastEventNo + STEP_ABOVE;
  let sentences = 0;
  for (const leg of last.legs) {
    const known = sentencesOf(journal, leg);
    const recovered = await recoverLeg(services, { directory, call: last, leg, known, attempt });
    legs.push(recovered.record);
    sentences += recovered.sentences;
    if (recovered.owedFromSample !== undefined) {
      const sentenceCount = recovered.record.sentenceCount ?? 0;
      owed.push({ legNo: leg.legNo, sentenceCount, fromSample: recovered.owedFromSample });
    }
    for (const { fromSample, toSample } of recovered.unrecognised) {
      const [beginMs, endMs] = [toMs(fromSample), toMs(toSample)];
      const detail = { beginMs, endMs, code: recovered.code };
      const at = clock.wallTime();
      eventNo += 1;
      publisher.publishEvent({
        callId: last.id,
        legId: leg.id,
        eventNo,
        at,
        kind: 'asr_unrecognised',
        detail,
      });
    }
  }
  const ends = legs.flatMap(({ endedAt }) => (endedAt === undefined ? [] : [endedAt.getTime()]));
  const record: CallRecord = {
    ...last,
    revision: last.revision + STEP_ABOVE,
    state: 'finishing',
    endedAt: last.endedAt ?? (ends.length === 0 ? clock.wallTime() : new Date(Math.max(...ends))),
    endReason: 'recovered',
    legs,
  };
  const detail = { sentences, byes: await byes };
  const at = clock.wallTime();
  publisher.publishEvent({
    callId: last.id,
    legId: undefined,
    eventNo: eventNo + 1,
    at,
    kind: 'recovered',
    detail,
  });
  publisher.publishCall(record);
  const left = owed.length === 0 ? undefined : { record, lastEventNo: eventNo + 1, legs: owed };
  return { kind: 'recovered', record, sentences, owed: left };
}

/** The leg came to its end, it owes nothing, and all of its sentences are on their way. */
const isDone = ({ endedAt, sentenceCount, media }: LegRecord, known: JournalLeg): boolean =>
  endedAt !== undefined &&
  sentenceCount !== undefined &&
  sentenceCount <= known.sentences &&
  (media?.['unrecognisedMs'] ?? 0) === 0;

const sentencesOf = (journal: JournalState, { legNo }: LegRecord): JournalLeg =>
  journal.legs.get(legNo) ?? NO_SENTENCES;

interface LegToRecover {
  readonly directory: string;
  readonly call: CallRecord;
  readonly leg: LegRecord;
  readonly known: JournalLeg;
  readonly attempt: 'again-later' | 'last';
}

interface RecoveredLeg extends Pick<StretchOutcome, 'unrecognised'> {
  readonly record: LegRecord;
  /** Besides those that were known. */
  readonly sentences: number;
  /** Why something is not recognised. */
  readonly code: string | undefined;
  /** From where on the recogniser took nothing. */
  readonly owedFromSample: number | undefined;
}

async function recoverLeg(services: RecoverCallServices, options: LegToRecover): Promise<RecoveredLeg> {
  const { call, leg, known, attempt } = options;
  const { publisher, clock, logger } = services;
  const asItWas = { sentences: 0, unrecognised: [], code: undefined, owedFromSample: undefined };
  if (isDone(leg, known)) return { ...asItWas, record: leg };
  const kept = await openLeg(services, options);
  if (kept === undefined) {
    // Nothing came, as a rule: the file is made with the first audio.
    if (leg.startedAt !== undefined) {
      const facts = { callId: call.id, legId: leg.id };
      logger.error(facts, 'nothing is kept of the audio of a leg that is to be recovered');
    }
    const endedAt = leg.endedAt ?? clock.wallTime();
    return { ...asItWas, record: { ...leg, endedAt, sentenceCount: known.sentences } };
  }
  await using _ = kept;
  const { source } = kept;
  const startedAt = leg.startedAt ?? kept.startedAt;
  const { terms, keepsWords, webhooks } = routeTermsOf(call, leg);
  const assembler = new TranscriptAssembler({
    callId: call.id,
    legId: leg.id,
    tenant: call.tenant,
    webhooks,
    keepsWords,
    legNo: leg.legNo,
    startedAt,
    sentenceCount: known.sentences,
    concealedMs: (beginMs, endMs) => toMs(kept.lostSamples(beginMs * SAMPLES_PER_MS, endMs * SAMPLES_PER_MS)),
    correctionMs: () => 0,
  });
  let doneSample = Math.min(Math.round(known.endMs * SAMPLES_PER_MS), source.endSample);
  const { unrecognised, error } = await services.recognise({
    ...terms,
    source,
    fromSample: doneSample,
    toSample: source.endSample,
    cutSamples: kept.cutSamples,
    onFinal: (final) => {
      const heard = assembler.accept(final);
      if (heard?.kind !== 'final') return;
      publisher.publishSentence(heard.sentence);
      doneSample = Math.max(doneSample, Math.round(final.endMs * SAMPLES_PER_MS));
    },
  });
  if (error !== undefined && attempt === 'again-later') throw error;
  const record: LegRecord = {
    ...leg,
    startedAt,
    endedAt: new Date(startedAt.getTime() + toMs(source.endSample)),
    media: {
      ...leg.media,
      unrecognisedMs: toMs(unrecognised.reduce((sum, each) => sum + each.toSample - each.fromSample, 0)),
    },
    sentenceCount: assembler.sentenceCount,
  };
  const code = error instanceof CallscribeError ? error.code : undefined;
  const sentences = assembler.sentenceCount - known.sentences;
  const owedFromSample = error === undefined ? undefined : doneSample;
  return { record, sentences, unrecognised, code, owedFromSample };
}

/** @throws what reading it meets, where this attempt is not the last one */
async function openLeg(services: RecoverCallServices, options: LegToRecover): Promise<KeptLeg | undefined> {
  const { directory, call, leg, attempt } = options;
  try {
    return await services.openLeg(directory, leg.legNo);
  } catch (error) {
    if (attempt === 'again-later') throw error;
    const facts = { err: toError(error), callId: call.id, legId: leg.id };
    services.logger.error(facts, 'the audio of a leg cannot be read; its call is closed without it');
    return undefined;
  }
}

const toMs = (samples: number): number => Math.round(samples / SAMPLES_PER_MS);

function recordOf(data: unknown): CallRecord {
  const job = decodeJob('call', data);
  if (job.name !== 'call') {
    throw new CallscribeError('JOB_MALFORMED', 'a journal holds another fact for a call');
  }
  return job.payload;
}
