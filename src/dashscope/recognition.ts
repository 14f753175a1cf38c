import { Writable } from 'node:stream';

import { type Clock, systemClock } from '../clock.ts';
import { type AudioFile, type CallOptions, sendAudioFile } from './audio-file.ts';
import { type ApiKey, connect } from './connection.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { DashScopeAborted, DashScopeUsageError, type UsageFault } from './errors.ts';
import { checkParameters, type RecognitionParameters } from './parameters.ts';
import { CallbackCaller, type RecognitionCallback, type RecognitionWarning } from './recognition-callback.ts';
import type { FileResult, RecognitionResult } from './recognition-result.ts';
import { newResultQueue, RecognitionRun } from './recognition-run.ts';
import type { ResultQueue } from './result-queue.ts';
import { newTaskId, TASK_LIMITS, type TaskCounters } from './task.ts';

/** The mainland's shared address, where the Paraformer models are. */
export const DASHSCOPE_URL = 'wss://dashscope.aliyuncs.com/api-ws/v1/inference';

/** Time limits and bounds of a {@link Recognition}. */
export interface RecognitionLimits {
  /** Key, DNS, TCP, TLS and upgrade together. Default: 10 s. */
  readonly connectTimeoutMs?: number | undefined;
  /** From run-task to task-started. Default: 10 s. */
  readonly startTimeoutMs?: number | undefined;
  /** From `stop` to task-finished; for a file, between two results while it finishes. Default: 10 s; a file 60 s. */
  readonly stopTimeoutMs?: number | undefined;
  /** Audio that may wait; beyond it the run fails with `ASR_BACKLOG_FULL`. Default: 10 s. */
  readonly backlogMaxMs?: number | undefined;
}

/** What is recognised, how, and where. The request parameters are those of the vendor's page in camelCase. */
export interface RecognitionOptions extends RecognitionParameters {
  /** One of {@link RECOGNITION_MODELS}; another is passed through with a warning. */
  readonly model: string;
  /** A key or temporary token, or what gives one for each new connection. Not beside a pool, which has its own. */
  readonly apiKey?: ApiKey | undefined;
  /** Workspace id. Default: the account's default workspace. */
  readonly workspace?: string | undefined;
  /** Default: {@link DASHSCOPE_URL}. */
  readonly url?: string | undefined;
  /** Takes the place of `apiKey`, `workspace` and `url`, and shares sockets and rate with other recognitions. */
  readonly pool?: ConnectionPool | undefined;
  readonly callback?: RecognitionCallback | undefined;
  /** Told of each warning as it comes; without it, see {@link Recognition.warnings}. */
  readonly onWarning?: ((warning: RecognitionWarning) => void) | undefined;
  /** Ends every run with `ASR_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  readonly limits?: RecognitionLimits | undefined;
  readonly clock?: Clock | undefined;
}

const STOP_TIMEOUT_MS = 10_000;
const FILE_STOP_TIMEOUT_MS = 60_000;
const WARNINGS_MAX = 100;

/**
 * Realtime speech recognition: the counterpart of the class of the same name in the vendor's SDKs.
 *
 *     const recognition = new Recognition({ model: 'paraformer-realtime-8k-v2', format: 'pcm', sampleRate: 8000,
 *       apiKey, callback: { onEvent: (result) => show(result.getSentence().text) } });
 *     recognition.start();
 *     recognition.sendAudioFrame(pcm);  // again and again
 *     await recognition.stop();
 *
 * One run at a time; after its end it may be started again, and each run has a task id of its own. Results go to the
 * callback, to `for await (… of recognition.results())`, or both.
 */
export class Recognition implements AsyncDisposable {
  readonly #options: RecognitionOptions;
  readonly #callbacks: CallbackCaller;
  readonly #warnings: RecognitionWarning[] = [];
  #run: RecognitionRun | undefined;
  #nextTaskId = newTaskId();
  #nextQueue: ResultQueue<RecognitionResult> | undefined;
  /** A file is being looked at, and its run has not begun. */
  #preparing = false;

