import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { LegAudioSource } from '../asr/audio-source.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { FILE_HEADER_BYTES } from './container.ts';
import type { RecordingPolicy, Stretch } from './leg-recorder.ts';
import { type MissingAudio, missingOf } from './missing-audio.ts';
import { RecordedLeg } from './recorded-leg.ts';
import { legFileName } from './recording-writer.ts';
import type { EndedLeg } from './recordings.ts';
import { type SavedRecording, saveRecording } from './save-recording.ts';

/** The audio of a leg whose process is gone. */
export interface KeptLegAudio extends AsyncDisposable {
  /** Wall time of its first sample. */
  readonly startedAt: Date;
  readonly source: LegAudioSource;
  /** `spool` where it was sealed: no recording is to be made of it. */
  readonly policy: Exclude<RecordingPolicy, 'memory'>;
  /** How many samples of `[beginSample, endSample)` were lost on the way. */
  readonly lostSamples: (beginSample: number, endSample: number) => number;
  /** Where nothing was kept any more because the call was paused; no sentence goes on there. */
  readonly cutSamples: readonly number[];
  /** Audio that came and is not in the file. */
  readonly missing: readonly Stretch[];
}

/**
 * Opens what is kept of a leg in its call's directory.
 *
 * @returns undefined where there is no file, or one whose process was killed before its header was whole
 * @throws {CallscribeError} RECORDING_MALFORMED, RECORDING_KEY, RECORDING_STORAGE
 */
export async function openKeptLeg(
  directory: string,
  legNo: number,
  spoolKey: Buffer | undefined,
): Promise<KeptLegAudio | undefined> {
  const path = join(directory, legFileName(legNo));
  if ((await sizeOf(path)) < FILE_HEADER_BYTES) return undefined;
  const leg = await RecordedLeg.open(path, { spoolKey });
  const { startedAt, salt, lost, missing, marks } = leg.facts;
  return {
    startedAt,
    source: leg.source,
    policy: salt === undefined ? 'keep' : 'spool',
    lostSamples: (beginSample, endSample) => samplesWithin(lost, beginSample, endSample),
    cutSamples: marks.flatMap(({ mark, sample }) => (mark === 'mute' ? [sample] : [])),
    missing,
    [Symbol.asyncDispose]: () => leg.close(),
  };
}

export interface KeptCall {
  /** The call's directory, with the files of its legs. */
  readonly directory: string;
  readonly callId: CallId;
  readonly startedAt: Date;
  readonly legs: readonly EndedLeg[];
  readonly recordingDir: string;
  readonly spoolKey: Buffer | undefined;
}

/**
 * Makes the recording of a call whose process is gone, as that would have. The files of its legs stay.
 *
 * @returns undefined where nothing is kept of it, or its legs are sealed
 * @throws {CallscribeError} as `openKeptLeg` and `saveRecording`
 */
export async function saveKeptCall(
  call: KeptCall,
): Promise<({ readonly recording: SavedRecording } & MissingAudio) | undefined> {
  const { directory, spoolKey, recordingDir, callId, startedAt } = call;
  const legs: (EndedLeg & KeptLegAudio)[] = [];
  try {
    for (const { legNo, role } of call.legs) {
      const kept = await openKeptLeg(directory, legNo, spoolKey);
      if (kept !== undefined) legs.push({ ...kept, legNo, role });
    }
    const saved = legs.filter(({ policy }) => policy === 'keep');
    const recording = await saveRecording({ recordingDir, callId, startedAt, legs: saved });
    if (recording === undefined) return undefined;
    return { recording, ...missingOf(saved) };
  } finally {
    for (const leg of legs) await leg[Symbol.asyncDispose]();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw new CallscribeError('RECORDING_STORAGE', 'recorded leg: its file cannot be looked at', {
      cause: error,
    });
  }
}

function samplesWithin(stretches: readonly Stretch[], beginSample: number, endSample: number): number {
  return stretches.reduce(
    (sum, stretch) =>
      sum + Math.max(0, Math.min(endSample, stretch.endSample) - Math.max(beginSample, stretch.beginSample)),
    0,
  );
}
