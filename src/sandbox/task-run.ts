import type { Clock } from '../clock.ts';
import { seededRandom } from '../seeded-random.ts';
import { type AudioDecoder, openDecoder } from './audio-decoder.ts';
import type { TaskRequest } from './client-frames.ts';
import type { FailureFault, TaskFaults } from './faults.ts';
import type { FfmpegPool } from './ffmpeg-decoder.ts';
import type { SandboxProtocol, SandboxTimers } from './protocol-terms.ts';
import { withoutPunctuation } from './punctuation.ts';
import type { Recognition, RecognitionEvent, SandboxRecogniser } from './recogniser.ts';
import { type OutgoingResult, ResultOutbox } from './result-outbox.ts';
import { encodeHeartbeat, encodeResult, encodeUnknownEvent } from './server-frames.ts';

/** What a task needs of its socket. */
export interface TaskRunHost {
  readonly recogniser: SandboxRecogniser;
  readonly ffmpeg: FfmpegPool;
  readonly protocol: SandboxProtocol;
  readonly timers: SandboxTimers;
  readonly clock: Clock;
  /** Audio can be taken; once. */
  onReady(): void;
  send(text: string): void;
  /** A result went out; `no` counts from 1. */
  onResult(no: number, final: boolean): void;
  /** The task cannot go on. */
  fail(failure: FailureFault): void;
  /** More audio than it can hold just now, or no longer. */
  onPressure(pressure: 'full' | 'free'): void;
}

const NO_VALID_AUDIO: FailureFault = { code: 'NO_VALID_AUDIO_ERROR', message: 'There is no valid audio.' };
/** Reported of a sibling model (Fun-ASR). */
const AUDIO_MIN_MS = 200;

/**
 * The audio side of one task: bytes → decoder → recogniser → results. Ends with `close`, whatever happened; holds no
 * timer and no child after it.
 */
export class TaskRun {
  readonly task: TaskRequest;
  readonly faults: TaskFaults;
  readonly #host: TaskRunHost;
  readonly #recognition: Recognition;
  readonly #outbox: ResultOutbox;
  readonly #random: () => number;
  #decoder: AudioDecoder | undefined;
  #closed = false;
  #frames = 0;
  #results = 0;
  #sentenceId = 1;
  #sentenceBegun = false;
  /** Where in the task's audio the last heartbeat was. */
  #heartbeatAtMs = 0;
  #speechSeenAtMs: number;
  #speechSeenMs = 0;
  #onDone: (() => void) | undefined;

