/**
 * What to do after a failed task: `no` (the same request fails again), `backoff` (a new task after a growing,
 * jittered pause), `new` (a new task at once, keeping the audio).
 */
export type RetryAdvice = 'no' | 'backoff' | 'new';

/** What a `task-failed`, or the body of a refused handshake, means. */
export interface FailureVerdict {
  /** The vendor's name of the fault; `unknown` where it gave none. */
  readonly code: string;
  readonly retry: RetryAdvice;
  /** The account, not the call, is at fault (unpaid, not enabled): every further task fails until someone acts. */
  readonly accountFault: boolean;
  /** The task had no speech to recognise. An empty result, where the leg was silent. */
  readonly noSpeech: boolean;
}

type Row = readonly [code: string, retry: RetryAdvice, trait?: 'account' | 'no-speech'];

/** Model Studio, "Error codes" and the speech demo's FAQ; `retry` is our policy. */
const ROWS: readonly Row[] = [
  ['InvalidParameter', 'no'],
  ['CLIENT_ERROR', 'new'],
  ['UNSUPPORTED_FORMAT', 'no'],
  ['NO_VALID_AUDIO_ERROR', 'no', 'no-speech'],
  ['NO_INPUT_AUDIO_ERROR', 'no', 'no-speech'],
  ['EmptyAudio', 'no', 'no-speech'],
  ['ClientDisconnect', 'new'],
  ['Arrearage', 'no', 'account'],
  ['DataInspectionFailed', 'no'],
  ['BadRequest.ResourceNotExist', 'no'],
  ['NotFound', 'no'],
  ['InvalidApiKey', 'no', 'account'],
  ['AccessDenied', 'no', 'account'],
  ['AccessDenied.Unpurchased', 'no', 'account'],
  ['Model.AccessDenied', 'no', 'account'],
  ['Workspace.AccessDenied', 'no', 'account'],
  ['AllocationQuota.FreeTierOnly', 'no', 'account'],
  ['ModelNotFound', 'no'],
  ['WorkSpaceNotFound', 'no'],
  ['Throttling', 'backoff'],
  ['Throttling.RateQuota', 'backoff'],
  ['Throttling.BurstRate', 'backoff'],
  ['Throttling.Concurrency', 'backoff'],
  ['Throttling.AllocationQuota', 'backoff'],
  ['PrepaidBillOverdue', 'no', 'account'],
  ['PostpaidBillOverdue', 'no', 'account'],
  ['CommodityNotPurchased', 'no', 'account'],
  ['InternalError', 'backoff'],
  ['InternalError.Algo', 'backoff'],
  ['SystemError', 'backoff'],
  ['ModelServiceFailed', 'backoff'],
  ['RequestTimeOut', 'new'],
  ['ModelUnavailable', 'backoff'],
  ['ServiceUnavailable', 'backoff'],
];
const VERDICTS: ReadonlyMap<string, FailureVerdict> = new Map(
  ROWS.map(([code, retry, trait]) => [
    code,
    { code, retry, accountFault: trait === 'account', noSpeech: trait === 'no-speech' },
  ]),
);

/** The FAQ lists these without saying in which of the two fields they stand, so both are looked at. */
const IN_EITHER_FIELD = ['UNSUPPORTED_FORMAT', 'NO_VALID_AUDIO_ERROR', 'NO_INPUT_AUDIO_ERROR', 'EmptyAudio'];
/** "Failed to decode audio" comes with a code that the FAQ does not state. */
const DECODE_FAILED = 'Failed to decode audio';

export function judgeFailure(errorCode: string, errorMessage: string): FailureVerdict {
  const named = IN_EITHER_FIELD.find(
    (code) => errorCode === code || errorMessage.split(/[^A-Za-z_]+/).includes(code),
  );
  const code = named ?? (errorMessage.includes(DECODE_FAILED) ? 'UNSUPPORTED_FORMAT' : errorCode);
  const verdict = VERDICTS.get(code);
  if (verdict !== undefined) return verdict;
  const passing = code.startsWith('Throttling') || code.startsWith('InternalError');
  return {
    code: nameOfCode(code),
    retry: passing ? 'backoff' : 'no',
    accountFault: false,
    noSpeech: false,
  };
}

/** A code goes into messages and logs; one that does not look like a code does not. */
function nameOfCode(code: string): string {
  return /^[\w.-]{1,64}$/.test(code) ? code : 'unknown';
}
