import { recogniseStretch } from '../src/asr/recognise-stretch.ts';
import type { ResilientSessionServices } from '../src/asr/resilient-session.ts';
import type { Publisher } from '../src/call/publisher.ts';
import { systemClock } from '../src/clock.ts';
import { CallscribeError } from '../src/errors.ts';
import type { CallId } from '../src/ids.ts';
import { takeLease } from '../src/lease.ts';
import { openKeptLeg } from '../src/recording/kept-call.ts';
import { recogniseAgain } from '../src/recovery/recognise-again.ts';
import type { UnrecognisedCalls } from '../src/recovery/unrecognised-calls.ts';

export interface RecogniseKeptDeps {
  readonly calls: UnrecognisedCalls;
  readonly recognition: ResilientSessionServices;
  readonly publisher: Publisher;
  readonly spoolKey: Buffer;
}

/** `nothing` is kept of it; `busy`: another process recognises it. */
export type RecogniseKeptOutcome =
  | { readonly kind: 'nothing' | 'busy' }
  | { readonly kind: 'done'; readonly sentences: number; readonly left: Error | undefined };

/**
 * Recognises what a call owes, from its kept audio; what is left after it is kept on.
 *
 * @throws {CallscribeError} where the audio cannot be read, or the outbox takes nothing
 */
export async function recogniseKept(
  { calls, recognition, publisher, spoolKey }: RecogniseKeptDeps,
  id: CallId,
): Promise<RecogniseKeptOutcome> {
  const directory = calls.directoryOf(id);
  const call = await calls.load(id);
  if (call === undefined) return { kind: 'nothing' };
  await using lease = await takeLease(directory);
  if (lease === undefined) return { kind: 'busy' };
  const { left, sentences, error } = await recogniseAgain(
    {
      publisher,
      clock: systemClock,
      openLeg: (legNo) => openKeptLeg(directory, legNo, spoolKey),
      recognise: (stretch) => recogniseStretch(recognition, stretch),
    },
    call,
  );
  if ((await publisher.written()) === 'memory') {
    throw new CallscribeError('STORAGE_UNUSABLE', 'the outbox below DATA_DIR takes nothing');
  }
  if (left === undefined) await calls.remove(id);
  else await calls.update(left);
  return { kind: 'done', sentences, left: left === undefined ? undefined : error };
}
