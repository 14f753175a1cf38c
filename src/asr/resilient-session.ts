import type { Clock } from '../clock.ts';
import { CallscribeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { LegAudioSource } from './audio-source.ts';
import { AsrEventQueue } from './event-queue.ts';
import { FedTask } from './fed-task.ts';
import { isLoud, LoudStretches } from './loud-stretches.ts';
import { MemoryAudio } from './memory-audio.ts';
import { ACCOUNT, type FaultScope, type RecogniserHealth } from './recogniser-health.ts';
import type { ResiliencePolicy } from './resilience-policy.ts';
import { judge, retryDelayMs } from './retry-plan.ts';
import { Seam } from './seam.ts';
import type { AsrEvent, AsrSession, AsrSessionOptions, OpenAsrSession, SentenceEvent } from './session.ts';
import type { StartAsrTask } from './task.ts';

/** What the sessions of a process share. */
export interface ResilientSessionServices {
  readonly startTask: StartAsrTask;
  readonly health: RecogniserHealth;
  readonly policy: ResiliencePolicy;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly onOutcome?: (outcome: SessionOutcome) => void;
}

/** What a counter counts. */
export type SessionOutcome = 'lost' | 'stalled' | 'reconnected' | 'renewed' | 'postponed' | 'refused';

/** A stretch `[fromSample, toSample)` of a leg that is there already, in place of audio that is pushed. */
export interface StretchOptions {
  readonly source: LegAudioSource;
  readonly fromSample: number;
  readonly toSample: number;
  /** Places that no sentence goes across, ascending; see `AsrSession.endSentence`. Default: none. */
  readonly cutSamples?: readonly number[];
}

/** Finals that may wait for a reader; beyond it the session fails. At real-time pace about three quarters of an hour. */
const WAITING_EVENTS_MAX = 1_000;
/** A session without a source keeps so much itself: two minutes. */
const OWN_AUDIO_SAMPLES = 960_000;
/** A task that lived so long, or heard something, was no failed attempt. */
const PROVEN_AFTER_MS = 5_000;
/** So often the same audio is offered to a recogniser that refuses it. */
const REFUSALS_MAX = 3;
/** A replay begins so much before the first loud sample that was lost; where all is quiet, before now. */
const ONSET_SAMPLES = 4_000;
/** A renewal waits for a pause of this length, longer than what ends a sentence. */
const RENEWAL_PAUSE_SAMPLES = 12_000;
/** A task that finds no pause in a quarter of its time is replaced in the middle, and the new one hears it again. */
const RENEWAL_PATIENCE = 1.25;
const SAMPLES_PER_MS = 8;
const BYTES_PER_SAMPLE = 2;

type State =
  | { readonly kind: 'waiting'; readonly for: 'time' | 'operator'; readonly cancel: () => void }
  | { readonly kind: 'running'; readonly task: FedTask; readonly baseSample: number }
  | { readonly kind: 'over' };

/** Since when nothing is recognised, and why. */
interface Loss {
  readonly sinceMs: number;
  readonly sentSample: number;
  code: string;
  error: Error;
  attempts: number;
  postponed: boolean;
}

/**
 * A leg's recognition over as many tasks as it takes, one at a time:
 *
 *     running ──lost──▶ waiting ──back-off, or the operator acted──▶ running from the last final on
 *        │ renewed: the old task gives its last words, the new one goes on behind them
 *        └──the leg is whole and everything recognised, or given up──▶ over
 *
 * Each task begins where the last final sentence ended, reads what it missed from the leg's audio faster than real time,
 * and goes on live; {@link Seam} sees to it that each sentence is given once, on the leg's clock. What is owed when the
 * leg ends is tried for a bounded time, and told as `unrecognised` when that was not enough.
 */
export class ResilientSession implements AsrSession {
  readonly #services: ResilientSessionServices;
  readonly #options: AsrSessionOptions;
  readonly #scope: FaultScope;
  readonly #source: LegAudioSource;
  readonly #own: MemoryAudio | undefined;
  readonly #seam: Seam;
  readonly #loud = new LoudStretches();
  /** Where a task is to end because no sentence goes on there; ascending. */
  #cutSamples: readonly number[];
  readonly #events = new AsrEventQueue(() => {
    this.abort(new CallscribeError('ASR_ABORTED', 'the session’s reader left before the end'));
  });
  #state: State = { kind: 'waiting', for: 'time', cancel: () => undefined };
  #endSample: number;
  #whole = false;
  #loss: Loss | undefined;
  #refusals = 0;
  #malformed = 0;
  #deadline: NodeJS.Timeout | undefined;
  readonly #closed: Promise<void>;
  #resolveClosed!: () => void;

  private constructor(
    services: ResilientSessionServices,
    options: AsrSessionOptions,
    stretch: StretchOptions | undefined,
  ) {
    this.#services = services;
    this.#options = options;
    this.#scope = `${options.model} ${options.vocabularyId ?? options.phraseId ?? 'without hot words'}`;
    this.#endSample = stretch?.toSample ?? 0;
    this.#seam = new Seam(stretch?.fromSample ?? 0);
    this.#cutSamples = stretch?.cutSamples ?? [];
    const given = stretch?.source ?? options.source;
    this.#own = given === undefined ? new MemoryAudio(OWN_AUDIO_SAMPLES) : undefined;
    this.#source = given ?? this.#own!;
    this.#closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    // How loud it is is not known: what may have been said is to be heard.
    if (stretch !== undefined) this.#loud.add(stretch.fromSample, stretch.toSample);
    this.#start();
  }

  /** A leg from its first sample on, as it comes. */
  static open(services: ResilientSessionServices, options: AsrSessionOptions): ResilientSession {
    return new ResilientSession(services, options, undefined);
  }

  /** Audio that is there already: begins at once, and ends by itself. */
  static overStretch(
    services: ResilientSessionServices,
    options: Omit<AsrSessionOptions, 'source'>,
    stretch: StretchOptions,
  ): ResilientSession {
    const session = new ResilientSession(services, options, stretch);
    void session.finish();
    return session;
  }

  push(pcm: Buffer): void {
    if (this.#whole || this.#state.kind === 'over') return;
    const beginSample = this.#endSample;
    this.#endSample += pcm.length / BYTES_PER_SAMPLE;
    this.#own?.append(pcm);
    const loud = isLoud(pcm);
    if (loud) this.#loud.add(beginSample, this.#endSample);
    if (this.#state.kind !== 'running') return;
    this.#state.task.push(pcm, beginSample, loud);
    this.#renewIfDue();
  }

  endSentence(): void {
    if (this.#whole || this.#state.kind === 'over') return;
    const isQuiet = this.#endSample - this.#loud.endSample >= RENEWAL_PAUSE_SAMPLES;
    if (isQuiet && this.#state.kind === 'running' && this.#state.task.isBetweenSentences) return;
    const { settledSample } = this.#seam;
    this.#cutSamples = [...this.#cutSamples.filter((sample) => sample > settledSample), this.#endSample];
    if (this.#state.kind === 'running' && this.#cutBehind(this.#state.baseSample) !== undefined) {
      this.#state.task.whole();
    }
  }

  finish(): Promise<void> {
    if (this.#whole || this.#state.kind === 'over') return this.#closed;
    this.#whole = true;
    const owedMs = (this.#endSample - this.#seam.settledSample) / SAMPLES_PER_MS;
    this.#deadline = setTimeout(
      () => {
        this.#end(
          this.#loss?.error ??
            new CallscribeError('ASR_TIMEOUT', 'the last words were not recognised in time', {
              retryable: true,
            }),
        );
      },
      Math.min(TIMER_MAX_MS, this.#services.policy.afterCallMs + owedMs),
    );
    switch (this.#state.kind) {
      case 'running':
        this.#state.task.whole();
        break;
      case 'waiting':
        if (this.#state.for === 'operator') {
          this.#end(this.#loss?.error);
          break;
        }
        this.#state.cancel();
        this.#start();
        break;
    }
    return this.#closed;
  }

  abort(reason: Error): void {
    if (this.#state.kind === 'running') this.#state.task.drop(reason);
    this.#end(reason, 'always');
  }

  [Symbol.asyncIterator](): AsyncIterator<AsrEvent, undefined> {
    return this.#events[Symbol.asyncIterator]();
  }

  get malformedMessages(): number {
    return this.#malformed + (this.#state.kind === 'running' ? this.#state.task.malformedMessages : 0);
  }

  #start(): void {
    const baseSample = this.#nextBase();
    if (this.#whole && !this.#isOwed()) {
      this.#end(undefined);
      return;
    }
    const { startTask, policy, clock } = this.#services;
    if (this.#loss !== undefined) this.#loss.attempts += 1;
    this.#seam.begin(baseSample);
    const task: FedTask = new FedTask({
      startTask,
      session: this.#options,
      source: this.#source,
      baseSample,
      endSample: () => this.#cutBehind(baseSample) ?? this.#endSample,
      isWhole: () => this.#whole || this.#cutBehind(baseSample) !== undefined,
      policy,
      clock,
      onStarted: () => {
        this.#onStarted(task, baseSample);
      },
      onSentence: (event) => {
        this.#onSentence(event);
      },
      onEnd: (error) => {
        this.#onEnd(task, error);
      },
    });
    this.#state = { kind: 'running', task, baseSample };
  }

  #cutBehind(baseSample: number): number | undefined {
    return this.#cutSamples.find((sample) => sample > baseSample);
  }

  /** Where the next task begins to hear. */
  #nextBase(): number {
    const { beginSample } = this.#source;
    if (beginSample > this.#seam.settledSample) this.#giveUpTo(beginSample, 'ASR_AUDIO_GONE');
    const fromSample = this.#seam.settledSample;
    const loudSample = this.#loud.firstFrom(fromSample);
    const neededSample =
      loudSample === undefined ? this.#endSample - 2 * ONSET_SAMPLES : loudSample - ONSET_SAMPLES;
    return Math.max(fromSample, neededSample);
  }

  /** Whether something may have been said that is not recognised. */
  #isOwed(): boolean {
    return (
      this.#endSample > this.#seam.settledSample &&
      this.#loud.firstFrom(this.#seam.settledSample) !== undefined
    );
  }

  #onStarted(task: FedTask, baseSample: number): void {
    const { health, clock, logger, onOutcome } = this.#services;
    health.works(this.#scope);
    const { taskId } = task;
    this.#events.push({ kind: 'started', taskId });
    const loss = this.#loss;
    if (loss === undefined) return;
    const detail = {
      taskId,
      attempt: loss.attempts,
      code: loss.code,
      gapMs: Math.round(clock.monotonicMs() - loss.sinceMs),
      replayedMs: Math.round(Math.max(0, loss.sentSample - baseSample) / SAMPLES_PER_MS),
    };
    logger.info(detail, 'recognition reconnected');
    onOutcome?.('reconnected');
    this.#events.push({ kind: 'reconnected', ...detail });
  }

  #onSentence(event: SentenceEvent): void {
    this.#loss = undefined;
    const onLeg = this.#seam.accept(event);
    if (onLeg === undefined) return;
    if (onLeg.kind === 'final') this.#refusals = 0;
    this.#events.push(onLeg);
    if (this.#events.length > WAITING_EVENTS_MAX) {
      const text = `more than ${WAITING_EVENTS_MAX} results wait for their reader`;
      this.abort(new CallscribeError('ASR_BACKLOG_FULL', text));
    }
  }

  #onEnd(task: FedTask, error: Error | undefined): void {
    if (this.#state.kind !== 'running' || this.#state.task !== task) return;
    this.#malformed += task.malformedMessages;
    if (error === undefined) {
      this.#seam.settle(task.sentSample);
      this.#loss = undefined;
      if (this.#whole && !this.#isOwed()) this.#end(undefined);
      else this.#start();
      return;
    }
    this.#lost(task, error);
  }

  #lost(task: FedTask, error: Error): void {
    const { logger, onOutcome, clock, policy } = this.#services;
    const code = codeOf(error);
    const proven = task.hasStarted && (task.hasHeard || task.ageMs >= PROVEN_AFTER_MS);
    if (this.#loss === undefined || proven) {
      logger.warn({ err: error, taskId: task.taskId, code }, 'recognition task lost');
      const sinceMs = clock.monotonicMs();
      this.#loss = { sinceMs, sentSample: task.sentSample, code, error, attempts: 0, postponed: false };
    }
    const loss = this.#loss;
    loss.error = error;
    loss.code = code;
    onOutcome?.(code === 'ASR_STALLED' ? 'stalled' : 'lost');
    const verdict = judge(error, task.hasStarted);
    switch (verdict.kind) {
      case 'account':
      case 'request':
        this.#stop(verdict.kind === 'account' ? ACCOUNT : this.#scope, error);
        return;
      case 'audio':
        this.#refusals += 1;
        if (this.#refusals >= REFUSALS_MAX) {
          this.#refusals = 0;
          this.#giveUpTo(task.sentSample, code);
        }
        this.#retryAfter(this.#delayMs(loss, 'soon'));
        return;
      case 'passing':
        if (!loss.postponed && clock.monotonicMs() - loss.sinceMs >= policy.postponeAfterMs) {
          loss.postponed = true;
          onOutcome?.('postponed');
          this.#events.push({ kind: 'postponed', fromMs: Math.round(this.#seam.settledMs), code });
        }
        this.#retryAfter(this.#delayMs(loss, verdict.pace));
        return;
      default:
        verdict satisfies never;
    }
  }

  #delayMs(loss: Loss, pace: 'soon' | 'slow'): number {
    const { policy, random } = this.#services;
    if (loss.postponed && !this.#whole) {
      return Math.round((policy.postponedRetryMs * (1 + random())) / 2);
    }
    return retryDelayMs(policy.retry, pace, loss.attempts + 1, random());
  }

  #retryAfter(delayMs: number): void {
    const timer = setTimeout(() => {
      this.#start();
    }, delayMs);
    this.#state = {
      kind: 'waiting',
      for: 'time',
      cancel: () => {
        clearTimeout(timer);
      },
    };
  }

  /** No retry of ours mends it. A leg that goes on waits for the operator; one that has ended leaves its audio. */
  #stop(scope: FaultScope, error: Error): void {
    const { health, onOutcome } = this.#services;
    onOutcome?.('refused');
    health.failed(scope, error);
    if (this.#whole) {
      this.#end(error);
      return;
    }
    const cancel = health.wait(scope, () => {
      this.#start();
    });
    this.#state = { kind: 'waiting', for: 'operator', cancel };
  }

  #renewIfDue(): void {
    if (this.#state.kind !== 'running') return;
    const { task } = this.#state;
    const { renewAfterMs } = this.#services.policy;
    const { ageMs } = task;
    if (ageMs < renewAfterMs) return;
    const isQuiet = this.#endSample - this.#loud.endSample >= RENEWAL_PAUSE_SAMPLES;
    if (task.isBetweenSentences && isQuiet) {
      this.#services.onOutcome?.('renewed');
      task.finishEarly();
    } else if (ageMs >= renewAfterMs * RENEWAL_PATIENCE && task.hasStarted) {
      this.#services.onOutcome?.('renewed');
      this.#malformed += task.malformedMessages;
      task.drop(new CallscribeError('ASR_ABORTED', 'the task is replaced before it is too old'));
      this.#start();
    }
  }

  #giveUpTo(toSample: number, code: string): void {
    const fromSample = this.#seam.settledSample;
    const loudSample = this.#loud.firstFrom(fromSample);
    if (loudSample !== undefined && loudSample < toSample) {
      this.#events.push({ kind: 'unrecognised', fromSample, toSample, code });
    }
    this.#seam.settle(toSample);
  }

  /** @param error told only where something is owed, or `always` */
  #end(error: Error | undefined, when: 'if-owed' | 'always' = 'if-owed'): void {
    if (this.#state.kind === 'over') return;
    if (this.#state.kind === 'waiting') this.#state.cancel();
    if (this.#state.kind === 'running') {
      this.#state.task.drop(error ?? new CallscribeError('ASR_ABORTED', 'the session is over'));
    }
    this.#state = { kind: 'over' };
    clearTimeout(this.#deadline);
    const owed = this.#isOwed();
    if (owed) this.#giveUpTo(this.#endSample, error === undefined ? 'ASR_ABORTED' : codeOf(error));
    this.#events.end(owed || when === 'always' ? error : undefined);
    this.#resolveClosed();
  }
}

/** Binds sessions to a recogniser that tasks reach. */
export function createResilientOpener(services: ResilientSessionServices): OpenAsrSession {
  return (options) => ResilientSession.open(services, options);
}

function codeOf(error: Error): string {
  return error instanceof CallscribeError ? error.code : 'ASR_PROTOCOL';
}

/** The longest that a timer takes. */
const TIMER_MAX_MS = 2_147_483_647;
