import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { storeCompleteCall, storeRecording } from '../support/api-calls.ts';
import { answerCommands } from '../support/control.ts';
import {
  type JsonSchema,
  loadDocument,
  type OpenApiDocument,
  type Operation,
  operationsOf,
} from '../support/openapi.ts';

/** `FUZZ_RUNS=2000 npx vitest run test/api/fuzz.test.ts` looks longer; `FUZZ_SEED` repeats. */
const RUNS = Number(process.env['FUZZ_RUNS'] ?? 40);
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_123);

let api: TestApi;
let document: OpenApiDocument;
let callId: string;

beforeAll(async () => {
  api = await startTestApi();
  await answerCommands(api.bus);
  document = await loadDocument(api);
  const call = await storeCompleteCall(api.pool);
  await storeRecording(api.recordingDir, call);
  callId = call.id;
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

const ODD_TEXTS = [
  '',
  '\0',
  '%',
  "'; drop table calls; --",
  '🙂',
  '\ud800',
  '一'.repeat(300),
  '../../etc/passwd',
  '-1',
  'null',
];
const oddText = fc.oneof(
  fc.constantFrom(...ODD_TEXTS),
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 40 }),
);
const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  fc.jsonValue(),
  fc.constantFrom(1e308, -0, 2 ** 53),
);

/** What the schema describes, three times in four; else anything. */
function valueOf(schema: JsonSchema, depth = 0): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 3, arbitrary: describedBy(schema, depth) }, { weight: 1, arbitrary: oddValue });
}

function describedBy(given: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  const schema = resolve(given);
  if (depth > 5) return fc.constant(null);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => describedBy(choice, depth + 1)));
  switch (Array.isArray(schema.type) ? (schema.type as readonly string[])[0] : schema.type) {
    case 'string':
      return textOf(schema);
    case 'integer':
      return fc.integer({
        min: schema.minimum ?? -(2 ** 31),
        max: Math.min(schema.maximum ?? 2 ** 31, 2 ** 53),
      });
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(valueOf(schema.items ?? {}, depth + 1), { maxLength: 5 });
    case 'object':
      return objectOf(schema, depth);
    default:
      return oddValue;
  }
}

function objectOf({ properties = {}, required = [] }: JsonSchema, depth: number): fc.Arbitrary<unknown> {
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, schema]) => [name, valueOf(schema, depth + 1)]),
  );
  // Now and then without what is required, and with what nobody knows.
  const kept = fc.boolean().chain((whole) => fc.record(fields, { requiredKeys: whole ? [...required] : [] }));
  return fc.tuple(kept, fc.boolean()).map(([value, more]) => (more ? { ...value, unknown_field: 1 } : value));
}

function textOf({ format, maxLength }: JsonSchema): fc.Arbitrary<string> {
  if (format === 'uuid') return fc.oneof(fc.uuid(), fc.constant(callId));
  if (format === 'date-time') {
    const any = fc.date({ noInvalidDate: true, min: new Date('0001-01-01'), max: new Date('9999-12-31') });
    return any.map((at) => at.toISOString());
  }
  return fc.oneof(oddText, fc.string({ minLength: 1, maxLength: Math.min(maxLength ?? 50, 200) }));
}

function resolve(schema: JsonSchema): JsonSchema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  return name === undefined ? schema : (document.components.schemas[name] ?? {});
}

/** Half of a surrogate pair has no place in an address. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

interface FuzzedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | FormData | undefined;
}

/** The head of a WAV file, as far as it goes; what comes behind is anything. */
const WAVE_HEAD = Buffer.from(
  'RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0\x80>\0\0\x02\0\x10\0data',
  'latin1',
);

