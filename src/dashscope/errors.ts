import { CallscribeError, type ErrorCode } from '../errors.ts';
import { type FailureVerdict, judgeFailure, type RetryAdvice } from './failure-codes.ts';
import type { SentenceResult } from './server-messages.ts';

/** Longest text of the vendor that an error keeps, in characters. */
const VENDOR_TEXT_MAX = 300;

/**
 * Where a fault comes from:
 *
 * - `handshake`: the upgrade (or a REST request) was answered with an error status;
 * - `task`: the service sent task-failed;
 * - `close`: the socket ended before the task did;
 * - `network`: the service cannot be reached;
 * - `timeout`: it did not answer in time;
 * - `protocol`: it said what the protocol does not allow;
 * - `overload`: one of our own bounds was reached (audio, results or tasks that wait);
 * - `aborted`: ended by the caller;
 * - `usage`: asked for something that cannot be; nothing was sent.
 */
export type DashScopeErrorKind =
  'handshake' | 'task' | 'close' | 'network' | 'timeout' | 'protocol' | 'overload' | 'aborted' | 'usage';

/** What is known of a fault beside its code and kind. */
export interface DashScopeErrorFacts {
  readonly cause?: unknown;
  readonly retryable?: boolean | undefined;
  readonly requestId?: string | undefined;
  readonly httpStatus?: number | undefined;
  readonly dashscopeCode?: string | undefined;
  readonly dashscopeMessage?: string | undefined;
}

/**
 * Base of every fault of this library. `code` is ours and stable, `kind` says where the fault comes from, and
 * `retryable` whether the same attempt may succeed later with nothing changed. Nothing of the caller's speech, key or
 * address stands in `message`.
 */
export class DashScopeError extends CallscribeError {
  readonly kind: DashScopeErrorKind;
  /** The task's id, which is what the vendor's support asks for; of a refused request the one in its body. */
  requestId: string | undefined;
  readonly httpStatus: number | undefined;
  /** The vendor's name of the fault, such as `Throttling.RateQuota`. */
  readonly dashscopeCode: string | undefined;
  /** The vendor's words. They may quote the request, so they stay out of `message` and of logs. */
  readonly dashscopeMessage: string | undefined;
  /** RFC 6455 §7.4; only where `kind` is `close`. */
  readonly closeCode: number | undefined = undefined;
  /** What a recorded file had given before the fault; empty for a stream, whose results were told as they came. */
  sentences: readonly SentenceResult[] = [];

  constructor(kind: DashScopeErrorKind, code: ErrorCode, message: string, facts: DashScopeErrorFacts = {}) {
    super(code, message, {
      retryable: facts.retryable ?? false,
      ...(facts.cause === undefined ? {} : { cause: facts.cause }),
    });
    this.kind = kind;
    this.requestId = facts.requestId;
    this.httpStatus = facts.httpStatus;
    this.dashscopeCode = facts.dashscopeCode;
    this.dashscopeMessage = facts.dashscopeMessage?.slice(0, VENDOR_TEXT_MAX);
  }
}

/** The service ended the task (`task-failed`). `retryable` is false exactly where `retry` is `no`. */
export class DashScopeTaskFailed extends DashScopeError {
  declare readonly requestId: string;
  declare readonly dashscopeCode: string;
  declare readonly dashscopeMessage: string;
  readonly retry: RetryAdvice;
  readonly accountFault: boolean;
  /** The vendor found nothing to recognise. */
  readonly noSpeech: boolean;

  constructor(taskId: string, errorCode: string, errorMessage: string) {
    const verdict = judgeFailure(errorCode, errorMessage);
    super('task', 'ASR_TASK_FAILED', `task ${taskId} failed with ${verdict.code}`, {
      retryable: verdict.retry !== 'no',
      requestId: taskId,
      dashscopeCode: verdict.code,
      dashscopeMessage: errorMessage,
    });
    this.retry = verdict.retry;
    this.accountFault = verdict.accountFault;
    this.noSpeech = verdict.noSpeech;
  }

  /** The same as `requestId`. */
  get taskId(): string {
    return this.requestId;
  }
}

/** What the service's JSON says where it refuses an upgrade or a request. */
export interface RefusalBody {
  readonly code: string;
  readonly message: string;
  readonly requestId?: string | undefined;
}

/** The service answered the WebSocket upgrade with another status than 101. */
export class DashScopeHandshakeRefused extends DashScopeError {
  declare readonly httpStatus: number;
  readonly accountFault: boolean;

  /** @param body undefined where the answer had none that could be read */
  constructor(httpStatus: number, body: RefusalBody | undefined) {
    const verdict = body === undefined ? undefined : judgeFailure(body.code, body.message);
    const passing = httpStatus === 429 || httpStatus >= 500;
    super(
      'handshake',
      'ASR_HANDSHAKE_REFUSED',
      `the recogniser refused the connection with HTTP ${httpStatus}${verdict === undefined ? '' : ` (${verdict.code})`}${wayOut(httpStatus)}`,
      {
        retryable: passing && verdict?.accountFault !== true,
        httpStatus,
        dashscopeCode: verdict?.code,
        dashscopeMessage: body?.message,
        requestId: body?.requestId,
      },
    );
    this.accountFault = isAccountFault(httpStatus, verdict);
  }
}

function isAccountFault(httpStatus: number, verdict: FailureVerdict | undefined): boolean {
  return httpStatus === 401 || httpStatus === 403 || verdict?.accountFault === true;
}

function wayOut(httpStatus: number): string {
  if (httpStatus === 401) return '; check the API key and that it belongs to the address’s region';
  if (httpStatus === 403) return '; check that the key’s workspace may use the model';
  return '';
}

/** The socket ended, whoever ended it, before the task did. */
export class DashScopeConnectionLost extends DashScopeError {
  /** RFC 6455 §7.4; 1006 where there was no close frame. */
  override readonly closeCode: number;
  /** The peer's words; they stay out of `message` and of logs. */
  readonly closeReason: string;

  constructor(closeCode: number, closeReason = '', cause?: unknown) {
    // 1007: the service did not accept what it was sent ("Model not found" was seen); again would be the same.
    super('close', 'ASR_CONNECTION_LOST', `the connection to the recogniser ended with code ${closeCode}`, {
      retryable: closeCode !== 1007,
      cause,
    });
    this.closeCode = closeCode;
    this.closeReason = closeReason.slice(0, VENDOR_TEXT_MAX);
  }
}

/** One thing that is wrong with a call of the library. */
export interface UsageFault {
  /** The option's name as the caller writes it. */
  readonly parameter: string;
  readonly found: string;
  readonly allowed: string;
}

/** Asked for something that the library, or the model, does not take; nothing was sent. All faults at once. */
export class DashScopeUsageError extends DashScopeError {
  readonly faults: readonly UsageFault[];

  constructor(what: string, faults: readonly UsageFault[] = []) {
    const rows = faults.map((fault) => `${fault.parameter}: found ${fault.found}, allowed ${fault.allowed}`);
    super('usage', 'ASR_USAGE', [what, ...rows].join('; '));
    this.faults = faults;
  }
}

/** A time limit of ours passed. */
export class DashScopeTimeout extends DashScopeError {
  constructor(message: string, requestId?: string) {
    super('timeout', 'ASR_TIMEOUT', message, { retryable: true, requestId });
  }
}

/** Ended by the caller: its signal, its `abort`, or its reader leaving early. */
export class DashScopeAborted extends DashScopeError {
  constructor(message: string, cause?: unknown) {
    super('aborted', 'ASR_ABORTED', message, { cause });
  }
}
