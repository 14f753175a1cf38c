import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { silentLogger } from '../../src/log.ts';
import { readLock } from '../../src/routing/vocabulary-lock.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { endRoots, type RunningRoot, start } from '../support/root-process.ts';

const RULES = `
vocabulary_prefix: acme
vocabularies: { day: { words: [携号转网] }, night: { words: [话费] } }
rules: [{ name: a, set: { vocabulary: day } }]
`;

let directory: string;
let file: string;
let sandbox: Sandbox;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-vocabulary-'));
  file = join(directory, 'routes.yaml');
  await writeFile(file, RULES);
  sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    apiKeys: ['sk-1'],
  });
});

afterEach(async () => {
  await endRoots();
  await sandbox.close();
  await rm(directory, { recursive: true });
});

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningRoot =>
  start('vocabulary.ts', args, {
    ROUTES_FILE: file,
    DATA_DIR: directory,
    DASHSCOPE_HTTP_URL: sandbox.httpUrl,
    DASHSCOPE_API_KEY: 'sk-1',
    ...env,
  });

async function ended({ ended: code, output }: RunningRoot): Promise<readonly [number | null, string]> {
  return [await code, output.stdout + output.stderr];
}
const lock = async () => readLock(await readFile(`${file}.lock`, 'utf8').catch(() => '')) ?? {};

it('says what it would do, does it, and shows what there is', { timeout: 120_000 }, async () => {
  expect(await ended(run(['sync', '--dry-run']))).toEqual([
    0,
    '+  day: a new list of 1 words for paraformer-realtime-8k-v2\n' +
      '+  night: a new list of 1 words for paraformer-realtime-8k-v2\n',
  ]);
  expect([sandbox.live.vocabularies, await lock()]).toEqual([0, {}]);
  const [checked, checkText] = await ended(run(['check']));
  expect([checked, checkText]).toEqual([1, expect.stringContaining('day: 1 words for')]);
  // Two at once, of which one was killed in the middle.
  sandbox.desk.order({ fault: 'rest-stall:on=create_vocabulary', times: 1 });
  const killed = run(['sync']);
  await expect.poll(() => sandbox.live.vocabularies, { timeout: 30_000 }).toBe(1);
  killed.child.kill('SIGKILL');
  const both = await Promise.all([ended(run(['sync'])), ended(run(['sync']))]);
  expect(both.map(([code]) => code)).toEqual([0, 0]);
  expect(both.flatMap(([, text]) => text.split('\n')).sort()).toEqual(
    expect.arrayContaining([expect.stringMatching(/^\+ {2}night/), expect.stringMatching(/^= {2}night/)]),
  );
  expect(sandbox.live.vocabularies).toBe(2);
  expect(Object.keys(await lock())).toEqual(['day', 'night']);
  expect((await ended(run(['check'])))[0]).toBe(0);
  const [, listed] = await ended(run(['list']));
  expect(listed).toContain((await lock())['day']?.id);
  expect(listed).not.toMatch(/携|话/u);
});

it('says what is wrong, and nothing is sent', { timeout: 120_000 }, async () => {
  const [noService, whichService] = await ended(
    run(['sync'], { DASHSCOPE_HTTP_URL: '', DASHSCOPE_API_KEY: '' }),
  );
  expect([noService, whichService]).toEqual([2, expect.stringContaining('which service?')]);
  expect(await ended(run(['sync', '--file', join(directory, 'none.yaml')]))).toEqual([
    2,
    expect.stringContaining('ENOENT'),
  ]);
  expect((await ended(run(['sink'])))[0]).toBe(2);
  const [refused, why] = await ended(run(['sync'], { DASHSCOPE_API_KEY: 'sk-2' }));
  expect([refused, why]).toEqual([1, expect.stringMatching(/InvalidApiKey/)]);
  await writeFile(file, RULES.replace('携号转网', `{ text: 携号转网, weight: 9 }`));
  const [faulty, faults] = await ended(run(['sync']));
  expect([faulty, faults]).toEqual([2, expect.stringMatching(/routes\.yaml:3 .*day word 1: found 9/)]);
  expect(sandbox.live.vocabularies).toBe(0);
});
