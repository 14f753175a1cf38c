import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { CallId, LegId } from '../ids.ts';
import { within } from '../within.ts';
import type { LegRecorder, RecordingPolicy } from './leg-recorder.ts';
import { legFileName, RecordingWriter, type RecordingWriterOptions } from './recording-writer.ts';

/** How long the end of a call waits for a disk that does not take its audio. */
const WRITTEN_WITHIN_MS = 5_000;

export interface RecordingsOptions extends RecordingWriterOptions {
  /** What is done with calls that no rule says otherwise of. */
  readonly policy: RecordingPolicy;
}

/** The audio of the calls in progress. */
export class Recordings {
  readonly #options: RecordingsOptions;
  readonly #writer: RecordingWriter;

  constructor(options: RecordingsOptions) {
    this.#options = options;
    this.#writer = new RecordingWriter(options);
  }

  get waitingBytes(): number {
    return this.#writer.waitingBytes;
  }

  get failingLegs(): number {
    return this.#writer.failingLegs;
  }

  openCall(callId: CallId, policy: RecordingPolicy = this.#options.policy): CallRecording {
    return new CallRecording(this.#options.callsDir, this.#writer, callId, policy);
  }

  /** Lets go of every leg; files of calls in progress stay. */
  async close(): Promise<void> {
    await this.#writer.close();
  }
}

/** The audio of one call: a recorder for each leg, and what becomes of them at the end. */
export class CallRecording {
  readonly #callsDir: string;
  readonly #writer: RecordingWriter;
  readonly #callId: CallId;
  readonly #policy: RecordingPolicy;
  readonly #legs: LegRecorder[] = [];

  constructor(callsDir: string, writer: RecordingWriter, callId: CallId, policy: RecordingPolicy) {
    this.#callsDir = callsDir;
    this.#writer = writer;
    this.#callId = callId;
    this.#policy = policy;
  }

  openLeg(leg: { readonly legId: LegId; readonly legNo: number }): LegRecorder {
    const recorder = this.#writer.openLeg({ ...leg, callId: this.#callId, policy: this.#policy });
    this.#legs.push(recorder);
    return recorder;
  }

  /** The legs are ended and nothing of them is read any more. Never rejects. */
  async finish(): Promise<void> {
    const written = Promise.all(this.#legs.map((leg) => this.#writer.written(leg)));
    await within(WRITTEN_WITHIN_MS, written);
    await this.#remove();
  }

  /** Nothing of the call is kept. Never rejects. */
  async discard(): Promise<void> {
    await this.#remove();
  }

  async #remove(): Promise<void> {
    for (const leg of this.#legs.splice(0)) {
      await this.#writer.release(leg);
      await rm(join(this.#callsDir, this.#callId, legFileName(leg.options.legNo)), { force: true }).catch(
        () => undefined,
      );
    }
  }
}
