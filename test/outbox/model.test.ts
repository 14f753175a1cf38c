import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { silentLogger as logger } from '../../src/log.ts';
import { OutboxLog } from '../../src/outbox/log.ts';
import { readSegment } from '../../src/outbox/segment.ts';
import { OutboxFeed } from '../../src/queue/feed.ts';
import { Outage } from '../../src/queue/outage.ts';
import { decodeFact, encodeFact } from '../../src/queue/parcel.ts';
import { MemoryQueue } from '../support/memory-queue.ts';

let root: string;
let opened = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'callscribe-model-'));
});

afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

/** What anybody outside may rely on. */
interface Promised {
  /** Facts that were accepted, in order. */
  accepted: string[];
  /** Facts that must become rows: their acceptance was confirmed as written, or the process that took them lives. */
  due: Set<string>;
  confirmed: Set<string>;
}

/** The outbox with its feed, on real files, and a queue whose fate the commands decide. */
class System {
  readonly queue = new MemoryQueue();
  directory = '';
  log!: OutboxLog;
  feed!: OutboxFeed;
  #nowMs = 0;

  async open(directory: string): Promise<void> {
    this.directory = directory;
    // Small, so that every run has many files.
    const log = await OutboxLog.open({
      directory,
      logger,
      maxBytes: 1_000_000,
      segmentMaxBytes: 300,
      commitPauseMs: 1,
      memoryMaxBytes: 1_000_000,
      onReadable: () => {
        if (this.log === log) this.feed.wake();
      },
    });
    this.log = log;
    this.feed = new OutboxFeed({
      log,
      name: 'sentences',
      runId: `run${(opened += 1)}`,
      queues: { sentences: this.queue, calls: this.queue },
      flows: { add: () => Promise.resolve(), close: () => Promise.resolve() },
      outage: new Outage(logger, { service: 'test' }, () => 0),
      logger,
      // Jobs that are not among the last ones are asked for at once.
      nowMs: () => (this.#nowMs += 10_000),
      onPublished: () => undefined,
      onVanished: () => undefined,
      onRefused: (fact) => {
        throw new Error(`refused ${fact.id}`);
      },
      pollMs: 0,
      retry: { minMs: 1, maxMs: 1 },
    });
  }

  async crash(cutShare: number, promised: Promised): Promise<void> {
    await this.feed.stop();
    const copy = join(root, `crash-${(opened += 1)}`);
    await mkdir(copy);
    const names = (await readdir(this.directory)).sort();
    for (const name of names) {
      // Some may be gone since: all in them is acknowledged.
      await copyFile(join(this.directory, name), join(copy, name)).catch(() => undefined);
    }
    const told = new Set([...promised.confirmed, ...this.queue.takenFacts]);
    const kept = await factsIn(copy);
    const onlyTold = [...told].filter((id) => !kept.has(id) && !this.queue.rows.has(id));
    expect(onlyTold).toEqual([]);
    const last = (await readdir(copy)).sort().at(-1);
    if (last !== undefined) await cutTail(join(copy, last), told, cutShare);
    promised.due = new Set([...promised.accepted.filter((id) => told.has(id))]);
    await this.log.close();
    await this.open(copy);
  }

  async close(): Promise<void> {
    await this.feed.stop();
    await this.log.close();
  }
}

async function factsIn(directory: string): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const name of await readdir(directory)) {
    for (const { text } of (await readSegment(join(directory, name))).entries) {
      ids.add(decodeFact(text)?.id ?? '');
    }
  }
  return ids;
}

/** What a power cut leaves: everything that anybody was told of, and any number of bytes after it. */
async function cutTail(path: string, told: ReadonlySet<string>, share: number): Promise<void> {
  const bytes = await readFile(path);
  let keep = 0;
  for (let from = 0, end = bytes.indexOf('\n'); end >= 0; from = end + 1, end = bytes.indexOf('\n', from)) {
    const fact = decodeFact(bytes.toString('utf8', bytes.indexOf('{', from), end));
    if (fact !== undefined && told.has(fact.id)) keep = end + 1;
  }
  await truncate(path, keep + Math.floor(share * (bytes.length - keep)));
}

