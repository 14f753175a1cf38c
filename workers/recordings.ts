import { join } from 'node:path';

import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { Recordings } from '../src/recording/recordings.ts';
import { openSpoolKey } from '../src/recording/spool-key.ts';

export interface RecordingsDeps {
  readonly config: Pick<Config, 'dataDir' | 'recording'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Where the calls in progress have their directories. */
export const callsDirOf = ({ dataDir }: Pick<Config, 'dataDir'>): string => join(dataDir, 'calls');

/**
 * The audio of an intake's calls, as the environment says.
 *
 * @throws {CallscribeError} RECORDING_KEY, RECORDING_STORAGE
 */
export async function openRecordings(deps: RecordingsDeps): Promise<Recordings> {
  const { config, metrics, logger, clock } = deps;
  const { directory, policy, keepDays, keyFile } = config.recording;
  const recordings = new Recordings({
    callsDir: callsDirOf(config),
    recordingDir: directory,
    policy,
    keepDays,
    spoolKey: await openSpoolKey(keyFile),
    clock,
    logger,
    onWritten: (bytes) => {
      metrics.recordedBytes.inc(bytes);
    },
    onWriteFailed: (code) => {
      metrics.recordingWriteFailures.inc({ code });
    },
    onUnkept: (samples) => {
      metrics.recordingUnkeptMs.inc(samples / SAMPLES_PER_MS);
    },
    onSaved: (outcome) => {
      metrics.recordings.inc({ outcome });
    },
    onDeleted: (files) => {
      metrics.recordingsDeleted.inc(files);
    },
  });
  observe(
    metrics,
    'callscribe_recording_waiting_bytes',
    'audio that waits for the disk',
    () => recordings.waitingBytes,
  );
  observe(
    metrics,
    'callscribe_recording_failing_legs',
    'legs whose audio the disk does not take: it waits in memory',
    () => recordings.failingLegs,
  );
  return recordings;
}

const SAMPLES_PER_MS = 8;
