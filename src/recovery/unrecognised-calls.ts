import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import type { CallRecord } from '../call/record.ts';
import type { UnrecognisedCall, UnrecognisedLeg } from '../call/unrecognised.ts';
import { CallscribeError, systemCode } from '../errors.ts';
import type { CallId } from '../ids.ts';
import { decodeJob, encodeJob } from '../queue/jobs.ts';

const CALL_FILE = 'call.json';

const whole = z.number().int().min(0);
const content = z.object({
  record: z.record(z.string(), z.unknown()),
  lastEventNo: whole,
  legs: z.array(z.object({ legNo: whole, sentenceCount: whole, fromSample: z.number().min(0) })),
});

export interface UnrecognisedCallsOptions {
  readonly dataDir: string;
  /** The name of a leg's file. */
  readonly legFileName: (legNo: number) => string;
}

/**
 * Calls that ended while the recogniser could not be had: `DATA_DIR/unrecognised/<call id>`, with the legs' audio as it
 * was recorded and `call.json`, which is written last. Their other sentences are rows already.
 */
export class UnrecognisedCalls {
  readonly #options: UnrecognisedCallsOptions;

  constructor(options: UnrecognisedCallsOptions) {
    this.#options = options;
  }

  directoryOf(callId: CallId): string {
    return join(this.#options.dataDir, 'unrecognised', callId);
  }

  /**
   * Keeps the files of the legs besides where they stand, so that their directory may go.
   *
   * @param callDirectory where the files of the legs are, written to their end
   * @throws {CallscribeError} STORAGE_UNUSABLE
   */
  async keep(call: UnrecognisedCall, callDirectory: string): Promise<void> {
    const { legFileName } = this.#options;
    const directory = this.directoryOf(call.record.id);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const legs: UnrecognisedLeg[] = [];
      for (const leg of call.legs) {
        const name = legFileName(leg.legNo);
        if (await linkTo(join(callDirectory, name), join(directory, name))) legs.push(leg);
      }
      if (legs.length === 0) {
        throw new CallscribeError('STORAGE_UNUSABLE', 'the audio of no leg is on disk, expected their files');
      }
      await this.update({ ...call, legs });
    } catch (error) {
      throw unusable(error);
    }
  }

  /** @throws {CallscribeError} STORAGE_UNUSABLE */
  async update({ record, lastEventNo, legs }: UnrecognisedCall): Promise<void> {
    const directory = this.directoryOf(record.id);
    const text = JSON.stringify({
      record: encodeJob({ name: 'call', payload: record }).data,
      lastEventNo,
      legs,
    });
    try {
      await writeFile(join(directory, `${CALL_FILE}.new`), text, { mode: 0o600, flush: true });
      await rename(join(directory, `${CALL_FILE}.new`), join(directory, CALL_FILE));
    } catch (error) {
      throw unusable(error);
    }
  }

  /** Oldest first, by their ids. @throws {CallscribeError} STORAGE_UNUSABLE */
  async list(): Promise<readonly string[]> {
    try {
      return (await readdir(join(this.#options.dataDir, 'unrecognised'))).sort();
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return [];
      throw unusable(error);
    }
  }

  /**
   * @returns undefined where nothing is kept of the call
   * @throws {CallscribeError} STORAGE_UNUSABLE, JOB_MALFORMED
   */
  async load(callId: CallId): Promise<UnrecognisedCall | undefined> {
    let text: string;
    try {
      text = await readFile(join(this.directoryOf(callId), CALL_FILE), 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw unusable(error);
    }
    const { record, lastEventNo, legs } = read(text);
    return { record, lastEventNo, legs };
  }

  /** Everything is recognised, or not wanted. @throws {CallscribeError} STORAGE_UNUSABLE */
  async remove(callId: CallId): Promise<void> {
    await rm(this.directoryOf(callId), { recursive: true, force: true }).catch((error: unknown) => {
      throw unusable(error);
    });
  }
}

function read(text: string): UnrecognisedCall {
  try {
    const { record, lastEventNo, legs } = content.parse(JSON.parse(text));
    return { record: recordOf(record), lastEventNo, legs };
  } catch (cause) {
    throw new CallscribeError('JOB_MALFORMED', `${CALL_FILE} of an unrecognised call cannot be read`, {
      cause,
    });
  }
}

function recordOf(data: unknown): CallRecord {
  const job = decodeJob('call', data);
  if (job.name !== 'call') throw new CallscribeError('JOB_MALFORMED', 'another fact stands for a call');
  return job.payload;
}

/** @returns whether there is such a file */
async function linkTo(existing: string, path: string): Promise<boolean> {
  try {
    await link(existing, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return true;
    if (systemCode(error) === 'ENOENT') return false;
    throw error;
  }
}

function unusable(error: unknown): CallscribeError {
  if (error instanceof CallscribeError) return error;
  return new CallscribeError(
    'STORAGE_UNUSABLE',
    `unrecognised calls below DATA_DIR: ${systemCode(error) ?? 'unknown fault'}. Make DATA_DIR writable`,
    { cause: error },
  );
}
