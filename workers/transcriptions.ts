import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { UploadDesk } from '../src/api/context.ts';
import type { Config } from '../src/config.ts';
import { CallscribeError, systemCode, toError } from '../src/errors.ts';
import { isUuid, newCallId, newLegId, toCallId } from '../src/ids.ts';
import { takeLease } from '../src/lease.ts';
import type { Logger } from '../src/log.ts';
import { completeCall } from '../src/store/complete-call.ts';
import { type Pool, toStoreError, withTransaction } from '../src/store/pool.ts';
import { saveCall } from '../src/store/save-call.ts';
import { saveSentences } from '../src/store/save-sentence.ts';
import {
  createTranscription,
  endTranscription,
  loadTranscription,
  noteTranscription,
  type StoredTranscription,
} from '../src/store/transcriptions.ts';
import { callOfFile } from '../src/transcribe/call-of-file.ts';
import { openFile } from '../src/transcribe/open-file.ts';
import { readRecordedCall, type RecordedCall } from '../src/transcribe/recorded-call.ts';
import { transcribeFile, type TranscribeOptions } from '../src/transcribe/transcribe-file.ts';

export interface TranscriptionsDeps {
  readonly config: Pick<Config, 'dataDir' | 'asr'>;
  readonly pool: Pool;
  readonly service: TranscribeOptions['service'];
  readonly logger: Logger;
}

/** Channels of how many files are recognised at the same time: calls that go on share the account. */
const FILES_AT_A_TIME = 2;
const WAITING_MAX = 100;
/** 200 MB are seven hours of G.711, three and a half of stereo. */
const FILE_MAX_BYTES = 200_000_000;
const UPLOAD_WITHIN_MS = 600_000;
/** At {@link SPEED}, the longest takes two hours. */
const FILES = { rawRateHz: 8_000, hoursMax: 8 };
/** Seconds of audio a second. */
const SPEED = 4;
const NOTE_EVERY_MS = 1_000;
/** A file has two at most. */
const CHANNELS = [0, 1];
/** Beside the file, where that is a call's recording. */
const RECORDED_FILE = 'call.json';

/**
 * Files that were handed in: written to `DATA_DIR/uploads/<id>/` as they come, recognised some at a time, and stored as a
 * call whose legs are the channels. A file stays until its rows are there, so that the next start goes on with it.
 */
export class Transcriptions implements UploadDesk {
  readonly #deps: TranscriptionsDeps;
  readonly #directory: string;
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #running = new Set<Promise<void>>();
  /** Files on their way in: each has a place among those that wait. */
  #taking = 0;
  readonly #closing = new AbortController();

  private constructor(deps: TranscriptionsDeps) {
    this.#deps = deps;
    this.#directory = join(deps.config.dataDir, 'uploads');
  }

