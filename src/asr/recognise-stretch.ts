import { toError } from '../errors.ts';
import type { LegAudioSource } from './audio-source.ts';
import { ResilientSession, type ResilientSessionServices } from './resilient-session.ts';
import type { AsrEvent, RecognitionTerms } from './session.ts';

type FinalEvent = Extract<AsrEvent, { kind: 'final' }>;

export interface StretchToRecognise extends RecognitionTerms {
  readonly source: LegAudioSource;
  /** Where the last final sentence ended; 0 where there is none. */
  readonly fromSample: number;
  readonly toSample: number;
  /** See `StretchOptions`. */
  readonly cutSamples?: readonly number[];
  /** In the order of speech, on the leg's clock; each once. What it throws ends the recognition with that error. */
  readonly onFinal: (final: FinalEvent) => void;
}

export interface StretchOutcome {
  /** Parts that the recogniser never gave words for, whole samples; empty: everything is recognised. */
  readonly unrecognised: readonly { readonly fromSample: number; readonly toSample: number }[];
  /** Why, where something is not recognised. */
  readonly error: Error | undefined;
}

/**
 * Recognises audio of a leg that is there already: what a call owes at its end, or what a dead process left behind.
 * Tries as a session does at the end of a leg, so for a bounded time. Never rejects.
 */
export async function recogniseStretch(
  services: ResilientSessionServices,
  stretch: StretchToRecognise,
): Promise<StretchOutcome> {
  const { source, fromSample, toSample, cutSamples = [], onFinal, ...terms } = stretch;
  const session = ResilientSession.overStretch(services, terms, { source, fromSample, toSample, cutSamples });
  const unrecognised: { fromSample: number; toSample: number }[] = [];
  let doneSample = fromSample;
  try {
    for await (const event of session) {
      if (event.kind === 'final') {
        onFinal(event);
        doneSample = Math.max(doneSample, event.endMs * SAMPLES_PER_MS);
      } else if (event.kind === 'unrecognised') {
        unrecognised.push({ fromSample: event.fromSample, toSample: event.toSample });
      }
    }
    return { unrecognised, error: undefined };
  } catch (error) {
    if (unrecognised.length === 0 && doneSample < toSample) {
      unrecognised.push({ fromSample: doneSample, toSample });
    }
    return { unrecognised, error: toError(error) };
  }
}

const SAMPLES_PER_MS = 8;
