import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { ConnectionPool } from '../../src/dashscope/connection-pool.ts';
import { Recognition } from '../../src/dashscope/recognition.ts';
import { TokenProvider } from '../../src/dashscope/token-provider.ts';
import { FAULT_USAGE } from '../../src/sandbox/fault-text.ts';
import type { Sandbox } from '../../src/sandbox/server.ts';
import { FAULT_TABLE, type Moment, MOMENTS, type Run } from './fault-table.ts';
import {
  type Outcome,
  recognise,
  SPEECH,
  startFaultySandbox,
  TEXTS,
  watchResources,
} from './faulted-recognition.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await startFaultySandbox();
});
afterEach(async () => {
  await sandbox.close();
});

const nameOf = (usage: string): string => /^[a-z-]+/.exec(usage)![0];

type Row = readonly [moment: Moment, faults: string, manner: string, run: Run];
const ROWS: readonly Row[] = Object.values(FAULT_TABLE).flatMap((cells) =>
  MOMENTS.flatMap((moment) => {
    const cell = cells[moment];
    if (typeof cell === 'string') return [];
    return cell.map((run): Row => {
      const faults = run.beside === undefined ? run.fault : `${run.fault} beside ${run.beside}`;
      return [moment, faults, run.manner, run];
    });
  }),
);

/** The limit that it has to run into. */
function lateIn(moment: Moment, { ending }: Run): 'connecting' | 'starting' | 'finishing' | undefined {
  if (ending.kind !== 'error' || ending.error.kind !== 'timeout') return undefined;
  if (ending.opened) return 'finishing';
  return moment === 'connecting' ? moment : 'starting';
}

function order(run: Run, times?: number): void {
  for (const fault of [run.fault, run.beside]) {
    if (fault === undefined) continue;
    expect(sandbox.desk.order({ fault, times })).toMatchObject({ kind: 'ordered' });
  }
}

/** The key comes by REST where the fault is one of REST. */
function keyOf(run: Run): string | (() => Promise<string>) {
  if (!run.fault.startsWith('rest-')) return 'sk-1';
  return new TokenProvider({
    baseUrl: sandbox.httpUrl,
    apiKey: 'sk-1',
    timeoutMs: lateIn('connecting', run) === undefined ? 10_000 : 100,
    maxAttempts: 1,
  }).apiKey;
}

function expectEnding(outcome: Outcome, { ending }: Run): void {
  const { told, finals, error, warnings } = outcome;
  switch (ending.kind) {
    case 'error':
      expect(error).toMatchObject(ending.error);
      expect(told.filter((name) => name !== 'events')).toEqual([
        ...(ending.opened ? ['open'] : []),
        'error',
        'close',
      ]);
      return;
    case 'no-speech':
      expect({ told, finals, warnings }).toEqual({
        told: ['open', 'complete', 'close'],
        finals: [],
        warnings: ['no-speech'],
      });
      return;
    case 'everything': {
      expect(error).toBeUndefined();
      expect(told).toEqual(['open', 'events', 'complete', 'close']);
      const sorted = ending.finals === 'in any order';
      const expected = ending.finals === 'twice' ? TEXTS.flatMap((text) => [text, text]) : TEXTS;
      expect(sorted ? finals.toSorted() : finals).toEqual(sorted ? expected.toSorted() : expected);
    }
  }
}

/** The fault struck, and struck where the row says. */
function expectMoment(moment: Moment, run: Run, tasksBefore = 0): void {
  expect(sandbox.desk.list().map(({ struck }) => struck > 0)).not.toContain(false);
  if (run.ending.kind !== 'error') return;
  const { connections, tasksStarted } = sandbox.counters;
  if (moment === 'connecting') expect(connections).toBe(0);
  else expect(tasksStarted - tasksBefore > 0).toBe(run.ending.opened);
}

/** A sandbox that does not read does not notice that its peer has gone; connections of REST are kept for more requests. */
const outlivesItsClient = (fault: string): boolean => /^(stop-reading|stall-upgrade|rest-)/.test(fault);

describe('every fault at every moment', () => {
  it('is run, or is impossible by what it is', () => {
    expect(Object.keys(FAULT_TABLE)).toEqual(FAULT_USAGE.map(([usage]) => nameOf(usage)));
    for (const [name, cells] of Object.entries(FAULT_TABLE)) {
      expect(Object.keys(cells).toSorted()).toEqual(MOMENTS.toSorted());
      const runs = Object.values(cells).flatMap((cell) => (typeof cell === 'string' ? [] : cell));
      expect(runs).not.toEqual([]);
      expect(runs.filter(({ fault }) => nameOf(fault) !== name)).toEqual([]);
      for (const cell of Object.values(cells)) expect(cell.length).toBeGreaterThan(0);
    }
  });
});

