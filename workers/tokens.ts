/**
 * `npm run tokens -- --help`: tokens of the API. Exit codes: 0 done, 1 there is no such token, 2 wrong usage or
 * configuration.
 */
import process from 'node:process';

import Table from 'cli-table3';
import { Command } from 'commander';

import { createApiToken, type NewApiToken } from '../src/access/api-tokens.ts';
import { isScope, SCOPES } from '../src/access/principal.ts';
import { CallscribeError } from '../src/errors.ts';
import { type ApiTokenRow, loadApiTokens, revokeApiToken } from '../src/store/api-tokens.ts';
import type { Pool } from '../src/store/pool.ts';
import { parseCommand, withStore } from './command.ts';
import { runRoot } from './main.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** What was asked for. */
type Order =
  | { readonly action: 'create'; readonly token: NewApiToken }
  | { readonly action: 'list' }
  | { readonly action: 'revoke'; readonly id: string };

const DAY_MS = 86_400_000;

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  await withStore((pool) => carryOut(order, pool));
});

/** @returns undefined where help was asked for. @throws {CallscribeError} USAGE */
function readOrder(args: readonly string[]): Order | undefined {
  let order: Order | undefined;
  const command = new Command('tokens')
    .description('Tokens of the API: who may read calls by HTTP')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command
    .command('create <name>')
    .description('make a token and print it, this once')
    .requiredOption('--scopes <list>', `comma list of ${SCOPES.join(', ')}`)
    .option('--tenant <tenant>', 'the only tenant that it sees; without, it sees all')
    .option('--days <days>', 'how long it holds; without, until it is revoked')
    .option('--requests-per-minute <count>', 'its own limit, in place of API_REQUESTS_PER_MINUTE')
    .action((name: string, options: Readonly<Record<string, string>>) => {
      order = { action: 'create', token: readToken(name, options) };
    });
  command
    .command('list')
    .description('all tokens, without what proves them')
    .action(() => {
      order = { action: 'list' };
    });
  command
    .command('revoke <id>')
    .description('let a token hold no more; running processes know within 5 s')
    .action((id: string) => {
      order = { action: 'revoke', id };
    });
  if (parseCommand(command, args) === 'help') return undefined;
  return order;
}

function readToken(name: string, options: Readonly<Record<string, string>>): NewApiToken {
  const scopes = (options['scopes'] ?? '').split(',').map((scope) => scope.trim());
  if (!scopes.every(isScope)) {
    throw new CallscribeError('USAGE', `--scopes: expected a comma list of ${SCOPES.join(', ')}`);
  }
  const days = wholeNumber('--days', options['days']);
  return {
    name,
    tenant: options['tenant'],
    scopes: [...new Set(scopes)],
    requestsPerMinute: wholeNumber('--requests-per-minute', options['requestsPerMinute']),
    expiresAt: days === undefined ? undefined : new Date(Date.now() + days * DAY_MS),
  };
}

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(text)) {
    throw new CallscribeError('USAGE', `${option}: expected a whole number from 1 to 9999999`);
  }
  return Number(text);
}

async function carryOut(order: Order, pool: Pool): Promise<void> {
  switch (order.action) {
    case 'create': {
      const { token } = await createApiToken(pool, order.token);
      process.stderr.write('This token is shown once; only its digest is stored.\n');
      print(token);
      return;
    }
    case 'list': {
      printTokens(await loadApiTokens(pool));
      return;
    }
    case 'revoke': {
      if (await revokeApiToken(pool, order.id)) {
        print(`${order.id} is revoked`);
        return;
      }
      print('there is no token of this id that holds; `list` shows the ids');
      process.exitCode = 1;
    }
  }
}

function printTokens(tokens: readonly ApiTokenRow[]): void {
  const table = new Table({ head: ['id', 'name', 'tenant', 'scopes', 'a minute', 'created', 'holds'] });
  for (const token of tokens) {
    table.push([
      token.id,
      token.name,
      token.tenant ?? 'all',
      token.scopes.join(' '),
      String(token.requestsPerMinute ?? 'default'),
      token.createdAt.toISOString(),
      stateOf(token),
    ]);
  }
  print(table.toString());
}

function stateOf({ revokedAt, expiresAt }: ApiTokenRow): string {
  if (revokedAt !== null) return `revoked ${revokedAt.toISOString()}`;
  if (expiresAt === null) return 'until revoked';
  return `${expiresAt < new Date() ? 'expired' : 'until'} ${expiresAt.toISOString()}`;
}
