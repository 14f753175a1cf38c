import { DashScopeError, type RefusalBody } from './errors.ts';
import { judgeFailure, type RetryAdvice } from './failure-codes.ts';

/** The service answered a REST request with an error status. `retryable` is false exactly where `retry` is `no`. */
export class DashScopeRequestRefused extends DashScopeError {
  declare readonly httpStatus: number;
  readonly retry: RetryAdvice;
  readonly accountFault: boolean;

  /**
   * @param body undefined where the answer had none that could be read
   * @param finalCodes that a repetition does not help with here, whatever they mean elsewhere
   */
  constructor(httpStatus: number, body: RefusalBody | undefined, finalCodes: readonly string[] = []) {
    const verdict = body === undefined ? undefined : judgeFailure(body.code, body.message);
    const retry = finalCodes.includes(verdict?.code ?? '')
      ? 'no'
      : verdict === undefined || verdict.code === 'unknown'
        ? adviceOf(httpStatus)
        : verdict.retry;
    super(
      'handshake',
      'ASR_REQUEST_REFUSED',
      `the service refused the request with HTTP ${httpStatus}${verdict === undefined ? '' : ` (${verdict.code})`}`,
      {
        retryable: retry !== 'no',
        httpStatus,
        dashscopeCode: verdict?.code,
        dashscopeMessage: body?.message,
        requestId: body?.requestId,
      },
    );
    this.retry = retry;
    this.accountFault = verdict?.accountFault ?? (httpStatus === 401 || httpStatus === 403);
  }
}

/** Where the body says nothing: 429 and 5xx pass. */
function adviceOf(httpStatus: number): RetryAdvice {
  return httpStatus === 429 || httpStatus >= 500 ? 'backoff' : 'no';
}
