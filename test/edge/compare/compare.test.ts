import { readFile, writeFile } from 'node:fs/promises';

import type Srf from 'drachtio-srf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { setSipTimers } from '../../../src/sipstack/sipjs.ts';
import { startSipServer, type TestSipServer } from '../../support/sip-server.ts';
import { connectApplication } from './application.ts';
import { SCENARIOS } from './scenarios.ts';
import { play } from './script.ts';

/**
 * The same scripted messages to the embedded edge and to a real drachtio-server, with the same application behind them.
 * `recorded.json` holds what drachtio-server answered; docs/edge.md lists where the edge answers otherwise, and why.
 *
 * Against a drachtio-server: `CALLSCRIBE_TEST_DRACHTIO=host:port:secret:sipPort`; with `CALLSCRIBE_COMPARE=record` besides,
 * its answers are written down anew.
 */
const RECORDED = new URL('./recorded.json', import.meta.url);
const DOCS = new URL('../../../docs/edge.md', import.meta.url);
/** Scripts at a time: more would make one another wait. */
const AT_ONCE = 40;

type Answers = Record<string, readonly string[]>;

/** The rows of the table of differences: `| id | drachtio-server | embedded edge | why |`. */
async function readDifferences(): Promise<Map<string, { theirs: string; ours: string; why: string }>> {
  const rows = new Map<string, { theirs: string; ours: string; why: string }>();
  for (const row of (await readFile(DOCS, 'utf8')).split('\n')) {
    const cells = row.split('|').map((cell) => cell.trim());
    const id = /^`([\w-]+)`$/.exec(cells[1] ?? '')?.[1];
    if (id !== undefined && cells.length === 6) {
      const plain = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');
      rows.set(id, { theirs: plain(cells[2]), ours: plain(cells[3]), why: cells[4] ?? '' });
    }
  }
  return rows;
}

const shown = (answer: readonly string[] | undefined): string => answer?.join('; ') || 'nothing';

/** As it stands in the table: from the first message on that is not the same. */
function differing(theirs: readonly string[], ours: readonly string[]): { theirs: string; ours: string } {
  let same = 0;
  while (same < Math.min(theirs.length, ours.length) && theirs[same] === ours[same]) same += 1;
  return { theirs: shown(theirs.slice(same)), ours: shown(ours.slice(same)) };
}

let server: TestSipServer;
let application: Srf;
const answers: Answers = {};
beforeAll(async () => {
  // The script's own patience is in milliseconds; with the values of the RFC the longest takes half a minute.
  setSipTimers({ t1Ms: 100, t2Ms: 800, t4Ms: 1_000 });
  server = await startSipServer();
  application = await connectApplication(server);
  const waiting = [...SCENARIOS].sort((a, b) => Number(b.lasts === 'long') - Number(a.lasts === 'long'));
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        answers[next.id] = await play(next, server.sip);
      }
    }),
  );
  if (process.env['CALLSCRIBE_COMPARE'] === 'record') {
    const sorted = Object.fromEntries(SCENARIOS.map(({ id }) => [id, answers[id]]));
    await writeFile(
      process.env['CALLSCRIBE_COMPARE_FILE'] ?? RECORDED,
      `${JSON.stringify(sorted, null, 2)}\n`,
    );
  }
}, 120_000);
afterAll(async () => {
  application.disconnect();
  await server[Symbol.asyncDispose]();
  setSipTimers();
});

it('every script has a name of its own', () => {
  expect(new Set(SCENARIOS.map(({ id }) => id)).size).toBe(SCENARIOS.length);
});

describe('answers like a drachtio-server, or as docs/edge.md says', () => {
  it.each(SCENARIOS.map(({ id }) => id))('%s', async (id) => {
    const recorded = (JSON.parse(await readFile(RECORDED, 'utf8')) as Answers)[id];
    const difference = server.kind === 'embedded' ? (await readDifferences()).get(id) : undefined;
    if (difference !== undefined) {
      const { theirs, ours, why } = difference;
      expect(differing(recorded ?? [], answers[id] ?? [])).toEqual({ theirs, ours });
      expect(ours).not.toBe(theirs);
      expect(why).not.toBe('');
    } else expect(shown(answers[id])).toBe(shown(recorded));
  });
});

it('the table names no script that is not there', async () => {
  const ids = new Set(SCENARIOS.map(({ id }) => id));
  expect([...(await readDifferences()).keys()].filter((id) => !ids.has(id))).toEqual([]);
});