  constructor(task: TaskRequest, faults: TaskFaults, host: TaskRunHost) {
    this.task = task;
    this.faults = faults;
    this.#host = host;
    this.#recognition = host.recogniser.open(task);
    this.#random = seededRandom(faults.seed ?? 1);
    this.#speechSeenAtMs = host.clock.monotonicMs();
    this.#outbox = new ResultOutbox({
      delayMs: faults.lateResultsMs ?? 0,
      window: faults.shuffleResults ?? 1,
      random: this.#random,
      send: (result) => {
        this.#deliver(result);
      },
    });
  }

  /** Frames taken so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Begins to decode; `onReady` or `fail` follows, maybe at once. */
  open(): void {
    const { format, sampleRateHz } = this.task;
    const decoder = openDecoder(format, sampleRateHz, this.#host.ffmpeg, {
      onReady: () => {
        this.#host.onReady();
      },
      onPcm: (pcm) => {
        this.#onPcm(pcm);
      },
      onEnd: () => {
        this.#onDecoded();
      },
      onFault: (failure) => {
        if (!this.#closed) this.#host.fail(failure);
      },
      onPressure: (pressure) => {
        this.#host.onPressure(pressure);
      },
    });
    this.#decoder = decoder;
    // It may have failed the task before it was there to be closed.
    if (this.#closed) decoder.close();
  }

  feed(audio: Buffer): void {
    this.#frames += 1;
    this.#decoder?.write(audio);
  }

  /** Gives what is still open; `onDone` once the last result is out, which may be now. */
  finish(onDone: () => void): void {
    if (this.#frames === 0) {
      this.#host.fail({ code: 'NO_INPUT_AUDIO_ERROR', message: 'No audio was sent.' });
      return;
    }
    this.#onDone = onDone;
    this.#decoder?.end();
  }

  close(): void {
    this.#closed = true;
    this.#onDone = undefined;
    this.#outbox.close();
    this.#decoder?.close();
  }

  #onPcm(pcm: Buffer): void {
    if (this.#closed) return;
    this.#tell(this.#recognition.feed(pcm));
    this.#watchSilence();
  }

  #onDecoded(): void {
    if (this.#closed) return;
    const onDone = this.#onDone;
    if (onDone === undefined) {
      this.#host.fail({ code: 'UNSUPPORTED_FORMAT', message: 'Failed to decode audio' });
      return;
    }
    this.#tell(this.#recognition.flush());
    if (this.#isClosed()) return;
    const failure = this.#emptiness();
    if (failure === undefined) this.#outbox.drain(onDone);
    else this.#host.fail(failure);
  }

  /** The service's codes for a task in which nothing was said; which it fails, and when, is not known for all. */
  #emptiness(): FailureFault | undefined {
    const { audioMs, lastSpeechMs } = this.#recognition;
    if (audioMs === 0) return NO_VALID_AUDIO;
    if (this.#host.protocol === 'lenient') return undefined;
    if (audioMs < AUDIO_MIN_MS) return { code: 'EmptyAudio', message: 'The audio is empty.' };
    return lastSpeechMs === 0 ? NO_VALID_AUDIO : undefined;
  }

  /** A result that went out may have ended the task by a fault. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #tell(events: readonly RecognitionEvent[]): void {
    const { task, faults } = this;
    for (const heard of events) {
      if (this.#closed) return;
      const event = task.punctuation ? heard : withoutPunctuation(heard);
      if (faults.noise === true) this.#sendNoise(event);
      const frame = encodeResult(task.taskId, event, {
        sentenceId: this.#sentenceId,
        first: !this.#sentenceBegun,
        emotion: task.emotion,
        audioMs: this.#recognition.audioMs,
        form: faults.results ?? 'usual',
        missing: this.#missing(),
      });
      const final = event.kind === 'final';
      this.#outbox.push({ frame, final });
      this.#sentenceBegun = !final;
      if (!final) continue;
      if (faults.doubleFinals === true) this.#outbox.push({ frame, final });
      this.#sentenceId += 1;
    }
  }

  #missing(): (() => boolean) | undefined {
    const share = this.faults.missingFields;
    return share === undefined ? undefined : () => this.#random() < share;
  }

  #deliver({ frame, final }: OutgoingResult): void {
    if (this.#closed) return;
    this.#host.send(frame);
    this.#results += 1;
    this.#host.onResult(this.#results, final);
  }

  #sendNoise(event: RecognitionEvent): void {
    const other = '00000000000000000000000000000000';
    const facts = { sentenceId: 1, first: true, emotion: false, audioMs: 0, form: 'usual' } as const;
    this.#host.send(encodeUnknownEvent(other));
    this.#host.send(encodeResult(other, { ...event, text: 'of another task' }, facts));
    this.#host.send('not JSON');
  }

  /** Silent audio keeps a task alive only where its client asked for heartbeats. */
  #watchSilence(): void {
    if (this.#closed) return;
    const { clock, timers } = this.#host;
    const { lastSpeechMs, audioMs } = this.#recognition;
    const nowMs = clock.monotonicMs();
    if (lastSpeechMs > this.#speechSeenMs) {
      this.#speechSeenMs = lastSpeechMs;
      this.#speechSeenAtMs = nowMs;
    }
    if (!this.task.heartbeat) {
      if (nowMs - this.#speechSeenAtMs < timers.silenceMs) return;
      this.#host.fail({ code: 'RequestTimeOut', message: 'Response timeout!' });
      return;
    }
    if (audioMs - Math.max(this.#heartbeatAtMs, this.#speechSeenMs) < timers.heartbeatMs) return;
    this.#heartbeatAtMs = audioMs;
    this.#host.send(encodeHeartbeat(this.task.taskId));
  }
}
