/**
 * `npm run dead-letters -- --help`: facts that could not become rows. Exit codes: 0 done, 1 some could not be
 * replayed, 2 wrong usage or configuration.
 */
import process from 'node:process';

import Table from 'cli-table3';
import { Command } from 'commander';

import { CallscribeError, toError } from '../src/errors.ts';
import { silentLogger } from '../src/log.ts';
import { type DeadLetterRow, dropDeadLetter, loadDeadLetters } from '../src/store/dead-letters.ts';
import type { Pool } from '../src/store/pool.ts';
import { parseCommand, withStore } from './command.ts';
import { runRoot } from './main.ts';
import { replayDeadLetter } from './replay-dead-letter.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** What was asked for. */
interface Order {
  readonly action: 'list' | 'show' | 'replay' | 'drop';
  readonly ids: 'all' | readonly string[];
}

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  await withStore((pool) => carryOut(order, pool));
});

function readOrder(args: readonly string[]): Order | undefined {
  let order: Order | undefined;
  const command = new Command('dead-letters')
    .description('Facts that could not become rows: unreadable, or refused by the database for their content')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const add = (action: Order['action'], what: string, syntax: string): void => {
    command
      .command(`${action}${syntax}`)
      .description(what)
      .action((ids: readonly string[] | undefined) => {
        order = { action, ids: action === 'list' || ids?.join() === 'all' ? 'all' : (ids ?? []) };
      });
  };
  add('list', 'all of them, without what they hold', '');
  add('show', 'what they hold, one JSON object a line; it may be speech', ' <ids...>');
  add('replay', 'write their rows now; those that cannot be written stay', ' <ids...>');
  add('drop', 'delete them; what they hold is lost', ' <ids...>');
  if (parseCommand(command, args) === 'help') return undefined;
  if (order !== undefined && order.ids !== 'all' && !order.ids.every((id) => /^\d{1,18}$/.test(id))) {
    throw new CallscribeError('USAGE', 'expected the numbers that `list` shows, or `all`');
  }
  return order;
}

async function carryOut({ action, ids }: Order, pool: Pool): Promise<void> {
  const table = new Table({ head: ['id', 'fact', 'call', 'code', 'reason', 'attempts', 'last'] });
  let count = 0;
  let failed = 0;
  let afterId = '0';
  for (;;) {
    const letters = await loadDeadLetters(pool, ids, { afterId });
    for (const letter of letters) {
      count += 1;
      if (action === 'list') table.push(rowOf(letter));
      else if (action === 'show') print(JSON.stringify(letter));
      else if (action === 'drop') await dropDeadLetter(pool, letter.id);
      else if (!(await replayed(pool, letter))) failed += 1;
    }
    const last = letters.at(-1);
    if (last === undefined) break;
    afterId = last.id;
  }
  if (action === 'list' && count > 0) print(table.toString());
  if (action === 'list') print(`${count} dead letter${count === 1 ? '' : 's'}`);
  if (action === 'drop') print(`${count} dropped`);
  if (action === 'replay') print(`${count - failed} replayed, ${failed} cannot be written and stay`);
  if (failed > 0) process.exitCode = 1;
}

function rowOf({ id, name, callId, code, reason, attempts, lastAt }: DeadLetterRow): string[] {
  return [id, name, callId ?? '', code, reason, String(attempts), lastAt.toISOString()];
}

async function replayed(pool: Pool, letter: DeadLetterRow): Promise<boolean> {
  try {
    await replayDeadLetter({ pool, logger: silentLogger }, letter);
    return true;
  } catch (thrown) {
    const error = toError(thrown);
    if (error instanceof CallscribeError && error.code === 'DATABASE_UNREACHABLE') throw error;
    print(`${letter.id}: ${error.message}`);
    return false;
  }
}
