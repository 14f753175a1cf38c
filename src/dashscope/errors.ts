import { CallscribeError } from '../errors.ts';
import { type FailureVerdict, judgeFailure, type RetryAdvice } from './failure-codes.ts';

/** Longest text of the vendor that an error keeps, in characters. */
const VENDOR_TEXT_MAX = 300;

/** The service ended the task (`task-failed`). `retryable` is false exactly where `retry` is `no`. */
export class DashScopeTaskFailed extends CallscribeError {
  /** Also what the vendor's support asks for as "request id". */
  readonly taskId: string;
  /** Such as `Throttling.RateQuota`. */
  readonly dashscopeCode: string;
  /** The vendor's words. They may quote the request, so they stay out of `message` and of logs. */
  readonly dashscopeMessage: string;
  readonly retry: RetryAdvice;
  readonly accountFault: boolean;
  /** The vendor found nothing to recognise. */
  readonly noSpeech: boolean;

  constructor(taskId: string, errorCode: string, errorMessage: string) {
    const verdict = judgeFailure(errorCode, errorMessage);
    super('ASR_TASK_FAILED', `task ${taskId} failed with ${verdict.code}`, {
      retryable: verdict.retry !== 'no',
    });
    this.taskId = taskId;
    this.dashscopeCode = verdict.code;
    this.dashscopeMessage = errorMessage.slice(0, VENDOR_TEXT_MAX);
    this.retry = verdict.retry;
    this.accountFault = verdict.accountFault;
    this.noSpeech = verdict.noSpeech;
  }
}

/** The service answered the WebSocket upgrade with another status than 101. */
export class DashScopeHandshakeRefused extends CallscribeError {
  readonly httpStatus: number;
  /** `code` of the JSON body, where there was one. */
  readonly dashscopeCode: string | undefined;
  readonly accountFault: boolean;

  constructor(httpStatus: number, body: { readonly code: string; readonly message: string } | undefined) {
    const verdict = body === undefined ? undefined : judgeFailure(body.code, body.message);
    const passing = httpStatus === 429 || httpStatus >= 500;
    super(
      'ASR_HANDSHAKE_REFUSED',
      `the recogniser refused the connection with HTTP ${httpStatus}${verdict === undefined ? '' : ` (${verdict.code})`}${wayOut(httpStatus)}`,
      { retryable: passing && verdict?.accountFault !== true },
    );
    this.httpStatus = httpStatus;
    this.dashscopeCode = verdict?.code;
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
export class DashScopeConnectionLost extends CallscribeError {
  /** RFC 6455 §7.4; 1006 where there was no close frame. */
  readonly closeCode: number;
  /** The peer's words; they stay out of `message` and of logs. */
  readonly closeReason: string;

  constructor(closeCode: number, closeReason = '', cause?: unknown) {
    // 1007: the service did not accept what it was sent ("Model not found" was seen); again would be the same.
    super('ASR_CONNECTION_LOST', `the connection to the recogniser ended with code ${closeCode}`, {
      retryable: closeCode !== 1007,
      cause,
    });
    this.closeCode = closeCode;
    this.closeReason = closeReason.slice(0, VENDOR_TEXT_MAX);
  }
}
