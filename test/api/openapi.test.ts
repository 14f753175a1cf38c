import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Validator } from '@seriousme/openapi-schema-validator';
import openapiTS, { astToString } from 'openapi-typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestApi, TEST_TOKEN, type TestApi } from '../support/api.ts';
import { storeCompleteCall } from '../support/api-calls.ts';
import { loadDocument, operationsOf } from '../support/openapi.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

/** What a CRM's programmer writes: nothing of ours but the generated types. */
const CLIENT = `
import createClient from 'openapi-fetch';

import type { paths } from './callscribe.ts';

const [baseUrl = '', token = ''] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { authorization: \`Bearer \${token}\` } });
const { data: page } = await client.GET('/v1/calls', { params: { query: { state: 'complete', limit: 5 } } });
const [call] = page!.calls;
const id: string = call!.id;
const { data: whole } = await client.GET('/v1/calls/{id}', { params: { path: { id } } });
const { data: transcript } = await client.GET('/v1/calls/{id}/transcript', { params: { path: { id }, query: {} } });
const sentences = typeof transcript === 'string' ? [] : transcript!.sentences;
const spoken: readonly string[] = sentences.map(({ speaker, text }) => \`\${speaker}: \${text}\`);
const { error } = await client.GET('/v1/calls/{id}', {
  params: { path: { id: '00000000-0000-4000-8000-000000000000' } },
});
const talkMs: number | undefined = whole!.figures?.agent_talk_ms;
const { data: taken } = await client.POST('/v1/transcriptions', {
  body: { file: new File([new Uint8Array(1_600)], 'silence.pcm') },
  bodySerializer: (parts) => {
    const form = new FormData();
    for (const [name, part] of Object.entries(parts)) form.append(name, part as Blob);
    return form;
  },
});
const fileState: 'waiting' | 'running' | 'complete' | 'failed' = taken!.state;
const pauses: number = typeof transcript === 'string' ? 0 : transcript!.pauses.length;
console.log(JSON.stringify({ fileState, pauses, id, talkMs, spoken, code: error?.code }));
`;

describe('/openapi.json', () => {
  it('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate({ ...(await loadDocument(api)) });
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(await (await api.fetch('/openapi.json')).json()).toMatchObject({ openapi: '3.1.0' });
  });

  it('names no schema that nothing refers to', async () => {
    const text = JSON.stringify(await loadDocument(api));
    const names = Object.keys((await loadDocument(api)).components.schemas);
    expect(names).toContain('Problem');
    expect(names.filter((name) => !text.includes(`"#/components/schemas/${name}"`))).toEqual([]);
  });

  it('describes every answer, and what each route refuses', async () => {
    for (const { operationId, statuses } of operationsOf(await loadDocument(api))) {
      expect([operationId, statuses]).toEqual([
        operationId,
        expect.arrayContaining(['400', '401', '403', '429', '503']),
      ]);
    }
  });

  it('gives a client that compiles and works as it is', async () => {
    const call = await storeCompleteCall(api.pool);
    const folder = await mkdtemp(join(tmpdir(), 'callscribe-client-'));
    try {
      await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
      await writeFile(join(folder, 'package.json'), '{"type":"module"}');
      const types = astToString(await openapiTS(new URL('/openapi.json', api.url)));
      await writeFile(join(folder, 'callscribe.ts'), types);
      await writeFile(join(folder, 'client.ts'), CLIENT);
      const options = [
        '--noEmit',
        '--strict',
        '--skipLibCheck',
        '--target',
        'es2022',
        '--module',
        'nodenext',
      ];
      const more = ['--allowImportingTsExtensions', '--types', 'node', 'client.ts'];
      await run(join(ROOT, 'node_modules/.bin/tsc'), [...options, ...more], { cwd: folder }).catch(
        (error: unknown) => {
          throw new Error((error as { stdout: string }).stdout);
        },
      );
      const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsx'), ['client.ts', api.url, TEST_TOKEN], {
        cwd: folder,
      });
      expect(JSON.parse(stdout)).toMatchObject({
        id: call.id,
        talkMs: 3_000,
        code: 'NOT_FOUND',
        fileState: 'waiting',
        pauses: 0,
        spoken: [
          'Agent Anna: agent says 1',
          'Customer Anna: customer says 1',
          expect.any(String),
          expect.any(String),
        ],
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);

  it('has a page that shows it, which loads nothing from elsewhere', async () => {
    const page = await (await api.fetch('/docs')).text();
    expect(page).toContain('swagger-ui');
    expect(page).not.toMatch(/(?:src|href)="https?:/);
  });
});
