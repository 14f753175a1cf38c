import type { DashScopeError } from './errors.ts';
import type { RecognitionResult } from './recognition-result.ts';

/**
 * What a recognition tells, in this order:
 *
 *     onOpen ─▶ onEvent … ─▶ onComplete or onError ─▶ onClose
 *
 * For each start, exactly one of `onComplete` and `onError`, then exactly one `onClose`, and nothing after it. A start
 * that fails before the service has answered has no `onOpen`. Every method of the recognition may be called from every
 * callback. A callback that throws, or whose promise rejects, changes nothing but a warning.
 */
export interface RecognitionCallback {
  /** The service has taken the task, and audio flows. */
  onOpen?(): void;
  onEvent?(result: RecognitionResult): void;
  /** All results were given. */
  onComplete?(): void;
  onError?(error: DashScopeError): void;
  /** The connection is closed, or given back to its pool. */
  onClose?(): void;
}

/** Something that does not end a recognition but should be known. */
export interface RecognitionWarning {
  /**
   * - `parameter`: sent, but the model ignores it, or the model is not known;
   * - `audio`: a file's header says something other than was claimed, which may be right;
   * - `no-speech`: the service found nothing to recognise in the whole task, which counts as an empty result;
   * - `callback`: a callback threw.
   */
  readonly kind: 'parameter' | 'audio' | 'no-speech' | 'callback';
  /** The parameter's or callback's name, or the vendor's code. */
  readonly subject: string;
  readonly message: string;
  readonly cause?: unknown;
}

/** Tells callbacks; what they throw goes no further than a warning. */
export class CallbackCaller {
  readonly #callback: RecognitionCallback;
  readonly #warn: (warning: RecognitionWarning) => void;

  constructor(callback: RecognitionCallback, warn: (warning: RecognitionWarning) => void) {
    this.#callback = callback;
    this.#warn = warn;
  }

  tell(name: 'onOpen' | 'onComplete' | 'onClose'): void;
  tell(name: 'onEvent', result: RecognitionResult): void;
  tell(name: 'onError', error: DashScopeError): void;
  tell(name: keyof RecognitionCallback, ...facts: unknown[]): void {
    const callback = this.#callback as Partial<Record<string, (...facts: unknown[]) => unknown>>;
    try {
      const answer = callback[name]?.(...facts);
      // An async function is a callback too; nobody waits for it, but its rejection must not end the process.
      if (answer instanceof Promise) {
        answer.catch((thrown: unknown) => {
          this.#threw(name, thrown);
        });
      }
    } catch (thrown) {
      this.#threw(name, thrown);
    }
  }

  #threw(name: string, cause: unknown): void {
    this.#warn({ kind: 'callback', subject: name, message: `the callback ${name} threw`, cause });
  }
}
