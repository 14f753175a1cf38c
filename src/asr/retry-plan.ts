import {
  DashScopeConnectionLost,
  DashScopeError,
  DashScopeHandshakeRefused,
  DashScopeTaskFailed,
} from '../dashscope/errors.ts';
import { CallscribeError } from '../errors.ts';

/**
 * What a lost task means for the leg:
 *
 * - `passing`: the same again may succeed; `pace` says how soon;
 * - `account`: every task of the process fails until someone acts (unpaid, invalid key, address that cannot be used);
 * - `request`: every task with this model and these hot words does;
 * - `audio`: it is the audio that was not taken, and what follows it may be.
 */
export type Verdict =
  | { readonly kind: 'passing'; readonly pace: 'soon' | 'slow' }
  | { readonly kind: 'account' | 'request' | 'audio' };

/** @param started whether the task had taken audio when it failed */
export function judge(error: Error, started: boolean): Verdict {
  if (error instanceof DashScopeTaskFailed || error instanceof DashScopeHandshakeRefused) {
    if (error.accountFault) return { kind: 'account' };
    if (error instanceof DashScopeTaskFailed && error.retry === 'new') {
      return { kind: 'passing', pace: 'soon' };
    }
    if (error.retryable) return { kind: 'passing', pace: 'slow' };
    return { kind: started ? 'audio' : 'request' };
  }
  const retryable = error instanceof CallscribeError && error.retryable;
  if (error instanceof DashScopeConnectionLost) {
    // 1007 says that what was sent was not accepted; a reused socket may have been the last straw.
    return retryable ? { kind: 'passing', pace: 'soon' } : { kind: started ? 'audio' : 'request' };
  }
  if (retryable) {
    const soon = error instanceof DashScopeError && error.kind === 'timeout';
    return { kind: 'passing', pace: soon ? 'soon' : 'slow' };
  }
  // An address or a key that cannot be used never comes as far as a task; a broken protocol is the service's day.
  const unusable = error instanceof DashScopeError && (error.kind === 'network' || error.kind === 'usage');
  return unusable ? { kind: 'account' } : { kind: 'passing', pace: 'slow' };
}

export interface RetryPace {
  /** Before the first attempt after a loss that says nothing against coming back at once. */
  readonly soonMs: number;
  /** Before the first attempt after a refusal for want of capacity, or where nobody answers. */
  readonly slowMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before attempt `attempt` (1, 2, 3 …): doubled each time up to a bound, and somewhere between half of
 * that and the whole, so that the legs of a process that lost their recogniser together do not come back together.
 *
 * @param random from 0 to 1
 */
export function retryDelayMs(
  pace: RetryPace,
  first: 'soon' | 'slow',
  attempt: number,
  random: number,
): number {
  const firstMs = first === 'soon' ? pace.soonMs : pace.slowMs;
  const wholeMs = Math.min(pace.maxMs, firstMs * 2 ** Math.min(attempt - 1, DOUBLINGS_MAX));
  return Math.round((wholeMs * (1 + random)) / 2);
}

const DOUBLINGS_MAX = 20;