  /** Goes on with what a process before left. @throws {CallscribeError} STORAGE_UNUSABLE */
  static async open(deps: TranscriptionsDeps): Promise<Transcriptions> {
    const desk = new Transcriptions(deps);
    try {
      await mkdir(desk.#directory, { recursive: true, mode: 0o700 });
      for (const id of await readdir(desk.#directory)) if (isUuid(id)) desk.#enqueue(id);
    } catch (cause) {
      throw unusable(cause);
    }
    return desk;
  }

  async take(
    tenant: string,
    name: string,
    content: Readable & { readonly truncated?: boolean },
  ): Promise<StoredTranscription> {
    const path = `audio${/\.[a-z0-9]{1,5}$/i.exec(name)?.[0].toLowerCase() ?? ''}`;
    return this.#take(tenant, path, async (file) => {
      const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(UPLOAD_WITHIN_MS)]);
      await pipeline(content, createWriteStream(file, { mode: 0o600 }), { signal });
      if (content.truncated === true) {
        throw new CallscribeError('BODY_TOO_LARGE', `the file has more than ${FILE_MAX_BYTES} bytes; cut it`);
      }
    });
  }

  async takeRecording(tenant: string, file: string, call: RecordedCall): Promise<StoredTranscription> {
    return this.#take(tenant, 'audio.wav', async (path) => {
      // Not a link: the recording may be deleted meanwhile, and what was asked for is done all the same.
      await copyFile(file, path);
      await writeFile(join(dirname(path), RECORDED_FILE), JSON.stringify(call), { mode: 0o600 });
    });
  }

  /** @param fill writes the file, whose path it is given */
  async #take(
    tenant: string,
    name: string,
    fill: (path: string) => Promise<void>,
  ): Promise<StoredTranscription> {
    if (this.#waiting.length + this.#taking >= WAITING_MAX) {
      throw new CallscribeError('TRANSCRIPTIONS_FULL', `${WAITING_MAX} files wait; hand it in again later`, {
        retryable: true,
      });
    }
    const id = newCallId();
    const directory = join(this.#directory, id);
    const path = join(directory, name);
    this.#taking += 1;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await fill(path);
      await openFile(path, FILES);
      const { size: bytes } = await stat(path);
      const taken = await createTranscription(this.#deps.pool, { id, tenant, bytes });
      this.#enqueue(id);
      return taken;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw ofUpload(error, path);
    } finally {
      this.#taking -= 1;
    }
  }

  get fileMaxBytes(): number {
    return FILE_MAX_BYTES;
  }

  async close(): Promise<void> {
    this.#closing.abort(new CallscribeError('ASR_ABORTED', 'the process ends; the next one goes on'));
    this.#waiting.length = 0;
    await Promise.allSettled(this.#running);
  }

  #enqueue(id: string): void {
    this.#waiting.push(() => this.#run(id));
    this.#next();
  }

  #next(): void {
    if (this.#running.size >= FILES_AT_A_TIME || this.#closing.signal.aborted) return;
    const work = this.#waiting.shift();
    if (work === undefined) return;
    const done = work().finally(() => {
      this.#running.delete(done);
      this.#next();
    });
    this.#running.add(done);
  }

  /** Never rejects. */
  async #run(id: string): Promise<void> {
    const { pool, logger } = this.#deps;
    const directory = join(this.#directory, id);
    try {
      await using lease = await takeLease(directory);
      // Another process of the same data directory is at it.
      if (lease === undefined) return;
      const row = await loadTranscription(pool, id);
      // It may be on its way into another process.
      if (row === undefined && (await ageMs(directory)) < 2 * UPLOAD_WITHIN_MS) return;
      if (row?.state === 'waiting' || row?.state === 'running') await this.#recognise(row, directory);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      const code = error instanceof CallscribeError ? error.code : 'INTERNAL';
      logger.error({ err: toError(error), transcriptionId: id }, 'a file could not be recognised');
      try {
        await endTranscription(pool, id, { code, text: textOf(error) });
      } catch (thrown) {
        const facts = { err: toStoreError(thrown), transcriptionId: id };
        logger.error(facts, 'and that could not be noted: the next start tries the file again');
        return;
      }
    }
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }

  async #recognise(row: StoredTranscription, directory: string): Promise<void> {
    const { pool, config, service } = this.#deps;
    const name = (await readdir(directory)).find((file) => file.startsWith('audio'));
    if (name === undefined) throw new CallscribeError('STORAGE_UNUSABLE', 'the file is not there any more');
    const recorded = await recordedCallOf(directory);
    let notedAtMs = -Infinity;
    const transcript = await transcribeFile(join(directory, name), {
      service,
      model: recorded?.model,
      vocabularyId: recorded?.vocabularyId ?? config.asr.vocabularyId,
      vocabularyModel: recorded?.vocabularyId === undefined ? config.asr.model : undefined,
      channels: recorded?.channels.map(({ channelNo }) => channelNo),
      ...FILES,
      speed: SPEED,
      signal: this.#closing.signal,
      onProgress: (progress, sentences) => {
        if (performance.now() - notedAtMs < NOTE_EVERY_MS) return;
        notedAtMs = performance.now();
        // What is not noted is by the next one.
        noteTranscription(pool, row.id, { progress, sentences }).catch(() => undefined);
      },
    });
    const callId = toCallId(row.id);
    const { call, sentences } = callOfFile(transcript, {
      callId,
      tenant: row.tenant,
      legIds: CHANNELS.map(() => newLegId(callId)),
      startedAt: recorded?.beginAt ?? row.createdAt,
      recorded,
    });
    await withTransaction(pool, async (client) => {
      await saveCall(client, call);
      await saveSentences(client, sentences);
      // Nobody else writes to this call: what this transaction sees is all of it.
      await completeCall(client, callId);
      await endTranscription(client, row.id, { callId, sentences: sentences.length });
    });
  }
}

async function recordedCallOf(directory: string): Promise<RecordedCall | undefined> {
  try {
    return readRecordedCall(await readFile(join(directory, RECORDED_FILE), 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const ageMs = async (path: string): Promise<number> => Date.now() - (await stat(path)).mtimeMs;

function ofUpload(error: unknown, path: string): Error {
  if (error instanceof CallscribeError) {
    return new CallscribeError(error.code, error.message.replace(path, 'the file'), error);
  }
  return systemCode(error)?.startsWith('E') === true ? unusable(error) : toError(error);
}

const textOf = (error: unknown): string =>
  error instanceof CallscribeError
    ? error.message.replace(/\S*\/uploads\/\S+?(?=: )/, 'the file')
    : 'a fault of ours';

function unusable(cause: unknown): CallscribeError {
  if (cause instanceof CallscribeError) return cause;
  return new CallscribeError(
    'STORAGE_UNUSABLE',
    `uploads below DATA_DIR: ${systemCode(cause) ?? 'unknown fault'}. Make DATA_DIR writable, and make room`,
    { cause, retryable: true },
  );
}
