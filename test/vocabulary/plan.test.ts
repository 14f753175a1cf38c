import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { HotWord } from '../../src/routing/hot-words-schema.ts';
import type { FileVocabulary } from '../../src/routing/vocabularies.ts';
import type { LockedVocabulary, VocabularyLock } from '../../src/routing/vocabulary-lock.ts';
import { holds, type OwnList, planOf, type PlanOptions, type Step } from '../../src/vocabulary/plan.ts';

const MODEL = 'paraformer-realtime-8k-v2';
const OTHER_MODEL = 'paraformer-realtime-v2';
const NOW = new Date('2026-03-02T09:00:00Z');

const word = (text: string, weight = 4): HotWord => ({ text, weight });
const A = [word('话费'), word('VoLTE', 3)];
const B = [word('携号转网')];

const listsOf = (
  lists: Readonly<Record<string, readonly HotWord[]>>,
  model = MODEL,
): Map<string, FileVocabulary> =>
  new Map(Object.entries(lists).map(([name, words]) => [name, { name, model, words }]));
const own = (id: string, words: readonly HotWord[], over: Partial<OwnList> = {}): OwnList => ({
  id,
  model: MODEL,
  words,
  createdAt: '2026-03-01 00:00:00',
  ...over,
});
const locked = (id: string, over: Partial<LockedVocabulary> = {}): LockedVocabulary => ({
  id,
  model: MODEL,
  digest: '',
  ...over,
});

const plan = (over: Partial<PlanOptions>): ReturnType<typeof planOf> =>
  planOf({
    lists: new Map(),
    lock: {},
    account: { own: [], others: 0 },
    namedIds: new Set(),
    now: NOW,
    unwanted: 'deleted',
    pause: 'heeded',
    ...over,
  });
const told = (steps: readonly Step[]): string[] =>
  steps.map((step) =>
    step.kind === 'delete'
      ? `delete ${step.id}`
      : `${step.kind} ${step.kind === 'create' ? '' : `${step.id} `}${step.list.names.join('+')}`,
  );

describe('what is to be done', () => {
  const cases: [string, Partial<PlanOptions>, string[]][] = [
    ['a list that is not there is made', { lists: listsOf({ a: A }) }, ['create a']],
    [
      'one that has the words in another order stays, also where nobody noted its id',
      { lists: listsOf({ a: A }), account: { own: [own('1', [...A].reverse())], others: 0 } },
      ['keep 1 a'],
    ],
    [
      'one with other words gets these',
      {
        lists: listsOf({ a: A }),
        lock: { a: locked('1') },
        account: { own: [own('1', B)], others: 0 },
      },
      ['update 1 a'],
    ],
    [
      'one with other words that no name belongs to is not given to another name',
      { lists: listsOf({ a: A }), account: { own: [own('1', B)], others: 0 } },
      ['create a', 'delete 1'],
    ],
    [
      'one for another model is replaced, since the service does not change the model',
      {
        lists: listsOf({ a: A }, OTHER_MODEL),
        lock: { a: locked('1') },
        account: { own: [own('1', A)], others: 0 },
      },
      ['create a', 'delete 1'],
    ],
    [
      'names with the same words share a list',
      { lists: listsOf({ a: A, b: [...A].reverse(), c: B }) },
      ['create a+b', 'create c'],
    ],
    [
      'of two that share one, the one that changes gets its own',
      {
        lists: listsOf({ a: A, b: B }),
        lock: { a: locked('1'), b: locked('1') },
        account: { own: [own('1', A)], others: 0 },
      },
      ['keep 1 a', 'create b'],
    ],
    [
      'of two lists with the same words the older one stays',
      {
        lists: listsOf({ a: A }),
        lock: { a: locked('1') },
        account: { own: [own('1', A), own('2', A, { createdAt: '2026-02-01 00:00:00' })], others: 0 },
      },
      ['keep 2 a', 'delete 1'],
    ],
    [
      'a list that somebody names by its id stays as it is',
      {
        lists: listsOf({ a: A }),
        lock: { a: locked('1') },
        account: { own: [own('1', B), own('2', A)], others: 0 },
        namedIds: new Set(['1', '2']),
      },
      ['create a'],
    ],
    [
      'what nobody wants may be left for a later run',
      { lists: listsOf({ a: A }), account: { own: [own('1', B)], others: 0 }, unwanted: 'kept' },
      ['create a'],
    ],
    [
      'where the account is full, what nobody wants makes room, first what no lock names',
      {
        lists: listsOf({ a: A }, OTHER_MODEL),
        lock: { a: locked('1') },
        account: { own: [own('1', A), own('2', B)], others: 8 },
      },
      ['delete 2', 'create a', 'delete 1'],
    ],
  ];
  it.each(cases)('%s', (_name, over, steps) => {
    const { steps: found, faults } = plan(over);
    expect(faults).toEqual([]);
    expect(told(found)).toEqual(steps);
  });
});