describe('on a socket of its own', () => {
  it.each(ROWS)('%s: %s, said %s', async (moment, _faults, manner, run) => {
    const nothingLeft = await watchResources(sandbox);
    order(run);
    const outcome = await recognise(sandbox, run.manner, { hasty: lateIn(moment, run), apiKey: keyOf(run) });
    expect(manner).toBe(run.manner);
    expectEnding(outcome, run);
    expectMoment(moment, run);
    if (outlivesItsClient(run.fault)) await sandbox.close();
    await nothingLeft();
  });
});

describe('on a pool', () => {
  const poolOf = (run: Run): ConnectionPool =>
    new ConnectionPool({
      url: sandbox.url,
      apiKey: keyOf(run),
      closeTimeoutMs: 50,
      reusedAnswerMs: run.reused === 'replaced' && lateIn('starting', run) !== undefined ? 1_000 : 10_000,
      startRate: { perSecond: 1_000, burst: 1_000 },
    });

  it.each(ROWS.filter(([moment]) => moment === 'connecting'))(
    '%s: %s, said %s; the next task finds a connection',
    async (moment, _faults, _manner, run) => {
      const nothingLeft = await watchResources(sandbox);
      await using pool = poolOf(run);
      order(run);
      expectEnding(await recognise(sandbox, run.manner, { pool, hasty: lateIn(moment, run) }), run);
      sandbox.desk.cancelAll();
      expect((await recognise(sandbox, 'at once', { pool })).finals).toEqual(TEXTS);
      await pool.close();
      await sandbox.close();
      await nothingLeft();
    },
  );

  it.each(ROWS.filter(([moment]) => moment !== 'connecting'))(
    '%s: %s, said %s, on a reused socket; the next task has a good one',
    async (moment, _faults, _manner, run) => {
      const nothingLeft = await watchResources(sandbox);
      await using pool = poolOf(run);
      expect((await recognise(sandbox, 'at once', { pool })).finals).toEqual(TEXTS);
      order(run, run.reused === undefined ? undefined : 1);
      const outcome = await recognise(sandbox, run.manner, {
        pool,
        hasty: run.reused === undefined ? lateIn(moment, run) : undefined,
      });
      const good = run.ending.kind === 'everything';
      if (run.reused === 'replaced') {
        expectEnding(outcome, { ...run, ending: { kind: 'everything', finals: 'in order' } });
        expect(pool.counters).toMatchObject({ opened: 2, reused: 1, replaced: 1, idle: 1 });
      } else {
        expectEnding(outcome, run);
        expectMoment(moment, run, 1);
        expect(pool.counters).toMatchObject({ opened: 1, reused: 1, replaced: 0, idle: good ? 1 : 0 });
      }
      sandbox.desk.cancelAll();
      expect((await recognise(sandbox, 'at once', { pool })).finals).toEqual(TEXTS);
      expect(pool.counters).toMatchObject({ opened: good && run.reused === undefined ? 1 : 2, inUse: 0 });
      await pool.close();
      if (outlivesItsClient(run.fault)) await sandbox.close();
      await nothingLeft();
    },
  );

  it('a dead socket is replaced once; a fresh one that is dead too fails the task', async () => {
    await using pool = new ConnectionPool({ url: sandbox.url, apiKey: 'sk-1' });
    await recognise(sandbox, 'at once', { pool });
    sandbox.desk.order({ fault: 'drop:at=run-task' });
    const { told, error } = await recognise(sandbox, 'at once', { pool });
    expect(told).toEqual(['error', 'close']);
    expect(error).toMatchObject({ kind: 'close', closeCode: 1006, retryable: true });
    expect(pool.counters).toMatchObject({ opened: 2, replaced: 1, idle: 0 });
  });
});

it('double-finals: a file’s sentences come once all the same', async () => {
  const nothingLeft = await watchResources(sandbox);
  sandbox.desk.order({ fault: 'double-finals' });
  await using recognition = new Recognition({
    model: 'paraformer-realtime-8k-v2',
    format: 'pcm',
    sampleRate: 8_000,
    url: sandbox.url,
    apiKey: 'sk-1',
  });
  async function* bytes(): AsyncGenerator<Uint8Array> {
    yield* await Promise.resolve(SPEECH);
  }
  const result = await recognition.call(bytes(), { speed: 1_000 });
  expect(result.getSentence().map(({ text }) => text)).toEqual(TEXTS);
  await nothingLeft();
});
