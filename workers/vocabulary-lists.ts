import { access, constants, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';

import Table from 'cli-table3';

import { systemClock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { KeyFile } from '../src/dashscope/key-file.ts';
import { VocabularyService } from '../src/dashscope/vocabulary-service.ts';
import { CallscribeError, systemCode } from '../src/errors.ts';
import { faultsText } from '../src/routing/explain-text.ts';
import type { Routes } from '../src/routing/route-rules.ts';
import { loadRoutes } from '../src/routing/routes-file.ts';
import {
  lockFileOf,
  readLock,
  staleLists,
  type VocabularyLock,
  writeLock,
} from '../src/routing/vocabulary-lock.ts';
import { stepText } from '../src/vocabulary/plan-text.ts';
import { isOwn, planSync, type SyncOptions, syncVocabularies } from '../src/vocabulary/sync.ts';
import { waitForLease } from '../src/vocabulary/turn.ts';
import { routesReader } from './routes.ts';

export interface SyncOrder extends Pick<SyncOptions, 'unwanted' | 'pause'> {
  readonly file: string;
  readonly does: 'everything' | 'nothing';
}

/** A run takes seconds, and longer where the service is slow to get a list ready. */
const TURN_WITHIN_MS = 300_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Whether the lists can be taken, and are those that were synced last. @throws {CallscribeError} ROUTES_INVALID */
export async function check(file: string, config: Config): Promise<void> {
  const { lists } = (await readRules(file, config)).hotWords;
  const stale = staleLists(lists, await loadLock(file));
  for (const { name, model, words } of lists.values()) {
    const state = stale.includes(name) ? 'not synced: npm run vocabulary -- sync' : 'as synced';
    print(`${name}: ${words.length} words for ${model}, ${state}`);
  }
  if (lists.size === 0) print(`${file} has no lists of hot words`);
  if (stale.length > 0) process.exitCode = 1;
}

/** All lists of the account. @throws {CallscribeError} */
export async function list(file: string, config: Config, signal: AbortSignal): Promise<void> {
  const { prefix } = (await readRules(file, config)).hotWords;
  const lock = Object.entries(await loadLock(file));
  const table = new Table({ head: ['id', 'is', 'status', 'changed'] });
  for await (const { vocabularyId: id, status, gmtModified } of openService(config).listAll({ signal })) {
    const own = lock.filter(([, locked]) => locked.id === id).map(([name]) => name);
    const isOurs = prefix !== undefined && isOwn(id, prefix);
    table.push([id, own.join(', ') || (isOurs ? 'ours, without a name' : 'not ours'), status, gmtModified]);
  }
  print(table.toString());
}

/** @throws {CallscribeError} */
export async function sync(order: SyncOrder, config: Config, signal: AbortSignal): Promise<void> {
  const { file } = order;
  const service = openService(config);
  await refuseUnlessWritable(lockFileOf(file));
  await using _ = await waitForLease(join(config.dataDir, 'vocabulary'), {
    withinMs: TURN_WITHIN_MS,
    signal,
  });
  // What a run before this one may have changed is read only now.
  const { hotWords, rules } = await readRules(file, config);
  const { prefix, lists } = hotWords;
  if (prefix === undefined) {
    throw new CallscribeError('USAGE', `${file}: expected vocabulary_prefix, by which its lists are known`);
  }
  const named = [config.asr.vocabularyId, ...rules.map(({ settings }) => settings.asr.vocabularyId)];
  const options: SyncOptions = {
    ...order,
    service,
    prefix,
    lists,
    lock: await loadLock(file),
    namedIds: new Set(named.filter((id) => id !== undefined)),
    clock: systemClock,
    saveLock: (lock) => saveLock(file, lock),
    onStep: (step) => {
      print(stepText(step));
    },
    signal,
  };
  const { steps, faults } =
    order.does === 'everything' ? await syncVocabularies(options) : (await planSync(options)).plan;
  if (order.does === 'nothing' || faults.length > 0) for (const step of steps) print(stepText(step));
  if (faults.length > 0) {
    throw new CallscribeError('VOCABULARIES_REFUSED', ['nothing was done:', ...faults].join('\n'));
  }
}

/** With ids where they are in its rules. @throws {CallscribeError} ROUTES_INVALID with every fault */
async function readRules(file: string, config: Config): Promise<Routes> {
  const { reading } = await loadRoutes(file, { ...routesReader(config.asr.model), vocabularyIds: 'ignored' });
  if (reading.kind === 'routes') return reading.routes;
  throw new CallscribeError('ROUTES_INVALID', faultsText(file, reading.faults));
}

/** One that cannot be read is written anew. */
async function loadLock(file: string): Promise<VocabularyLock> {
  return readLock(await readFile(lockFileOf(file), 'utf8').catch(() => '')) ?? {};
}

async function saveLock(file: string, lock: VocabularyLock): Promise<void> {
  const path = lockFileOf(file);
  try {
    await writeFile(`${path}.new`, writeLock(lock));
    await rename(`${path}.new`, path);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Before anything is sent: ids that cannot be noted are lost. */
async function refuseUnlessWritable(path: string): Promise<void> {
  await access(dirname(path), constants.W_OK).catch((cause: unknown) => {
    throw unwritable(path, cause);
  });
}

const unwritable = (path: string, cause: unknown): CallscribeError =>
  new CallscribeError(
    'STORAGE_UNUSABLE',
    `${path} cannot be written (${systemCode(cause) ?? 'unknown'}): it gets the ids of the lists; make its directory writable`,
    { cause },
  );

function openService({ dashscope }: Config): VocabularyService {
  const { httpUrl, apiKey, apiKeyFile, workspace } = dashscope;
  if (httpUrl === undefined) {
    throw new CallscribeError(
      'USAGE',
      'which service? Set DASHSCOPE_API_KEY, and DASHSCOPE_HTTP_URL where it is not the vendor’s; npm run sandbox prints its own',
    );
  }
  const key = apiKeyFile === undefined ? (apiKey ?? 'no-key-configured') : new KeyFile(apiKeyFile).apiKey;
  return new VocabularyService({ baseUrl: httpUrl, apiKey: key, workspace });
}