describe('what the service would refuse, or not do in time, is not begun', () => {
  it('more lists than an account has', () => {
    const over = { lists: listsOf({ a: A, b: B }), account: { own: [], others: 9 } };
    expect(plan(over).faults).toEqual([
      'the account would have 11 lists, allowed are 10: 9 of them are not of this file',
    ]);
    expect(plan({ ...over, account: { own: [], others: 8 } }).faults).toEqual([]);
  });

  it('more than it has only since nothing is to be deleted', () => {
    const over = { lists: listsOf({ a: A }), account: { own: [own('1', B)], others: 9 } };
    expect(plan({ ...over, unwanted: 'kept' }).faults).toHaveLength(1);
    expect(told(plan(over).steps)).toEqual(['delete 1', 'create a']);
  });

  it.each([
    ['2026-03-02T08:55:01.000Z', 1],
    ['2026-03-02T08:55:00.000Z', 0],
    ['2026-03-02T09:00:01.000Z', 0],
    [undefined, 0],
  ])('a change of a list that was changed at %s: %d faults', (updatedAt, count) => {
    const over = {
      lists: listsOf({ a: A }),
      lock: { a: locked('1', { updatedAt }) },
      account: { own: [own('1', B)], others: 0 },
    };
    const { faults } = plan(over);
    expect(faults).toHaveLength(count);
    if (count > 0) expect(faults[0]).toContain('after 2026-03-02T09:00:01.000Z, or with --now');
    expect(plan({ ...over, pause: 'ignored' }).faults).toEqual([]);
  });
});

it('words that the service shows with a language that nobody named are the same', () => {
  expect(holds([{ text: '话费', weight: 4, lang: 'zh' }], [word('话费')])).toBe(true);
  expect(holds([word('话费')], [{ text: '话费', weight: 4, lang: 'zh' }])).toBe(false);
  expect(holds([word('话费'), word('话')], [word('话费')])).toBe(false);
});

/** What the account holds after the steps. */
function carriedOut(
  steps: readonly Step[],
  before: readonly OwnList[],
): { lists: readonly OwnList[]; most: number; lock: VocabularyLock } {
  const lists = new Map(before.map((list) => [list.id, list]));
  const lock: Record<string, LockedVocabulary> = {};
  let most = lists.size;
  for (const [no, step] of steps.entries()) {
    if (step.kind === 'delete') {
      expect(lists.delete(step.id)).toBe(true);
      continue;
    }
    const id = step.kind === 'create' ? `new${no}` : step.id;
    const { model, words, names } = step.list;
    if (step.kind === 'update') expect(lists.get(id)?.model).toBe(model);
    if (step.kind !== 'keep') lists.set(id, own(id, words, { model }));
    for (const name of names) lock[name] = locked(id, { model });
    most = Math.max(most, lists.size);
  }
  return { lists: [...lists.values()], most, lock };
}

describe('whatever there was before', () => {
  const someWords = fc.uniqueArray(fc.constantFrom('一', '二', '三'), { minLength: 1, maxLength: 3 });
  const model = fc.constantFrom(MODEL, OTHER_MODEL);
  const world = fc.record({
    wanted: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.tuple(someWords, model)),
    own: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 9 }), someWords, model), {
      selector: ([id]) => id,
      maxLength: 6,
    }),
    lock: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'gone'), fc.integer({ min: 0, max: 9 })),
    named: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
    others: fc.integer({ min: 0, max: 10 }),
  });

  it('each name has its words afterwards, nobody else’s list was touched, and a second run has nothing to do', () => {
    fc.assert(
      fc.property(world, (given) => {
        const lists = new Map(
          Object.entries(given.wanted).map(([name, [texts, forModel]]) => [
            name,
            { name, model: forModel, words: texts.map((text) => word(text)) },
          ]),
        );
        const before = given.own.map(([id, texts, forModel]) =>
          own(
            String(id),
            texts.map((text) => word(text)),
            { model: forModel },
          ),
        );
        const namedIds = new Set(given.named.map(String));
        const lock = Object.fromEntries(
          Object.entries(given.lock).map(([name, id]) => [name, locked(String(id))]),
        );
        const over = { lists, lock, namedIds };
        const others = Math.min(given.others, 10 - before.length);
        const { steps, faults } = plan({ ...over, account: { own: before, others } });
        if (faults.length > 0) return;
        const touched = steps.filter((step) => step.kind === 'delete' || step.kind === 'update');
        expect(touched.some(({ id }) => namedIds.has(id))).toBe(false);
        const after = carriedOut(steps, before);
        const creates = steps.filter(({ kind }) => kind === 'create').length;
        if (creates > 0) expect(after.most + others).toBeLessThanOrEqual(10);
        for (const [name, { model: forModel, words }] of lists) {
          const found = after.lists.find(({ id }) => id === after.lock[name]?.id);
          expect(found?.model).toBe(forModel);
          expect(holds(found?.words ?? [], words)).toBe(true);
        }
        const again = plan({
          ...over,
          lock: after.lock,
          account: { own: after.lists, others },
        });
        expect(again.steps.filter(({ kind }) => kind !== 'keep')).toEqual([]);
      }),
      { seed: 7, numRuns: 2_000 },
    );
  });
});
