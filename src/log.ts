import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';

import { CallscribeError } from './errors.ts';

export type Logger = PinoLogger;

/**
 * Fields that may hold speech, numbers, addresses of people, SDP or secrets. They are removed wherever they
 * stand at the first three levels; messages themselves are constant strings (house rule 18).
 */
const PERSONAL_FIELDS = [
  'text',
  'words',
  'transcript',
  'digits',
  'number',
  'uri',
  'from',
  'to',
  'name',
  'headers',
  'sdp',
  'body',
  'raw',
  'payload',
  'apiKey',
  'authorization',
  'secret',
  'password',
];

const redactPaths = PERSONAL_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/** Name, code and stack only: messages of foreign errors and causes may quote the payload that upset them. */
function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const own = error instanceof CallscribeError;
  return {
    type: error.name,
    code: 'code' in error ? error.code : undefined,
    message: own ? error.message : undefined,
    at: error.stack
      ?.split('\n')
      .slice(1, 5)
      .map((line) => line.trim()),
    cause: error.cause === undefined ? undefined : serializeError(error.cause),
  };
}

export interface LogOptions {
  readonly level: string;
  /** `json` for programs, `pretty` for a person at a terminal. */
  readonly format: 'json' | 'pretty';
  /** Where the lines go. Default: standard error, so that standard output stays for results. */
  readonly destination?: DestinationStream;
}

export function createLogger(options: LogOptions): Logger {
  const base = {
    level: options.level,
    base: null,
    redact: { paths: redactPaths, remove: true },
    serializers: { err: serializeError },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (options.destination !== undefined) return pino(base, options.destination);
  if (options.format === 'json') return pino(base, pino.destination(2));
  return pino({
    ...base,
    transport: {
      target: 'pino-pretty',
      options: { destination: 2, translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' },
    },
  });
}

/** A logger that says nothing, for tests and command-line tools whose output is for people. */
export const silentLogger: Logger = pino({ level: 'silent' });
