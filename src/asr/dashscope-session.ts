import { connect, type ConnectionOptions } from '../dashscope/connection.ts';
import type { ConnectionPool } from '../dashscope/connection-pool.ts';
import type { RecognitionParameters } from '../dashscope/parameters.ts';
import type { SentenceResult } from '../dashscope/server-messages.ts';
import { RecognitionTask, TASK_LIMITS, type TaskLimits } from '../dashscope/task.ts';
import { CallscribeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { AsrEventQueue } from './event-queue.ts';
import type { AsrEvent, AsrSession, AsrSessionOptions, OpenAsrSession } from './session.ts';

export interface DashscopeOpenerOptions extends ConnectionOptions {
  /** Default: {@link TASK_LIMITS}. */
  readonly limits?: Partial<TaskLimits> | undefined;
  /**
   * Where tasks get their connections: in place of one of its own, each takes its turn at the account's rate, and a
   * socket that is free. Belongs to whoever made it, who closes it after the last session.
   */
  readonly pool?: ConnectionPool | undefined;
  readonly logger: Logger;
}

/** Binds sessions to DashScope, or to whatever speaks its protocol at `url`. */
export function createDashscopeOpener(options: DashscopeOpenerOptions): OpenAsrSession {
  return (session) => DashscopeSession.open(options, session);
}

/** Telephone speech between people: cut by voice activity, which is also what emotion needs; hold must not end it. */
const TELEPHONY: RecognitionParameters & { readonly format: 'pcm' } = {
  format: 'pcm',
  sampleRate: 8000,
  disfluencyRemovalEnabled: false,
  semanticPunctuationEnabled: false,
  maxSentenceSilence: 800,
  multiThresholdModeEnabled: true,
  punctuationPredictionEnabled: true,
  inverseTextNormalizationEnabled: true,
  heartbeat: true,
};

/** Finals that may wait for a reader; beyond it the session fails. At real-time pace about three quarters of an hour. */
const WAITING_EVENTS_MAX = 1_000;

/**
 * One leg's recognition over one task. A later session that reconnects holds several tasks behind the same queue:
 * what it has to add is the audio to replay and the offset of each task's times.
 */
class DashscopeSession implements AsrSession {
  readonly #logger: Logger;
  readonly #events = new AsrEventQueue(() => {
    this.abort(new CallscribeError('ASR_ABORTED', 'the session’s reader left before the end'));
  });
  #task: RecognitionTask | undefined;
  #lastFinalBeginMs: number | undefined;

  private constructor(logger: Logger) {
    this.#logger = logger;
  }

  static open(options: DashscopeOpenerOptions, { model, vocabularyId }: AsrSessionOptions): DashscopeSession {
    const session = new DashscopeSession(options.logger);
    session.#task = RecognitionTask.start({
      model,
      parameters: { ...TELEPHONY, vocabularyId },
      limits: { ...TASK_LIMITS, ...options.limits },
      connect: options.pool?.connect ?? ((listener) => connect(options, listener)),
      listener: {
        onStarted: () => {
          session.#onStarted();
        },
        onResult: (result) => {
          session.#onResult(result);
        },
        onEnd: (error) => {
          session.#onEnd(error);
        },
      },
    });
    return session;
  }

  push(pcm: Buffer): void {
    this.#task?.push(pcm);
  }

  async finish(): Promise<void> {
    await this.#task?.finish();
  }

  abort(reason: Error): void {
    void this.#task?.abort(reason);
  }

  [Symbol.asyncIterator](): AsyncIterator<AsrEvent, undefined> {
    return this.#events[Symbol.asyncIterator]();
  }

  get malformedMessages(): number {
    return this.#task?.counters.ignored.malformed ?? 0;
  }

  get #taskId(): string {
    return this.#task?.taskId ?? '';
  }

  #onStarted(): void {
    this.#logger.debug({ taskId: this.#taskId }, 'recognition task started');
    this.#events.push({ kind: 'started', taskId: this.#taskId });
  }

  #onResult(result: SentenceResult): void {
    const event = toAsrEvent(this.#taskId, result);
    // No two sentences begin at the same time: this one was given before, and is complete.
    if (event === undefined || event.beginMs === this.#lastFinalBeginMs) return;
    if (event.kind === 'final') this.#lastFinalBeginMs = event.beginMs;
    this.#events.push(event);
    if (this.#events.length > WAITING_EVENTS_MAX) {
      const text = `more than ${WAITING_EVENTS_MAX} results wait for their reader`;
      this.abort(new CallscribeError('ASR_BACKLOG_FULL', text));
    }
  }

  #onEnd(error: Error | undefined): void {
    const facts = { taskId: this.#taskId, ...this.#task?.counters };
    if (error === undefined) this.#logger.debug(facts, 'recognition task finished');
    else this.#logger.warn({ ...facts, err: error }, 'recognition task failed');
    this.#events.end(error);
  }
}

type SentenceEvent = Exclude<AsrEvent, { kind: 'started' }>;

/** @returns undefined for a result without text, which says only that a sentence may have begun */
function toAsrEvent(taskId: string, result: SentenceResult): SentenceEvent | undefined {
  const { beginMs, text, words, emotion } = result;
  if (text === '') return undefined;
  if (!result.final) return { kind: 'partial', taskId, beginMs, text };
  return { kind: 'final', taskId, beginMs, endMs: result.endMs ?? beginMs, text, words, emotion };
}
