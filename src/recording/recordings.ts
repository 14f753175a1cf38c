import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { CallscribeError, toError } from '../errors.ts';
import type { CallId, LegId } from '../ids.ts';
import type { LegRole } from '../sip/role-rules.ts';
import { within } from '../within.ts';
import { deleteOldRecordings } from './delete-old-recordings.ts';
import type { LegRecorder, RecordingPolicy } from './leg-recorder.ts';
import { type MissingAudio, missingOf } from './missing-audio.ts';
import { RecordingWriter, type RecordingWriterOptions } from './recording-writer.ts';
import { type SavedRecording, saveRecording } from './save-recording.ts';

/**
 * The recordings of calls that end together are made by and by, two at a time: calls that go on need the processor. Where
 * many wait it is one more for each 32 of them: on a busy processor a recording rather waits than works.
 */
const savesAtATime = (waiting: number): number => Math.min(16, 2 + Math.floor(waiting / 32));
/** A full disk is given a minute. */
const SAVE_ATTEMPTS = 7;
const SAVE_AGAIN_AFTER_MS = 10_000;
/** How long `close` waits for recordings that are being made. */
const CLOSE_WITHIN_MS = 10_000;
const SWEEP_EVERY_MS = 3_600_000;
/** How long the end of a call waits for a disk that does not take its audio. */
const WRITTEN_WITHIN_MS = 5_000;

export interface RecordingsOptions extends RecordingWriterOptions {
  readonly recordingDir: string;
  /** What is done with calls that no rule says otherwise of. */
  readonly policy: RecordingPolicy;
  /** Older recordings are deleted; undefined: none is. */
  readonly keepDays: number | undefined;
  readonly onSaved?: (outcome: RecordingOutcome['kind']) => void;
  /** Recordings were deleted because they are older than `keepDays`. */
  readonly onDeleted?: (files: number) => void;
}

/** What became of a call's audio. `failed`: its legs' files stay, for a later attempt. */
export type RecordingOutcome =
  | ({ readonly kind: 'saved'; readonly recording: SavedRecording } & MissingAudio)
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly code: string };

/** A leg as its call knows it at the end. */
export interface EndedLeg {
  readonly legNo: number;
  readonly role: LegRole;
}

/** The audio of the calls in progress, and the recordings that are made of it. */
export class Recordings {
  readonly #options: RecordingsOptions;
  readonly #writer: RecordingWriter;
  readonly #saving = new Set<Promise<unknown>>();
  /** Calls whose recordings wait for their turn. */
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new AbortController();
  readonly #sweeper: NodeJS.Timeout | undefined;
  #saves = 0;

  constructor(options: RecordingsOptions) {
    this.#options = options;
    this.#writer = new RecordingWriter(options);
    if (options.keepDays === undefined) return;
    this.#sweeper = setInterval(() => void this.#sweep(), SWEEP_EVERY_MS);
    this.#sweeper.unref();
    void this.#sweep();
  }

  /** Bytes of audio that wait for the disk. */
  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  /** Legs whose last write failed. */
  get failingLegs(): number {
    return this.#writer.failingLegs;
  }

  /** @param policy what a rule says of this call; default: what holds for all */
  openCall(
    call: { readonly callId: CallId; readonly startedAt: Date },
    policy: RecordingPolicy = this.#options.policy,
  ): CallRecording {
    return new CallRecording({
      ...call,
      policy,
      callsDir: this.#options.callsDir,
      writer: this.#writer,
      save: (legs) => this.#save(call, legs),
      onFinished: (outcome) => this.#options.onSaved?.(outcome.kind),
    });
  }

