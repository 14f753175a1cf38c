/**
 * Every fault that Callscribe names. A code is a contract: operators alert on it, tests assert it, texts may
 * change. A new code is added here first, then used.
 */
export const ERROR_CODES = {
  // configuration and start
  CONFIG_INVALID: 'the environment holds values that are missing, malformed or out of range',
  ROUTES_INVALID: 'the file of routing rules cannot be read or taken',
  ADDRESS_IN_USE: 'another process listens on the address',
  DATABASE_UNREACHABLE: 'Postgres does not answer, refuses the login or is not the expected database',
  DATABASE_REJECTED: 'Postgres refused a statement for a reason that a retry will not change',
  DATABASE_EMBEDDED_FAILED: 'the embedded Postgres could not be set up or started',
  MIGRATION_FAILED: 'the schema could not be brought to the newest version',
  QUEUE_UNREACHABLE: 'the queue backend does not answer',
  OUTBOX_FULL: 'more facts wait on disk for their rows than the stated bound',
  STORAGE_UNUSABLE: 'a file below the data directory cannot be read or written',
  ROWS_PENDING: 'rows that a job waits for are not there yet',
  JOB_MALFORMED: 'a job does not have the shape that its name promises',
  USAGE: 'a command was called with options that do not make sense',

  // signalling
  SIP_EDGE_UNREACHABLE: 'the SIP edge (drachtio-server) does not answer or refuses the secret',
  SIP_EDGE_PROTOCOL: 'a client of the embedded SIP edge sent something that the wire protocol does not allow',
  SIP_TLS_CREDENTIALS: 'the certificate or the private key for SIP over TLS cannot be used',
  SIP_FLOW_CLOSED: 'the connection or socket that a SIP message should go out on is gone',
  SIP_MALFORMED: 'a SIP message, multipart body or session description cannot be read',
  SIP_NO_COMMON_CODEC: 'no audio line of the offer has a codec that we take',
  SIP_REFUSED: 'the peer answered a request with a final error',
  SIP_NO_ANSWER: 'the peer did not answer a request in time, or cannot be reached',
  METADATA_MALFORMED: 'the recording metadata cannot be read',

  // media
  RTP_MALFORMED: 'a datagram on a media port is not an RTP packet',
  RTP_PORTS_EXHAUSTED: 'no free port pair is left in the configured range',
  AUDIO_UNSUPPORTED: 'an audio file is not in a format that the command takes',
  RECORDING_MALFORMED: 'a recorded leg cannot be read: damaged, cut off, or of another version',
  RECORDING_KEY: 'a sealed recording cannot be opened: the key is missing or another one',
  RECORDING_ABSENT:
    'there is no recording of the call here: not kept, not written yet, deleted, or on another machine',
  RECORDING_STORAGE: 'a recording cannot be written or read back',
  CAPTION_INVALID: 'a caption cannot be carried by the audio that is meant to carry it',

  // recognition
  ASR_HANDSHAKE_REFUSED: 'the recogniser refused the connection',
  ASR_REQUEST_REFUSED: 'the service answered a REST request with an error',
  ASR_UNREACHABLE: 'the recogniser cannot be reached',
  ASR_TASK_FAILED: 'the recogniser ended the task with an error',
  ASR_CONNECTION_LOST: 'the connection to the recogniser ended before the task did',
  ASR_PROTOCOL: 'the recogniser sent something that the protocol does not allow',
  ASR_TIMEOUT: 'the recogniser did not answer in time',
  ASR_STALLED: 'speech went to the recogniser and nothing came back, or it took none',
  ASR_AUDIO_GONE: 'audio that was to be recognised again cannot be read any more',
  ASR_BACKLOG_FULL: 'more audio waits for the recogniser than the stated bound',
  ASR_ABORTED: 'the session was ended by us before it was finished',
  ASR_USAGE: 'the recogniser’s client was asked for something that it, or the model, does not take',
  ASR_QUEUE_FULL: 'more tasks wait for their turn to start than the stated bound, or one waited too long',
  VOCABULARIES_REFUSED: 'lists of hot words would break a limit of the account; nothing was done',
  VOCABULARIES_BUSY: 'another run makes the lists of hot words equal to those of the file',

  // webhooks
  WEBHOOK_INVALID: 'a webhook endpoint cannot be kept as it was given',
  WEBHOOK_NAME_TAKEN: 'another webhook endpoint of the tenant has the name',
  WEBHOOK_ADDRESS_REFUSED:
    'a webhook leads to an address that is neither public nor allowed, or there without TLS',
  WEBHOOK_HELD: 'a webhook endpoint failed and is left alone for a while',

  // live
  BUS_UNREACHABLE: 'the bus between processes (Redis, or Postgres in its place) cannot be subscribed to',

  // commands to running calls
  CALL_NOT_RUNNING: 'a command that only a running call can take was given to another',
  CALL_RUNNING: 'a command that only an ended call can take was given to one that goes on',
  AUDIO_NOT_KEPT: 'nothing is kept of the audio that is to be recognised',
  TRANSCRIPTIONS_FULL: 'more files wait to be recognised than the stated bound',
  CONTROL_TIMEOUT: 'no intake answered a command in time',
  CONTROL_FAILED: 'the intake of a call could not do what it was told',
  CONTROL_BUSY: 'more commands wait for an answer than the stated bound',

  // reading
  QUERY_INVALID: 'a search query asks for nothing that can be searched for',
  QUERY_TOO_COSTLY: 'a search finds more than can be looked through in the time that it has',

  // the API (src/api/problem.ts gives each its HTTP status)
  REQUEST_INVALID: 'a request does not have the shape that the API describes',
  CURSOR_INVALID: 'a cursor was not given by this API, or belongs to another list',
  UNAUTHENTICATED: 'a request without a credential that is known and still valid',
  LOOPBACK_ONLY:
    'no token is configured, so only clients on this machine are served, directly and by its own name',
  SCOPE_MISSING: 'the credential is valid, and does not allow this',
  NOT_FOUND: 'there is no such thing, or the credential may not know of it',
  METHOD_NOT_ALLOWED: 'the address is there, and does not take this method',
  BODY_TOO_LARGE: 'the body of a request is larger than the stated bound',
  MEDIA_TYPE_UNSUPPORTED: 'the body of a request is of a type that the route does not take',
  RANGE_NOT_SATISFIABLE: 'a byte range that the file does not have',
  TOO_MANY_STREAMS: 'the credential, or everybody together, has as many live streams open as may be',
  TOO_MANY_REQUESTS: 'the credential, or the address, asks more often than it may',
  NOT_READY: 'this process is starting or stopping',
  INTERNAL: 'a fault of ours, noted in the log under the id of the request',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Whether the same attempt may succeed later, with nothing changed by an operator. Default: false. */
  readonly retryable?: boolean;
}

/**
 * Base of every expected fault. The message states what was found and what was expected, and names the way
 * out; it never holds a transcript, a number, a header value or a secret.
 */
export class CallscribeError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Turns whatever was thrown into an `Error`, so that nobody has to guess what a `catch` holds. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown;
  return new Error(typeof thrown === 'string' ? thrown : `non-error thrown: ${typeof thrown}`, {
    cause: thrown,
  });
}

/** The `code` of a system or library error (`EADDRINUSE`, `23505`, …), where it has one. */
export function systemCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
