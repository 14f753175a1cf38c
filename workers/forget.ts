/**
 * `npm run forget -- --help`: deletes a person's calls and looks whether anything is left. Exit codes: 0 nothing is
 * left, 1 something is, 2 wrong usage or configuration.
 */
import process from 'node:process';

import Table from 'cli-table3';

import { loadConfig } from '../src/config.ts';
import { readForgetCommandLine } from '../src/forget/command-line.ts';
import { type CallPlaces, forgetCall, type Left, lookAround, sumOfLeft } from '../src/forget/forget-call.ts';
import type { CallId } from '../src/ids.ts';
import { silentLogger } from '../src/log.ts';
import {
  findCall,
  findCallsByNumber,
  type FoundCall,
  rememberForgotten,
} from '../src/store/forgotten-calls.ts';
import type { Pool } from '../src/store/pool.ts';
import { openCallPlaces } from './call-places.ts';
import { CloseStack } from './close-stack.ts';
import { runRoot } from './main.ts';
import { databaseUrlOf, openBackend, openStore } from './stores.ts';

/** Whole tables are read to find a number. */
const STATEMENT_MAX_MS = 3_600_000;
/** What is on its way is dropped when a writer takes it. */
const WAIT_MAX_MS = 30_000;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

interface Places extends CallPlaces {
  readonly pool: Pool;
}

async function openPlaces(closers: CloseStack): Promise<Places> {
  const config = loadConfig(process.env);
  const databaseUrl = await databaseUrlOf(config, silentLogger, closers);
  const pool = await openStore(databaseUrl, silentLogger, closers, STATEMENT_MAX_MS);
  return { ...(await openCallPlaces(config, pool, openBackend(config, databaseUrl), closers)), pool };
}

/** A call that has no row yet may still be on its way. */
async function findCalls(
  pool: Pool,
  numbers: readonly string[],
  callIds: readonly CallId[],
): Promise<readonly FoundCall[]> {
  const found = new Map<CallId, FoundCall>();
  for (const id of callIds) {
    found.set(id, (await findCall(pool, id)) ?? { id, state: 'no row', startedAt: null });
  }
  for (const digits of numbers) {
    for (const call of await findCallsByNumber(pool, digits)) found.set(call.id, call);
  }
  return [...found.values()];
}

async function tell(places: Places, calls: readonly FoundCall[]): Promise<void> {
  const table = new Table({ head: ['call', 'began', 'state', 'rows', 'files'] });
  for (const call of calls) {
    const { rows, files } = await lookAround(places, call.id);
    table.push([call.id, call.startedAt?.toISOString() ?? '', call.state, rows, files]);
  }
  print(table.toString());
  print(`${calls.length} calls would be forgotten. Nothing was deleted.`);
}

/** @returns whether nothing is left */
async function forget(places: Places, calls: readonly FoundCall[]): Promise<boolean> {
  const active = calls.filter(({ state }) => state === 'active');
  for (const { id } of active) {
    print(`${id} still goes on: forget it when it has ended (hang up, or wait for the sweeper).`);
  }
  const ended = calls.filter(({ state }) => state !== 'active');
  await rememberForgotten(
    places.pool,
    ended.map(({ id }) => id),
  );
  const table = new Table({ head: ['call', 'began', 'rows deleted', 'files deleted', 'left'] });
  let isNothingLeft = active.length === 0;
  for (const { id, startedAt } of ended) {
    const { rows, files, left } = await forgetCall(places, id, WAIT_MAX_MS);
    isNothingLeft &&= sumOfLeft(left) === 0;
    table.push([id, startedAt?.toISOString() ?? '', rows, files, textOf(left)]);
  }
  if (ended.length > 0) print(table.toString());
  print(
    isNothingLeft
      ? `${ended.length} calls forgotten; nothing of them is left in rows, recordings, queues and the outbox of this machine.`
      : 'Something is left. What waits in a queue or an outbox is dropped when a writer takes it (npm start); then run this again.',
  );
  return isNothingLeft;
}

const textOf = (left: Left): string =>
  Object.entries(left)
    .filter(([, count]) => count > 0)
    .map(([place, count]) => `${count} in ${place}`)
    .join(', ') || 'nothing';

await runRoot(async () => {
  const order = readForgetCommandLine(process.argv.slice(2));
  if (order.kind === 'help') {
    print(order.text);
    return;
  }
  const closers = new CloseStack();
  try {
    const places = await openPlaces(closers);
    const calls = await findCalls(places.pool, order.numbers, order.callIds);
    if (order.isDryRun) await tell(places, calls);
    else if (!(await forget(places, calls))) process.exitCode = 1;
  } finally {
    await closers.close();
  }
});
