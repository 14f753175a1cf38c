import { join } from 'node:path';

import { recogniseStretch } from '../src/asr/recognise-stretch.ts';
import type { ResilientSessionServices } from '../src/asr/resilient-session.ts';
import type { OpenCallJournal } from '../src/call/journal.ts';
import type { Publisher } from '../src/call/publisher.ts';
import type { CallRecord } from '../src/call/record.ts';
import type { Clock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import type { Logger } from '../src/log.ts';
import { type Metrics, observe } from '../src/metrics.ts';
import { openKeptLeg, saveKeptCall } from '../src/recording/kept-call.ts';
import type { MissingAudio } from '../src/recording/missing-audio.ts';
import type { SavedRecording } from '../src/recording/save-recording.ts';
import { openSpoolKey } from '../src/recording/spool-key.ts';
import { claimIntake } from '../src/recovery/intake-claim.ts';
import { JournalFile } from '../src/recovery/journal-file.ts';
import { Recovery } from '../src/recovery/recovery.ts';
import type { SipListener } from '../src/sip/listener.ts';
import { callsDirOf } from './recordings.ts';
import { unrecognisedKeeper } from './unrecognised.ts';

export interface CallRecoveryDeps {
  readonly config: Pick<Config, 'dataDir' | 'recording'>;
  /** By which the audio of dead processes is recognised. */
  readonly recognition: ResilientSessionServices;
  readonly publisher: Publisher;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The journals of an intake's calls, and the calls that other intakes of the same data directory left behind. */
export interface CallRecovery {
  readonly openJournal: OpenCallJournal;
  /** Finishes what dead processes left: now, and whenever one dies. */
  start(sip: Pick<SipListener, 'hangUpOrphan'>): void;
  /** After the last call of this process was put away. */
  close(): Promise<void>;
}

/** Claims a place among the intakes of the data directory. @throws {CallscribeError} STORAGE_UNUSABLE, RECORDING_KEY */
export async function openCallRecovery(deps: CallRecoveryDeps): Promise<CallRecovery> {
  const { config, publisher, metrics, logger, clock, recognition } = deps;
  const spoolKey = await openSpoolKey(config.recording.keyFile);
  const claim = await claimIntake(config.dataDir);
  let recovery: Recovery | undefined;
  observe(
    metrics,
    'callscribe_calls_to_recover',
    'calls of dead processes that are being finished',
    () => recovery?.waiting ?? 0,
  );
  return {
    openJournal: (callId) =>
      new JournalFile({
        callId,
        directory: join(callsDirOf(config), callId),
        owner: claim.owner,
        logger,
        onFailed: () => {
          metrics.journalFailures.inc();
        },
      }),
    start: (sip) => {
      recovery ??= Recovery.start({
        dataDir: config.dataDir,
        owner: claim.owner,
        publisher,
        clock,
        logger,
        openLeg: (directory, legNo) => openKeptLeg(directory, legNo, spoolKey),
        recognise: (stretch) => recogniseStretch(recognition, stretch),
        hangUp: (place) => sip.hangUpOrphan(place, 'Recovered after a crash'),
        finishCall: (directory, record) => keepRecording(deps, spoolKey, directory, record),
        keepUnrecognised: unrecognisedKeeper(deps),
        onCall: (outcome) => {
          metrics.recoveredCalls.inc({ outcome });
        },
      });
    },
    close: async () => {
      await recovery?.close();
      await claim.release();
    },
  };
}

/** What is kept of the legs becomes the call's recording, unless it is sealed. */
async function keepRecording(
  { config, publisher, clock }: CallRecoveryDeps,
  spoolKey: Buffer,
  directory: string,
  record: CallRecord,
): Promise<void> {
  const { id: callId, startedAt, legs } = record;
  const recordingDir = config.recording.directory;
  const saved = await saveKeptCall({ directory, callId, startedAt, legs, recordingDir, spoolKey });
  if (saved !== undefined) publisher.publishEvent(recordedEvent(record, saved, clock.wallTime()));
}

function recordedEvent(
  { id: callId, revision }: CallRecord,
  { recording, missingMs, missing }: { readonly recording: SavedRecording } & MissingAudio,
  at: Date,
): Parameters<Publisher['publishEvent']>[0] {
  const { file, beginAt, durationMs, bytes, crc32, channels } = recording;
  const detail = { file, beginAt, durationMs, bytes, crc32, channels, missingMs, missing };
  // Above the events of the call and of its recovery, and the same when it is done again.
  return { callId, legId: undefined, eventNo: EVENT_NO_ABOVE + revision, at, kind: 'recorded', detail };
}

const EVENT_NO_ABOVE = 1_000_000;
