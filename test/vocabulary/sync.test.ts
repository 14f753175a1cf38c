import { afterEach, describe, expect, it } from 'vitest';

import { type Clock, systemClock } from '../../src/clock.ts';
import { type NewVocabulary, VocabularyService } from '../../src/dashscope/vocabulary-service.ts';
import { silentLogger } from '../../src/log.ts';
import type { HotWord } from '../../src/routing/hot-words-schema.ts';
import type { VocabularyLock } from '../../src/routing/vocabulary-lock.ts';
import { captionsRecogniser } from '../../src/sandbox/captions-recogniser.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/server.ts';
import { type SyncOptions, syncVocabularies } from '../../src/vocabulary/sync.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MODEL = 'paraformer-realtime-8k-v2';
const A: HotWord[] = [{ text: '话费', weight: 4, lang: 'zh' }];
const B: HotWord[] = [{ text: 'VoLTE', weight: 3 }];
const C: HotWord[] = [...A, ...B];

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

/** An account, and a file of rules with its lock. */
class World {
  readonly sandbox: Sandbox;
  readonly service: VocabularyService;
  lock: VocabularyLock = {};
  readonly saved: VocabularyLock[] = [];
  readonly steps: string[] = [];

  constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
    this.service = new VocabularyService({ baseUrl: sandbox.httpUrl, apiKey: 'sk-1', retryDelayMs: 1 });
  }

  async sync(
    lists: Readonly<Record<string, readonly HotWord[]>>,
    over: Partial<SyncOptions> = {},
  ): Promise<readonly string[]> {
    this.steps.length = 0;
    const { faults } = await syncVocabularies({
      service: this.service,
      prefix: 'acme',
      lists: new Map(Object.entries(lists).map(([name, words]) => [name, { name, model: MODEL, words }])),
      lock: this.lock,
      namedIds: new Set(),
      unwanted: 'deleted',
      pause: 'ignored',
      clock: systemClock,
      saveLock: (lock) => {
        this.lock = lock;
        this.saved.push(lock);
        return Promise.resolve();
      },
      onStep: ({ kind }) => this.steps.push(kind),
      signal: AbortSignal.timeout(30_000),
      ...over,
    });
    return faults;
  }

  make(prefix: string, vocabulary: readonly HotWord[]): Promise<string> {
    return this.service.create({ targetModel: MODEL, prefix, vocabulary });
  }

  /** Ids of the account, each with its words. */
  async account(): Promise<Record<string, readonly HotWord[]>> {
    const found: Record<string, readonly HotWord[]> = {};
    for await (const { vocabularyId } of this.service.listAll()) {
      found[vocabularyId] = (await this.service.query(vocabularyId)).vocabulary;
    }
    return found;
  }

  /** By the names of the lock. */
  async noted(): Promise<Record<string, readonly HotWord[] | undefined>> {
    const account = await this.account();
    return Object.fromEntries(Object.entries(this.lock).map(([name, { id }]) => [name, account[id]]));
  }
}

async function world(
  deployMs = 0,
  vocabularies: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
): Promise<World> {
  const sandbox = await startSandbox({
    host: '127.0.0.1',
    port: 0,
    recogniser: captionsRecogniser,
    logger: silentLogger,
    timers: { deployMs },
    vocabularies,
    clock,
  });
  running.push(sandbox);
  return new World(sandbox);
}

