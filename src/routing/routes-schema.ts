import { z } from 'zod';

import { isAddressBlock } from '../address-blocks.ts';
import { ENDPOINT_NAME, ENDPOINT_NAME_RULE } from '../webhooks/endpoint-name.ts';
import { hotWordsSchema } from './hot-words-schema.ts';
import { pathBeside } from './path-beside.ts';
import { readPattern } from './pattern.ts';
import { isZone, readMinute, WEEKDAYS } from './time-window.ts';
import { voicemailSchema } from './voicemail-schema.ts';

const RULES_MAX = 1_000;
const LIST_MAX = 10_000;
/** A tenant has no more of them. */
const ENDPOINTS_MAX = 20;

const name = z.string().trim().min(1).max(128);

const pattern = z
  .string()
  .min(1)
  .max(512)
  .superRefine((source, context) => {
    try {
      readPattern(source);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'no pattern' });
    }
  })
  .describe('A text; * is any characters, ? is one, /…/ a regular expression of RE2. Case does not count');
const patterns = z.union([pattern, z.array(pattern).min(1).max(LIST_MAX)]);

const block = z
  .string()
  .refine(isAddressBlock, 'expected an address or a CIDR block')
  .describe('An address or a CIDR block');

const minute = z
  .string()
  .refine((text) => readMinute(text) !== undefined, 'expected a time of day, from 00:00 to 24:00')
  .describe('Such as 08:30');

const timeWindow = z
  .strictObject({
    days: z.array(z.enum(WEEKDAYS)).max(WEEKDAYS.length).default([]).describe('None: every day'),
    from: minute.default('00:00'),
    to: minute.default('24:00').describe('Before it; where it is not after `from`, that of the next day'),
    zone: z.string().refine(isZone, 'expected a name such as Asia/Shanghai').describe('IANA time zone'),
  })
  .refine(({ from, to }) => readMinute(from) !== readMinute(to), 'a window that ends as it begins is empty');

const when = z
  .strictObject({
    called: patterns.optional().describe('Number or user that was called'),
    calling: patterns.optional().describe('Number or user that calls'),
    request_uri: patterns.optional(),
    source: z.union([block, z.array(block).min(1).max(LIST_MAX)]).optional(),
    headers: z.record(name, patterns).optional().describe('Header name → text of one of its values'),
    metadata: z
      .record(name, patterns)
      .optional()
      .describe('SIPREC: name of extension data of the recording, group or session → its text'),
    participant: patterns.optional().describe('SIPREC: address, user or name of one who takes part'),
    call: z.enum(['siprec', 'plain']).optional(),
    time: z.union([timeWindow, z.array(timeWindow).min(1).max(64)]).optional(),
  })
  .refine(
    ({ call, metadata, participant }) =>
      call !== 'plain' || (metadata === undefined && participant === undefined),
    'can never match: plain calls have no metadata and no participants',
  );

const parameter = z.union([
  z.string().max(512),
  z.number(),
  z.boolean(),
  z.array(z.string().max(128)).max(64),
]);

const NAMES_EXPECTED = `expected none, or a list of 1 to ${ENDPOINTS_MAX} names of webhook endpoints`;
const endpointNames = z.union([
  z.literal('none', NAMES_EXPECTED),
  z
    .array(z.string().regex(ENDPOINT_NAME, `expected ${ENDPOINT_NAME_RULE}`), NAMES_EXPECTED)
    .min(1, NAMES_EXPECTED)
    .max(ENDPOINTS_MAX, NAMES_EXPECTED),
]);

const settings = z
  .strictObject({
    mode: z
      .enum(['live', 'voicemail', 'refuse'])
      .default('live')
      .describe('voicemail: a plain call is greeted, and leaves a message'),
    voicemail: voicemailSchema.optional().describe('For mode voicemail'),
    tenant: name.optional(),
    webhooks: endpointNames
      .optional()
      .describe('Webhook endpoints of the tenant that are told of the call, by their names. Default: all'),
    model: name.optional(),
    vocabulary_id: name.optional(),
    vocabulary: name.optional().describe('In place of vocabulary_id: a list of this file'),
    phrase_id: name.optional().describe('In place of vocabulary_id, for the v1 models'),
    parameters: z.record(name, parameter).default({}),
    roles: z.array(z.unknown()).max(256).optional().describe('As ROLE_RULES'),
    keep: z
      .strictObject({
        recording: z.enum(['keep', 'spool', 'memory']).optional(),
        words: z.boolean().default(true),
        digits: z.enum(['store', 'hide']).optional(),
      })
      .prefault({}),
    refuse_status: z
      .union([z.literal(403), z.literal(404), z.literal(480), z.literal(486), z.literal(603)])
      .default(403),
  })
  .refine(
    (set) => [set.vocabulary_id, set.vocabulary, set.phrase_id].filter((id) => id !== undefined).length < 2,
    'at most one of vocabulary, vocabulary_id and phrase_id',
  )
  .refine(({ mode, voicemail }) => voicemail === undefined || mode === 'voicemail', {
    error: 'is for mode voicemail alone',
    path: ['voicemail'],
  })
  .refine(({ mode, keep }) => mode !== 'voicemail' || (keep.recording ?? 'keep') === 'keep', {
    error: 'a message is its recording: expected keep, or nothing',
    path: ['keep', 'recording'],
  });

const rule = z
  .strictObject({ name, when: when.prefault({}), set: settings.prefault({}) })
  .refine(
    (given) =>
      given.set.mode !== 'voicemail' ||
      (given.when.call !== 'siprec' &&
        given.when.metadata === undefined &&
        given.when.participant === undefined),
    { error: 'can never match: messages are taken of plain calls', path: ['when'] },
  )
  .transform(({ when: given, ...rest }) => ({
    ...rest,
    when: rest.set.mode === 'voicemail' ? { ...given, call: 'plain' as const } : given,
  }));

const vocabulary = z
  .strictObject({
    model: name.optional().describe('That the list is for; default: ASR_MODEL'),
    words: hotWordsSchema.optional(),
    file: pathBeside.optional().describe('In place of words: a file of them, by its path from this one'),
  })
  .refine(
    ({ words, file }) => (words === undefined) !== (file === undefined),
    'expected words, or a file of them',
  );

/** What ROUTES_FILE holds. */
export const routesSchema = z.strictObject({
  tenants: z
    .record(name, z.strictObject({ calls_max: z.int().min(1).max(100_000).optional() }))
    .default({})
    .describe('Limits by tenant'),
  vocabulary_prefix: z
    .string()
    .regex(/^[a-z0-9]{1,9}$/, 'expected lower-case letters and digits, at least one and fewer than 10')
    .optional()
    .describe('All lists of the account whose id begins so are those of this file, and of no other'),
  vocabularies: z.record(name, vocabulary).default({}).describe('Hot words, by name'),
  rules: z.array(rule).max(RULES_MAX).describe('Asked in this order; the first that matches decides'),
});

export type RoutesFile = z.infer<typeof routesSchema>;
export type RuleOfFile = RoutesFile['rules'][number];

/** For editors: what the file may hold, as a JSON Schema. */
export const routesJsonSchema = (): object => z.toJSONSchema(routesSchema, { io: 'input' });