  /** @throws {DashScopeUsageError} naming every fault of the options at once; nothing is sent */
  constructor(options: RecognitionOptions) {
    // A copy: what was checked is what is sent.
    this.#options = { ...options };
    this.#callbacks = new CallbackCaller(options.callback ?? {}, (warning) => {
      this.#warn(warning);
    });
    const faults = connectionFaults(this.#options);
    if (faults.length > 0) throw new DashScopeUsageError('the recognition cannot be asked for', faults);
    for (const { parameter, message } of checkParameters(options.model, this.#options)) {
      this.#warn({ kind: 'parameter', subject: parameter, message });
    }
  }

  /** The first hundred warnings since construction. */
  get warnings(): readonly RecognitionWarning[] {
    return this.#warnings;
  }

  /** From `start` (or `call`) until `onClose`, in which it may be started again. */
  get running(): boolean {
    return this.#preparing || (this.#run !== undefined && this.#run.state !== 'closed');
  }

  /** Audio that waits for the service or the network, in milliseconds; from usual bit rates for compressed formats. */
  get backlogMs(): number {
    return this.#run?.backlogMs ?? 0;
  }

  /** The same in bytes. */
  get bufferedBytes(): number {
    return this.#run?.backlogBytes ?? 0;
  }

  /** Frames and bytes of the current or last run; undefined before the first. */
  get counters(): TaskCounters | undefined {
    return this.#run?.counters;
  }

  /**
   * Begins a run. Audio may be sent at once: it waits until the service has taken the task.
   *
   * @returns resolves when it has, rejects with what `onError` is told; nobody has to look at it
   * @throws {DashScopeUsageError} while a run is under way
   */
  start(): Promise<void> {
    this.#assertIdle();
    return this.#begin('first-audio', []).opened;
  }

  /**
   * Sends audio of the declared format. About 100 ms at a time is best, but any length will do: uncompressed audio is
   * sent in frames of 100 ms, and nothing in frames over 16 KB. The buffer may be reused at once.
   *
   * @returns false when more than a second of audio waits: better to send no more for a while, see `backlogMs`
   * @throws {DashScopeUsageError} when no run is under way
   * @throws {DashScopeError} the one that ended the run, when it failed
   */
  sendAudioFrame(audio: Uint8Array): boolean {
    if (!(audio instanceof Uint8Array)) {
      throw new DashScopeUsageError('the audio cannot be sent', [
        { parameter: 'audio', found: `a ${typeof audio}`, allowed: 'a Buffer or Uint8Array' },
      ]);
    }
    return this.#activeRun('sendAudioFrame').push(toBuffer(audio));
  }

  /**
   * No audio follows. May be called from a callback, and twice.
   *
   * @returns resolves when the service has given its last results and `onClose` was told; rejects with what `onError`
   * was told; nobody has to look at it
   * @param options.timeoutMs when the run fails with `ASR_TIMEOUT`. Default: `limits.stopTimeoutMs`, 10 s
   * @throws {DashScopeUsageError} when nothing was started
   */
  stop(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    if (this.#run === undefined) throw notRunning('stop', 'was not started');
    const timeoutMs = options.timeoutMs ?? this.#options.limits?.stopTimeoutMs ?? STOP_TIMEOUT_MS;
    return this.#run.stop({ timeoutMs, since: 'stop' });
  }

  /**
   * Recognises a recorded file: its header is compared with `format` and `sampleRate`, then it is sent at a bounded rate,
   * from disk, in constant memory. Callbacks are told as for a stream.
   *
   * @param file a path, or the bytes as they come
   * @returns the final sentences
   * @throws {DashScopeUsageError} while a run is under way, or when the file cannot be read, is empty, or is not what
   * was claimed
   * @throws {DashScopeError} what `onError` is told; its `sentences` are the finals that came before
   */
  async call(file: AudioFile, options: CallOptions = {}): Promise<FileResult> {
    this.#assertIdle();
    this.#preparing = true;
    try {
      const { model, format, sampleRate, limits } = this.#options;
      return await sendAudioFile(file, options, {
        model,
        format,
        sampleRate,
        stopTimeoutMs: limits?.stopTimeoutMs ?? FILE_STOP_TIMEOUT_MS,
        warn: (warning) => {
          this.#warn(warning);
        },
        begin: (onResult) => {
          this.#preparing = false;
          return this.#begin('begin', options.signal === undefined ? [] : [options.signal], onResult);
        },
      });
    } finally {
      this.#preparing = false;
    }
  }

  /** Ends the run at once; its callbacks and promises are told `ASR_ABORTED`. Nothing happens where none is under way. */
  abort(reason?: unknown): void {
    this.#run?.abort(new DashScopeAborted('the recognition was aborted', reason));
  }

  /**
   * The results of the current or last run from now on, for one reader; before the first start, of the run to come. The
   * iteration ends with the run and rejects with its error; leaving it early ends the run. Partials that the reader is
   * too slow for are skipped, finals are not.
   */
  results(): AsyncIterable<RecognitionResult> {
    if (this.#run !== undefined) return this.#run.results();
    this.#nextQueue ??= newResultQueue(() => this.#run?.abandon());
    return this.#nextQueue;
  }

  /** The same as {@link results}. */
  [Symbol.asyncIterator](): AsyncIterator<RecognitionResult, undefined> {
    return this.results()[Symbol.asyncIterator]() as AsyncIterator<RecognitionResult, undefined>;
  }

  /**
   * Where audio can be piped to, with backpressure. Starts a run where none is under way; its end is `stop`, and a run
   * that fails destroys it with the error.
   */
  writable(): Writable {
    if (!this.running) void this.start();
    const run = this.#activeRun('writable');
    const stream = new Writable({
      decodeStrings: true,
      write: (chunk: Uint8Array, _encoding, done) => {
        run.send(toBuffer(chunk)).then(() => {
          done();
        }, done);
      },
      final: (done) => {
        this.stop().then(() => {
          done();
        }, done);
      },
      destroy: (error, done) => {
        run.abort(new DashScopeAborted('the stream of audio was destroyed', error ?? undefined));
        const closed = (): void => {
          done(error);
        };
        run.done.then(closed, closed);
      },
    });
    run.done.catch((error: unknown) => stream.destroy(error as Error));
    return stream;
  }

  /** The task's id of the current or last run, or of the first to come. The vendor's support asks for it. */
  getLastRequestId(): string {
    return this.#run?.taskId ?? this.#nextTaskId;
  }

  /** From the first audio (for a file: from `call`) to the first text, in ms; undefined before it. */
  getFirstPackageDelay(): number | undefined {
    return this.#run?.firstPackageDelayMs;
  }

  /** From `stop` (for a file: from its last byte) to the end, in ms; undefined before it, and after a failure. */
  getLastPackageDelay(): number | undefined {
    return this.#run?.lastPackageDelayMs;
  }

  /** What the service said last, as it came: also the task-failed with its code. Undefined before, or if no JSON. */
  getResponse(): unknown {
    const text = this.#run?.lastMessage;
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      return undefined;
    }
  }

  /** Aborts what is under way; resolves when its connection is released. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abort();
    await this.#run?.done.catch(() => undefined);
  }

  #begin(
    delayFrom: 'first-audio' | 'begin',
    signals: readonly AbortSignal[],
    onResult?: (result: RecognitionResult) => void,
  ): RecognitionRun {
    const { model, pool, limits = {}, signal } = this.#options;
    const taskId = this.#run === undefined ? this.#nextTaskId : newTaskId();
    const queue = this.#nextQueue;
    this.#nextQueue = undefined;
    this.#run = new RecognitionRun(
      {
        taskId,
        model,
        parameters: this.#options,
        limits: {
          ...TASK_LIMITS,
          connectTimeoutMs: limits.connectTimeoutMs ?? TASK_LIMITS.connectTimeoutMs,
          startTimeoutMs: limits.startTimeoutMs ?? TASK_LIMITS.startTimeoutMs,
          backlogMaxMs: limits.backlogMaxMs ?? TASK_LIMITS.backlogMaxMs,
        },
        connect: pool?.connect ?? ((listener) => connect(this.#connectionOptions(), listener)),
        callbacks: this.#callbacks,
        signals: signal === undefined ? signals : [signal, ...signals],
        clock: this.#options.clock ?? systemClock,
        delayFrom,
        onResult,
        onNoSpeech: (error) => {
          this.#warn({ kind: 'no-speech', subject: error.dashscopeCode, message: 'nothing was heard' });
        },
      },
      queue,
    );
    return this.#run;
  }

  #connectionOptions(): { url: string; apiKey: ApiKey; workspace: string | undefined } {
    const { url = DASHSCOPE_URL, apiKey = '', workspace } = this.#options;
    return { url, apiKey, workspace };
  }

  #assertIdle(): void {
    if (this.running) throw new DashScopeUsageError('the recognition has been started already');
  }

  #activeRun(method: string): RecognitionRun {
    const run = this.#run;
    if (run === undefined) throw notRunning(method, 'was not started');
    if (run.error !== undefined) throw run.error;
    if (run.state !== 'running') throw notRunning(method, 'has been stopped');
    return run;
  }

  #warn(warning: RecognitionWarning): void {
    if (this.#warnings.length < WARNINGS_MAX) this.#warnings.push(warning);
    const { onWarning } = this.#options;
    try {
      if (onWarning !== undefined) onWarning(warning);
      // A mistake in the caller's code that nobody would hear of.
      else if (warning.kind === 'callback') process.emitWarning(warning.message, 'DashScopeWarning');
    } catch {
      // Whoever is warned of a callback that throws may throw as well; there is nobody left to tell.
    }
  }
}

function notRunning(method: string, why: string): DashScopeUsageError {
  return new DashScopeUsageError(`${method} was called, but the recognition ${why}`);
}

function connectionFaults({ apiKey, pool, url, workspace }: RecognitionOptions): UsageFault[] {
  if (pool !== undefined) {
    return Object.entries({ apiKey, url, workspace })
      .filter(([, value]) => value !== undefined)
      .map(([parameter]) => ({ parameter, found: 'a value beside pool', allowed: 'the pool’s own' }));
  }
  const faults: UsageFault[] = [];
  if ((typeof apiKey !== 'string' && typeof apiKey !== 'function') || apiKey === '') {
    const allowed = 'a key, a function that gives one, or a pool';
    faults.push({ parameter: 'apiKey', found: apiKey === undefined ? 'nothing' : 'no key', allowed });
  }
  if (url !== undefined && !(URL.canParse(url) && /^wss?:$/.test(new URL(url).protocol))) {
    faults.push({ parameter: 'url', found: 'another address', allowed: 'a ws:// or wss:// URL' });
  }
  return faults;
}

function toBuffer(audio: Uint8Array): Buffer {
  return Buffer.isBuffer(audio) ? audio : Buffer.from(audio.buffer, audio.byteOffset, audio.byteLength);
}
