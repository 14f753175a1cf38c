import { STATUS_CODES } from 'node:http';

import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';

import { CallscribeError, type ErrorCode, systemCode } from '../errors.ts';

/** Of a fault that is not here the client learns nothing but that it is ours. */
const STATUS_OF: Readonly<Partial<Record<ErrorCode, number>>> = {
  REQUEST_INVALID: 400,
  CURSOR_INVALID: 400,
  QUERY_INVALID: 400,
  WEBHOOK_INVALID: 400,
  UNAUTHENTICATED: 401,
  LOOPBACK_ONLY: 403,
  SCOPE_MISSING: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CALL_NOT_RUNNING: 409,
  CALL_RUNNING: 409,
  AUDIO_NOT_KEPT: 409,
  WEBHOOK_NAME_TAKEN: 409,
  RECORDING_ABSENT: 404,
  BODY_TOO_LARGE: 413,
  MEDIA_TYPE_UNSUPPORTED: 415,
  RANGE_NOT_SATISFIABLE: 416,
  QUERY_TOO_COSTLY: 422,
  AUDIO_UNSUPPORTED: 422,
  TOO_MANY_REQUESTS: 429,
  TOO_MANY_STREAMS: 429,
  RECORDING_MALFORMED: 500,
  RECORDING_STORAGE: 500,
  CONTROL_FAILED: 502,
  CONTROL_BUSY: 503,
  TRANSCRIPTIONS_FULL: 503,
  STORAGE_UNUSABLE: 503,
  CONTROL_TIMEOUT: 504,
  NOT_READY: 503,
  DATABASE_UNREACHABLE: 503,
  QUEUE_UNREACHABLE: 503,
};

/** RFC 9457, "application/problem+json". */
export const problemSchema = z
  .object({
    type: z.string().describe('urn:callscribe:problem:CODE'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('What went wrong, for programs; texts may change'),
    detail: z.string(),
    request_id: z.string().describe('As in the header X-Request-Id; the log knows it'),
    errors: z
      .array(z.object({ where: z.string(), what: z.string() }))
      .optional()
      .describe('Each part of the request that is not as described'),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problemSchema>;

export interface ProblemAnswer {
  readonly status: number;
  readonly problem: Problem;
  /** Whether it is our fault, and for the log. */
  readonly isOurs: boolean;
}

/** What a client is told about whatever was thrown. */
export function problemOf(thrown: unknown, requestId: string): ProblemAnswer {
  const answer = (code: ErrorCode, detail: string, more: Pick<Problem, 'errors'> = {}): ProblemAnswer => {
    const status = STATUS_OF[code] ?? 500;
    const title = STATUS_CODES[status] ?? 'Error';
    const type = `urn:callscribe:problem:${code}`;
    const problem = { type, title, status, code, detail, request_id: requestId, ...more };
    return { status, problem, isOurs: status >= 500 };
  };
  if (thrown instanceof CallscribeError && STATUS_OF[thrown.code] !== undefined) {
    return answer(thrown.code, thrown.message);
  }
  if (thrown instanceof CallscribeError && thrown.retryable) {
    return answer('NOT_READY', 'something that this needs is away for the moment: ask again');
  }
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const errors = thrown.validation.map(({ instancePath, message = 'not as described' }) => ({
      where: `${thrown.validationContext ?? 'request'}${instancePath}`,
      what: message,
    }));
    return answer('REQUEST_INVALID', 'the request is not as /openapi.json describes it; see errors', {
      errors,
    });
  }
  return frameworkProblem(thrown, answer) ?? answer('INTERNAL', 'this is a fault of ours; the log has more');
}

/** Faults that Fastify and its plugins found before a route was asked. */
function frameworkProblem(
  thrown: unknown,
  answer: (code: ErrorCode, detail: string) => ProblemAnswer,
): ProblemAnswer | undefined {
  const code = systemCode(thrown) ?? '';
  if (/_BODY_TOO_LARGE$|_FILE_TOO_LARGE$|^FST_REQ_FILE/.test(code)) {
    return answer('BODY_TOO_LARGE', 'the body is larger than this route takes');
  }
  if (/_MEDIA_TYPE$|^FST_INVALID_MULTIPART/.test(code)) {
    return answer('MEDIA_TYPE_UNSUPPORTED', 'the content type is none that this route takes');
  }
  const status =
    typeof thrown === 'object' && thrown !== null && 'statusCode' in thrown ? thrown.statusCode : undefined;
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined;
  if (status === 404) return answer('NOT_FOUND', 'there is no such thing');
  if (status === 416) return answer('RANGE_NOT_SATISFIABLE', 'the file does not have these bytes');
  return answer(
    'REQUEST_INVALID',
    'the request cannot be read: its address, its length or its JSON is malformed',
  );
}
