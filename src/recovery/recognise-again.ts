import type { StretchOutcome, StretchToRecognise } from '../asr/recognise-stretch.ts';
import type { Publisher } from '../call/publisher.ts';
import type { LegRecord } from '../call/record.ts';
import type { UnrecognisedCall, UnrecognisedLeg } from '../call/unrecognised.ts';
import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import { TranscriptAssembler } from '../transcript/assembler.ts';
import type { KeptLeg } from './recover-call.ts';
import { routeTermsOf } from './route-terms.ts';

export interface RecogniseAgainServices {
  readonly publisher: Publisher;
  /** @returns undefined where nothing is kept of the leg */
  readonly openLeg: (legNo: number) => Promise<KeptLeg | undefined>;
  readonly recognise: (stretch: StretchToRecognise) => Promise<StretchOutcome>;
  readonly clock: Clock;
}

/** What came of an attempt. */
export interface RecognisedAgain {
  /** What is not recognised still, with the newest record; undefined: nothing. */
  readonly left: UnrecognisedCall | undefined;
  readonly sentences: number;
  readonly error: Error | undefined;
}

const SAMPLES_PER_MS = 8;
/** Above whatever the call itself, or its recovery, has published. */
const REVISIONS_ABOVE = 1_000_000;

/**
 * Recognises what a call's legs owe, publishes the sentences under the numbers that follow, and the call anew with their
 * count, by which its figures are computed again. Done twice, it changes nothing.
 *
 * @throws {CallscribeError} where the kept audio cannot be read
 */
export async function recogniseAgain(
  services: RecogniseAgainServices,
  call: UnrecognisedCall,
): Promise<RecognisedAgain> {
  const { publisher, clock } = services;
  const records = new Map(call.record.legs.map((leg) => [leg.legNo, leg]));
  const left: UnrecognisedLeg[] = [];
  let { lastEventNo } = call;
  let sentences = 0;
  let error: Error | undefined;
  for (const leg of call.legs) {
    const record = records.get(leg.legNo);
    if (record === undefined) continue;
    const outcome = await recogniseLeg(services, call, record, leg);
    if (outcome === undefined) continue;
    error ??= outcome.error;
    sentences += outcome.sentences;
    if (outcome.error !== undefined) left.push(outcome.left);
    records.set(leg.legNo, {
      ...record,
      sentenceCount: outcome.left.sentenceCount,
      media: { ...record.media, unrecognisedMs: outcome.unrecognisedMs },
    });
    lastEventNo += 1;
    publisher.publishEvent({
      callId: call.record.id,
      legId: record.id,
      eventNo: lastEventNo,
      at: clock.wallTime(),
      kind: 'asr_recognised_later',
      detail: {
        beginMs: Math.round(leg.fromSample / SAMPLES_PER_MS),
        sentences: outcome.sentences,
        unrecognisedMs: outcome.unrecognisedMs,
        ...(outcome.error instanceof CallscribeError ? { code: outcome.error.code } : {}),
      },
    });
  }
  const { revision } = call.record;
  const record = {
    ...call.record,
    revision: revision < REVISIONS_ABOVE ? revision + REVISIONS_ABOVE : revision + 1,
    state: 'finishing' as const,
    legs: [...records.values()],
  };
  publisher.publishCall(record);
  return { left: left.length === 0 ? undefined : { record, lastEventNo, legs: left }, sentences, error };
}

interface LegOutcome {
  readonly left: UnrecognisedLeg;
  readonly sentences: number;
  readonly unrecognisedMs: number;
  readonly error: Error | undefined;
}

/** @returns undefined where nothing is kept of the leg */
async function recogniseLeg(
  { publisher, openLeg, recognise }: RecogniseAgainServices,
  { record: call }: UnrecognisedCall,
  record: LegRecord,
  leg: UnrecognisedLeg,
): Promise<LegOutcome | undefined> {
  const kept = await openLeg(leg.legNo);
  if (kept === undefined) return undefined;
  await using _ = kept;
  const { source } = kept;
  const { terms, keepsWords, webhooks } = routeTermsOf(call, record);
  const assembler = new TranscriptAssembler({
    callId: call.id,
    legId: record.id,
    tenant: call.tenant,
    webhooks,
    keepsWords,
    legNo: leg.legNo,
    startedAt: record.startedAt ?? kept.startedAt,
    sentenceCount: leg.sentenceCount,
    concealedMs: (beginMs, endMs) =>
      Math.round(kept.lostSamples(beginMs * SAMPLES_PER_MS, endMs * SAMPLES_PER_MS) / SAMPLES_PER_MS),
    correctionMs: () => 0,
  });
  let fromSample = Math.min(leg.fromSample, source.endSample);
  const { unrecognised, error } = await recognise({
    ...terms,
    source,
    fromSample,
    toSample: source.endSample,
    cutSamples: kept.cutSamples,
    onFinal: (final) => {
      const heard = assembler.accept(final);
      if (heard?.kind !== 'final') return;
      publisher.publishSentence(heard.sentence);
      fromSample = Math.max(fromSample, heard.sentence.endMs * SAMPLES_PER_MS);
    },
  });
  const samples = unrecognised.reduce((sum, stretch) => sum + stretch.toSample - stretch.fromSample, 0);
  return {
    left: { legNo: leg.legNo, sentenceCount: assembler.sentenceCount, fromSample },
    sentences: assembler.sentenceCount - leg.sentenceCount,
    unrecognisedMs: Math.round(samples / SAMPLES_PER_MS),
    error,
  };
}
