import { z } from 'zod';

import { type CallId, toCallId } from '../ids.ts';
import { problemSchema } from './problem.ts';

// Pieces that several routes describe themselves with.

/** Text of a client that may go into a statement: Postgres takes no NUL. */
export const textOf = (maxCharacters: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(maxCharacters)
    .regex(/^[^\0]*$/, 'must not hold the character NUL');

/** RFC 3339 with an offset. */
export const timeParameter = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

/** A time in an answer: RFC 3339, UTC. */
export const time = z.iso.datetime();

export const timeOrNull = time.nullable();

/** @returns RFC 3339, or null as the table has it */
export const isoOrNull = (at: Date | null): string | null => at?.toISOString() ?? null;

/** `{id}` of a call; upper case is taken, too. */
export const callParams = z.object({
  id: z.uuid().transform((text): CallId => toCallId(text.toLowerCase())),
});

export const CALL_STATES = ['active', 'finishing', 'complete', 'failed'] as const;
export const LEG_ROLES = ['agent', 'customer', 'mixed', 'unknown'] as const;

/** How many rows a page has. */
export const pageLimit = z.coerce.number().int().min(1).max(200).default(50);

const problem = (
  description: string,
): { description: string; content: Record<string, { schema: z.ZodType }> } => ({
  description,
  content: { 'application/problem+json': { schema: problemSchema } },
});

/** Answers that every route may give beside its own. */
export const PROBLEMS = {
  400: problem('The request is not as described'),
  401: problem('No credential, or none that is valid'),
  403: problem('The credential does not have the scope'),
  429: problem('More requests than the credential may send, or more live streams than it may have open'),
  500: problem('A fault of ours, noted in the log'),
  503: problem('Something that this needs is away; ask again'),
} as const;

/** For routes that take JSON. */
export const BODY_PROBLEMS = {
  413: problem('The body is larger than this route takes'),
  415: problem('The body is no JSON'),
} as const;

/** For routes whose answer has an ETag. */
export const NOT_MODIFIED = { 304: z.null().describe('It is as If-None-Match has it') } as const;

/** For routes about one thing. */
export const NOT_FOUND = {
  404: problem('There is no such thing, or the credential may not know of it'),
} as const;

/** Of more codes that a route may answer with. */
export const problemResponse = problem;

/** The names of a value's fields as the API has them: `talkMs` is `talk_ms`, at every depth. */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}

const wave = { 'audio/wav': { schema: z.any().meta({ type: 'string', format: 'binary' }) } };

/** For routes that answer with a WAV file, whole or in a range. */
export const WAVE_FILE = {
  200: { description: 'The whole file', content: wave },
  206: { description: 'The range that was asked for', content: wave },
  ...NOT_MODIFIED,
  416: problem('The file does not have these bytes'),
  500: problem('The file is damaged, or cannot be read'),
} as const;