describe('lists of the file', () => {
  it('are made, changed and deleted at the service; a second run has nothing to do', async () => {
    const own = await world();
    expect(await own.sync({ day: A, night: B })).toEqual([]);
    expect(own.steps).toEqual(['create', 'create']);
    expect(await own.noted()).toEqual({ day: A, night: B });
    const first = own.lock;
    own.saved.length = 0;
    await own.sync({ day: A, night: B });
    expect(own.steps).toEqual(['keep', 'keep']);
    expect(own.saved).toEqual([]);
    await own.sync({ day: C, night: B });
    expect(own.steps).toEqual(['keep', 'update']);
    expect(await own.noted()).toEqual({ day: C, night: B });
    expect(own.lock['day']).toMatchObject({ id: first['day']?.id });
    expect(own.lock['day']?.updatedAt).toBeDefined();
    await own.sync({ night: B });
    expect(own.steps).toEqual(['keep', 'delete']);
    expect(Object.keys(await own.account())).toEqual([first['night']?.id]);
    expect(own.lock).toEqual({ night: first['night'] });
  });

  it('of other prefixes are never touched, however alike', async () => {
    const own = await world(0, { 'vocab-acme': MODEL, 'vocab-acme1-1': MODEL });
    const others = [await own.make('acm', A), await own.make('acmex', B), await own.make('other', C)];
    const before = await own.account();
    await own.sync({ day: A });
    await own.sync({});
    expect(await own.account()).toEqual(before);
    expect(Object.keys(before)).toHaveLength(others.length + 2);
    expect(own.lock).toEqual({});
  });

  it('beyond the account’s ten are refused before anything is sent', async () => {
    const own = await world();
    for (let no = 0; no < 9; no += 1) await own.make(`p${no}`, A);
    const mine = await own.make('acme', C);
    expect(await own.sync({ day: A, night: B })).toEqual([
      'the account would have 11 lists, allowed are 10: 9 of them are not of this file',
    ]);
    expect(own.steps).toEqual([]);
    expect(await own.account()).toMatchObject({ [mine]: C });
    // With one list there is room, once what nobody wants is gone.
    expect(await own.sync({ day: A })).toEqual([]);
    expect(own.steps).toEqual(['delete', 'create']);
    expect(await own.noted()).toEqual({ day: A });
  });

  it('changed a moment ago are not changed again', async () => {
    const own = await world();
    await own.sync({ day: A });
    await own.sync({ day: B }, { pause: 'heeded' });
    expect(await own.sync({ day: C, night: A }, { pause: 'heeded' })).toHaveLength(1);
    expect(await own.noted()).toEqual({ day: B });
  });

  it('are noted once they can be used', async () => {
    const own = await world(300);
    await own.sync({ day: A });
    const { status } = await own.service.query(own.lock['day']?.id ?? '');
    expect(status).toBe('OK');
  });

  it('that the service does not get ready are not noted, and found by the next run', async () => {
    const own = await world(700);
    await expect(own.sync({ day: A }, { deployWithinMs: 1 })).rejects.toMatchObject({ code: 'ASR_TIMEOUT' });
    expect(own.lock).toEqual({});
    await own.sync({ day: A });
    expect(own.steps).toEqual(['keep']);
    expect(await own.noted()).toEqual({ day: A });
    expect(Object.keys(await own.account())).toHaveLength(1);
  });
});

describe('a run that ends half-way', () => {
  it('has noted what it did; the next does the rest', async () => {
    const own = await world();
    const onStep = (): void => {
      own.sandbox.desk.order({ fault: 'rest-refuse:status=403,code=AccessDenied,on=create_vocabulary' });
    };
    await expect(own.sync({ day: A, night: B }, { onStep })).rejects.toMatchObject({
      dashscopeCode: 'AccessDenied',
    });
    expect(await own.noted()).toEqual({ day: A });
    own.sandbox.desk.cancelAll();
    await own.sync({ day: A, night: B });
    expect(own.steps).toEqual(['keep', 'create']);
    expect(await own.noted()).toEqual({ day: A, night: B });
  });

  it('and could note nothing leaves no list behind', async () => {
    const own = await world();
    const saveLock = (): Promise<void> => Promise.reject(new Error('no room on the disk'));
    await expect(own.sync({ day: A, night: B }, { saveLock })).rejects.toThrow('no room');
    await own.sync({ day: A, night: C });
    expect(own.steps).toEqual(['keep', 'create', 'delete']);
    expect(Object.keys(await own.account())).toHaveLength(2);
    expect(await own.noted()).toEqual({ day: A, night: C });
  });

  it('deletes no list before the lock is without it, and names those in its place', async () => {
    const own = await world();
    await own.sync({ day: A, night: B });
    const before = own.lock;
    const atDelete: VocabularyLock[] = [];
    class WatchedService extends VocabularyService {
      override delete(vocabularyId: string): Promise<void> {
        atDelete.push(own.lock);
        return super.delete(vocabularyId);
      }
    }
    const service = new WatchedService({ baseUrl: own.sandbox.httpUrl, apiKey: 'sk-1' });
    await own.sync({ night: B, late: C }, { service });
    expect(atDelete).toEqual([own.lock]);
    expect(Object.keys(own.lock).sort()).toEqual(['late', 'night']);
    expect(own.lock['night']).toEqual(before['night']);
  });
});

it('a list that another machine made a moment before is taken in place of the own one', async () => {
  const clock = new FakeClock();
  const own = await world(0, {}, clock);
  let older = '';
  class SlowerService extends VocabularyService {
    override async create(wanted: NewVocabulary): Promise<string> {
      older = await own.make('acme', A);
      clock.advance(1_000);
      return super.create(wanted);
    }
  }
  const service = new SlowerService({ baseUrl: own.sandbox.httpUrl, apiKey: 'sk-1' });
  await own.sync({ day: A }, { service });
  expect(Object.keys(await own.account())).toEqual([older]);
  expect(own.lock['day']?.id).toBe(older);
});

it('runs of two machines at the same time agree on one list', async () => {
  const own = await world();
  const other = new World(own.sandbox);
  await Promise.all([own.sync({ day: A }), other.sync({ day: A })]);
  await own.sync({ day: A });
  await other.sync({ day: A });
  expect(Object.keys(await own.account())).toHaveLength(1);
  expect(own.lock['day']?.id).toBe(other.lock['day']?.id);
});
