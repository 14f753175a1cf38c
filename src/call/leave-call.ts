import { setTimeout as delay } from 'node:timers/promises';

import type { CallRecording } from '../recording/recordings.ts';
import type { CallEvents } from './call-events.ts';
import type { CallJournal } from './journal.ts';
import type { Publisher } from './publisher.ts';
import type { CallRecord } from './record.ts';
import type { KeepUnrecognised, UnrecognisedLeg } from './unrecognised.ts';

const WRITTEN_AGAIN_MS = 5_000;

/** What is left of a call when it has ended: thousands may wait for a slow disk, so it holds on to nothing else. */
export interface LeavingCall {
  /** As it was published last. */
  readonly record: CallRecord;
  readonly recording: CallRecording;
  readonly journal: CallJournal;
  readonly events: CallEvents;
  /** Legs of which the recogniser did not take all. */
  readonly owed: readonly UnrecognisedLeg[];
}

/**
 * Puts an ended call away: its recording is made, its facts are on disk, then its directory goes. Nobody waits for it.
 * Never rejects.
 */
export async function leaveCall(
  services: { readonly publisher: Publisher; readonly keepUnrecognised: KeepUnrecognised },
  { record, recording, journal, events, owed }: LeavingCall,
): Promise<void> {
  const { publisher, keepUnrecognised } = services;
  const outcome = await recording.finish(record.legs);
  if (outcome.kind === 'saved') {
    const { file, beginAt, durationMs, bytes, crc32, channels } = outcome.recording;
    const { missingMs, missing } = outcome;
    events.add('recorded', { file, beginAt, durationMs, bytes, crc32, channels, missingMs, missing });
  }
  if (outcome.kind === 'failed') events.add('recording_failed', { code: outcome.code });
  // Until then the audio may be needed again: a process that dies now has it recognised by another.
  await written(publisher);
  if (owed.length > 0) {
    await recording.written();
    await keepUnrecognised({ record, lastEventNo: events.lastNo, legs: owed });
  }
  if (outcome.kind === 'failed') {
    // With its journal, by which the next start tries it again.
    await recording.release();
    await journal.release();
    return;
  }
  await recording.remove();
  await journal.remove();
}

/** Waits until all that was published is on disk: as long as that takes, while this process lives. */
async function written(publisher: Publisher): Promise<void> {
  while ((await publisher.written()) === 'memory') {
    await delay(WRITTEN_AGAIN_MS, undefined, { ref: false });
  }
}