  /** Waits for recordings that are being made, within bounds, and lets go of the other legs; their files stay. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#closing.abort();
    await within(CLOSE_WITHIN_MS, Promise.allSettled(this.#saving));
    await this.#writer.close();
  }

  #save(
    call: { readonly callId: CallId; readonly startedAt: Date },
    legs: readonly (EndedLeg & { readonly recorder: LegRecorder })[],
  ): Promise<RecordingOutcome> {
    const saving = this.#inTurn(() => this.#attempts(call, legs));
    this.#saving.add(saving);
    void saving.finally(() => this.#saving.delete(saving));
    return saving;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#startNext();
    });
    try {
      return await work();
    } finally {
      this.#saves--;
      this.#startNext();
    }
  }

  #startNext(): void {
    while (this.#saves < savesAtATime(this.#waiting.length)) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#saves++;
      next();
    }
  }

  /** Never rejects. */
  async #attempts(
    { callId, startedAt }: { readonly callId: CallId; readonly startedAt: Date },
    legs: readonly (EndedLeg & { readonly recorder: LegRecorder })[],
  ): Promise<RecordingOutcome> {
    const { recordingDir, logger } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const saved = legs.flatMap(({ legNo, role, recorder }) =>
          recorder.startedAt === undefined
            ? []
            : [{ legNo, role, startedAt: recorder.startedAt, source: recorder.openSource() }],
        );
        const recording = await saveRecording({ recordingDir, callId, startedAt, legs: saved });
        if (recording === undefined) return { kind: 'none' };
        const kept = legs.map(({ legNo, recorder }) => ({ legNo, missing: recorder.unkept }));
        return { kind: 'saved', recording, ...missingOf(kept) };
      } catch (error) {
        const isLast = attempt === SAVE_ATTEMPTS || this.#closing.signal.aborted;
        if (isLast || !(error instanceof CallscribeError && error.retryable)) {
          logger.error(
            { err: toError(error), callId },
            'a recording could not be made: the audio of its legs stays',
          );
          return {
            kind: 'failed',
            code: error instanceof CallscribeError ? error.code : 'RECORDING_STORAGE',
          };
        }
        await delay(SAVE_AGAIN_AFTER_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    }
  }

  async #sweep(): Promise<void> {
    const { keepDays, recordingDir, clock, logger, onDeleted } = this.#options;
    if (keepDays === undefined) return;
    const before = new Date(clock.wallTime().getTime() - keepDays * DAY_MS);
    try {
      const deleted = await deleteOldRecordings(recordingDir, before);
      if (deleted === 0) return;
      logger.info({ recordings: deleted, keepDays }, 'old recordings were deleted');
      onDeleted?.(deleted);
    } catch (error) {
      logger.error({ err: toError(error) }, 'old recordings could not be deleted');
    }
  }
}

const DAY_MS = 86_400_000;

interface CallRecordingOptions {
  readonly callId: CallId;
  readonly policy: RecordingPolicy;
  readonly callsDir: string;
  readonly writer: RecordingWriter;
  readonly save: (
    legs: readonly (EndedLeg & { readonly recorder: LegRecorder })[],
  ) => Promise<RecordingOutcome>;
  readonly onFinished: (outcome: RecordingOutcome) => void;
}

/** The audio of one call: a recorder for each leg, and what becomes of them at the end. */
export class CallRecording {
  readonly #options: CallRecordingOptions;
  readonly #legs: LegRecorder[] = [];

  constructor(options: CallRecordingOptions) {
    this.#options = options;
  }

  openLeg(leg: { readonly legId: LegId; readonly legNo: number }): LegRecorder {
    const { callId, policy, writer } = this.#options;
    const recorder = writer.openLeg({ ...leg, callId, policy });
    this.#legs.push(recorder);
    return recorder;
  }

  /**
   * All legs are ended: makes the call's recording, where one is to be kept. Takes as long as it takes, or a minute and
   * more while the disk is full. Never rejects.
   */
  async finish(legs: readonly EndedLeg[]): Promise<RecordingOutcome> {
    const ended = legs.flatMap((leg) => {
      const recorder = this.#legs.find(({ options }) => options.legNo === leg.legNo);
      return recorder === undefined ? [] : [{ ...leg, recorder }];
    });
    for (const { recorder } of ended) void this.#options.writer.rest(recorder);
    const heard = ended.filter(({ recorder }) => recorder.startedAt !== undefined);
    const isKept = this.#options.policy === 'keep' && heard.length > 0;
    const outcome: RecordingOutcome = isKept ? await this.#options.save(heard) : { kind: 'none' };
    this.#options.onFinished(outcome);
    return outcome;
  }

  /** Waits until the legs' files hold all that they can, no longer than {@link WRITTEN_WITHIN_MS}. Never rejects. */
  async written(): Promise<void> {
    const { writer } = this.#options;
    await within(WRITTEN_WITHIN_MS, Promise.allSettled(this.#legs.map((leg) => writer.written(leg))));
  }

  /** Nothing of the legs is read any more: lets go of them; their files stay. Never rejects. */
  async release(): Promise<void> {
    for (const leg of this.#legs.splice(0)) await this.#options.writer.release(leg).catch(() => undefined);
  }

  /** The same, and deletes their files. Never rejects. */
  async remove(): Promise<void> {
    const directory = join(this.#options.callsDir, this.#options.callId);
    const files = this.#legs.map(({ options }) => options.path);
    await this.release();
    for (const file of files) await rm(file, { force: true }).catch(() => undefined);
    // Whoever keeps something else there removes it.
    await rmdir(directory).catch(() => undefined);
  }
}