type Command = fc.AsyncCommand<Promised, System>;
const command = (
  name: string,
  run: (promised: Promised, system: System) => Promise<void> | void,
): Command => ({
  check: () => true,
  run: async (promised, system) => {
    await run(promised, system);
  },
  toString: () => name,
});

let factNo = 0;
const append = (count: number): Command =>
  command(`append ${count}`, (promised, system) => {
    for (let index = 0; index < count; index += 1) {
      const id = `fact.${(factNo += 1)}`;
      expect(system.log.append(encodeFact({ name: 'sentence', id, data: 'x'.repeat(count) }))).toBe('taken');
      promised.accepted.push(id);
      promised.due.add(id);
    }
  });
const sync = (): Command =>
  command('sync', async (promised, system) => {
    const before = [...promised.due];
    expect(await system.log.written()).toBe('written');
    for (const id of before) promised.confirmed.add(id);
  });
/** Lets the machinery go on for some turns of the event loop, whatever it is in the middle of. */
const breathe = (pauseMs: number): Command => command(`breathe ${pauseMs}`, () => sleep(pauseMs));
const work = (share: number): Command =>
  command(`work ${share}`, (_, system) => {
    const open = system.queue.openJobIds;
    if (!system.queue.isAway) {
      for (const id of open.slice(Math.floor(share * open.length))) system.queue.finish(id);
    }
  });
const crash = (cutShare: number): Command =>
  command(`crash ${cutShare}`, (promised, system) => system.crash(cutShare, promised));
const restart = (): Command =>
  command('restart', async (_, system) => {
    await system.close();
    await system.open(system.directory);
  });
const setQueue = (how: 'away' | 'mute' | 'fine'): Command =>
  command(how, (_, system) => {
    system.queue.isAway = how === 'away';
    system.queue.isMute = how === 'mute';
  });
const forget = (share: number): Command =>
  command(`forget ${share}`, (_, system) => {
    const ids = system.queue.jobIds;
    for (const id of ids.slice(Math.floor(share * ids.length))) system.queue.forget(id);
  });
const flush = (): Command =>
  command('flush', (_, system) => {
    system.queue.flushAll();
  });

const share = fc.double({ min: 0, max: 1, noNaN: true });
const commands = fc.commands(
  [
    fc.integer({ min: 1, max: 12 }).map(append),
    fc.integer({ min: 1, max: 12 }).map(append),
    fc.constant(null).map(sync),
    fc.integer({ min: 0, max: 5 }).map(breathe),
    fc.integer({ min: 0, max: 5 }).map(breathe),
    share.map(work),
    share.map(crash),
    fc.constant(null).map(restart),
    fc.constantFrom('away', 'mute', 'fine', 'fine').map(setQueue),
    share.map(forget),
    fc.constant(null).map(flush),
  ],
  { maxCommands: 60, size: 'max' },
);

it('brings every fact that anybody was told of to its row, in order, whatever happens in between', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (run) => {
      const system = new System();
      await system.open(join(root, `run-${(opened += 1)}`));
      const promised: Promised = { accepted: [], due: new Set(), confirmed: new Set() };
      try {
        await fc.asyncModelRun(() => ({ model: promised, real: system }), run);
        system.queue.isAway = false;
        system.queue.isMute = false;
        await system.log.written();
        while (system.feed.unsettledFacts > 0) {
          for (const id of system.queue.openJobIds) system.queue.finish(id);
          await new Promise((resolve) => setImmediate(resolve));
        }
        const { rows, takenFacts } = system.queue;
        expect([...promised.due].filter((id) => !rows.has(id))).toEqual([]);
        expect([...rows].filter((id) => !promised.accepted.includes(id))).toEqual([]);
        expect(takenFacts).toEqual(promised.accepted.filter((id) => takenFacts.includes(id)));
        await system.close();
        expect(await readdir(system.directory)).toEqual([]);
      } finally {
        await system.close();
      }
    }),
    { seed: 20_261_122, numRuns: 150 },
  );
}, 120_000);