const formBody = fc
  .array(
    fc.record({
      name: fc.oneof({ weight: 4, arbitrary: fc.constant('file') }, { weight: 1, arbitrary: oddText }),
      filename: fc.oneof(fc.constantFrom('a.wav', 'a.pcm', 'a'), oddText),
      headBytes: fc.constantFrom(0, 11, 40, WAVE_HEAD.length),
      bytes: fc.uint8Array({ maxLength: 2_000 }),
    }),
    { maxLength: 2 },
  )
  .map((parts) => {
    const form = new FormData();
    for (const { name, filename, headBytes, bytes } of parts) {
      form.append(name, new Blob([WAVE_HEAD.subarray(0, headBytes), bytes]), filename);
    }
    return form;
  });

function requestTo(operation: Operation): fc.Arbitrary<FuzzedRequest> {
  const named = operation.parameters.map(({ schema, in: place, name, required = false }) =>
    fc
      .option(valueOf(schema), { nil: undefined, freq: required ? 20 : 2 })
      .map((value) => ({ place, name, value })),
  );
  const body = operation.jsonBody === undefined ? fc.constant(undefined) : valueOf(operation.jsonBody);
  const form = operation.takesForm ? formBody : fc.constant(undefined);
  const range = fc.option(fc.constantFrom('bytes=0-9', 'bytes=9-1', 'bytes=-', 'bytes=99999999-', 'cows=1'), {
    nil: undefined,
  });
  return fc
    .tuple(fc.tuple(...named), body, range, fc.option(oddText, { nil: undefined }), form)
    .map(([all, json, ranges, tag, files]) => {
      let path = operation.path;
      const query = new URLSearchParams();
      const headers: Record<string, string> = {};
      for (const { place, name, value } of all) {
        const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
        if (place === 'path') {
          path = path.replace(`{${name}}`, () => encodeURIComponent(wellFormed(text)) || '%20');
        } else if (value !== undefined && place === 'query') query.append(name, wellFormed(text));
      }
      if (ranges !== undefined) headers['range'] = ranges;
      if (tag !== undefined) headers['if-none-match'] = encodeURIComponent(wellFormed(tag));
      if (json !== undefined) headers['content-type'] = 'application/json';
      return {
        path: `${path}?${query.toString()}`,
        headers,
        body: json === undefined ? files : JSON.stringify(json),
      };
    });
}

describe('requests made from our own OpenAPI document', () => {
  it('are never answered with a fault of ours, nor with a status that it does not name', async () => {
    const seen = new Map<string, number>();
    // What deletes comes last, so that the others have something to read.
    const isDelete = ({ method }: Operation): number => Number(method === 'DELETE');
    for (const operation of operationsOf(document).toSorted((a, b) => isDelete(a) - isDelete(b))) {
      await fc.assert(
        fc.asyncProperty(requestTo(operation), async ({ path, headers, body }) => {
          const ended = new AbortController();
          const response = await api.fetch(path, {
            method: operation.method,
            token: TEST_TOKEN,
            headers,
            signal: ended.signal,
            ...(body === undefined ? {} : { body }),
          });
          const type = response.headers.get('content-type') ?? '';
          if (type.startsWith('text/event-stream')) ended.abort();
          const text = ended.signal.aborted ? '' : await response.text();
          seen.set(`${operation.operationId} ${response.status}`, 1);
          // Files may come faster than they are recognised.
          if (!text.includes('"TRANSCRIPTIONS_FULL"')) expect(response.status).toBeLessThan(500);
          // An address of dots is that of another route.
          expect(['404', '405', ...operation.statuses]).toContain(String(response.status));
          if (response.status >= 400) expect(type).toContain('application/problem+json');
        }),
        { numRuns: RUNS, seed: SEED },
      );
    }
    // It reached the routes, and was not turned away at the door each time.
    expect([...seen.keys()]).toContain('listCalls 200');
    expect([...seen.keys()]).toContain('getTranscript 200');
    expect([...seen.keys()]).toContain('createTranscription 202');
    expect((await api.fetch('/healthz')).status).toBe(200);
  }, 120_000);
});
