/**
 * `npm run dead-letters -- --help`: facts that could not become rows, and e-mails that could not be sent. Exit codes:
 * 0 done, 1 some could not be replayed, 2 wrong usage or configuration.
 */
import process from 'node:process';

import Table from 'cli-table3';
import { Command } from 'commander';

import { CallscribeError, toError } from '../src/errors.ts';
import { silentLogger } from '../src/log.ts';
import { type DeadLetterRow, dropDeadLetter, loadDeadLetters } from '../src/store/dead-letters.ts';
import { dropDeadMails, loadDeadMails, replayDeadMails } from '../src/store/dead-mails.ts';
import type { Pool } from '../src/store/pool.ts';
import { parseCommand, withStore } from './command.ts';
import { runRoot } from './main.ts';
import { replayDeadLetter } from './replay-dead-letter.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** What was asked for. */
interface Order {
  readonly action: 'list' | 'show' | 'replay' | 'drop';
  readonly letters: 'all' | readonly string[];
  /** Numbers of e-mails, which are shown with {@link MAIL_PREFIX}. */
  readonly mails: 'all' | readonly string[];
}

const MAIL_PREFIX = 'mail-';
const ID = /^(?:mail-)?\d{1,18}$/;

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  await withStore((pool) => carryOut(order, pool));
});

function readOrder(args: readonly string[]): Order | undefined {
  let order: Order | undefined;
  const command = new Command('dead-letters')
    .description(
      'Facts that could not become rows (unreadable, or refused by the database for their content), and e-mails about ' +
        'messages that no mail server took (mail-…)',
    )
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const add = (action: Order['action'], what: string, syntax: string): void => {
    command
      .command(`${action}${syntax}`)
      .description(what)
      .action((ids: readonly string[] | undefined) => {
        const given = action === 'list' || ids?.join() === 'all' ? 'all' : (ids ?? []);
        order = { action, ...sorted(given) };
      });
  };
  add('list', 'all of them, without what they hold', '');
  add('show', 'what they hold, one JSON object a line; it may be speech', ' <ids...>');
  add('replay', 'write their rows now, those that cannot be written stay; send e-mails again', ' <ids...>');
  add('drop', 'delete them; what they hold is lost', ' <ids...>');
  return parseCommand(command, args) === 'help' ? undefined : order;
}

/** @throws {CallscribeError} USAGE */
function sorted(ids: 'all' | readonly string[]): Pick<Order, 'letters' | 'mails'> {
  if (ids === 'all') return { letters: 'all', mails: 'all' };
  if (!ids.every((id) => ID.test(id))) {
    throw new CallscribeError('USAGE', 'expected the numbers that `list` shows, or `all`');
  }
  const isMail = (id: string): boolean => id.startsWith(MAIL_PREFIX);
  return {
    letters: ids.filter((id) => !isMail(id)),
    mails: ids.filter(isMail).map((id) => id.slice(MAIL_PREFIX.length)),
  };
}

async function carryOut(order: Order, pool: Pool): Promise<void> {
  await carryOutLetters(order, pool);
  await carryOutMails(order, pool);
}

async function carryOutMails({ action, mails }: Order, pool: Pool): Promise<void> {
  const table = new Table({ head: ['id', 'to', 'call', 'failure', 'attempts', 'last'] });
  let count = 0;
  for (let afterId: string | undefined = '0'; afterId !== undefined;) {
    const page = await loadDeadMails(pool, mails, { afterId });
    for (const mail of page) {
      if (action === 'show') print(JSON.stringify({ ...mail, id: MAIL_PREFIX + mail.id }));
      const { id, recipient, callId, failure, attempts, failedAt } = mail;
      table.push([MAIL_PREFIX + id, recipient, callId, failure, String(attempts), failedAt.toISOString()]);
    }
    count += page.length;
    afterId = page.at(-1)?.id;
  }
  if (count === 0) return;
  const what = `e-mail${count === 1 ? '' : 's'}`;
  if (action === 'list') print(`${table.toString()}\n${count} ${what}`);
  if (action === 'replay') print(`${await replayDeadMails(pool, mails)} ${what} to be sent again`);
  if (action === 'drop') print(`${await dropDeadMails(pool, mails)} ${what} dropped`);
}

async function carryOutLetters({ action, letters: ids }: Order, pool: Pool): Promise<void> {
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
