/**
 * `npm run vocabulary -- --help`: the lists of hot words of ROUTES_FILE and those of the account. Exit codes: 0 done, or
 * nothing to do; 1 failed, or the file and the service are not alike; 2 wrong usage or configuration.
 */
import process from 'node:process';

import { Command } from 'commander';

import { loadConfig } from '../src/config.ts';
import { CallscribeError } from '../src/errors.ts';
import { parseCommand } from './command.ts';
import { runRoot } from './main.ts';
import { check, list, sync, type SyncOrder } from './vocabulary-lists.ts';

/** What was asked for. */
type Order =
  ({ readonly action: 'sync' } & SyncOrder) | { readonly action: 'list' | 'check'; readonly file: string };

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2), process.env['ROUTES_FILE']);
  if (order === undefined) return;
  const config = loadConfig(process.env);
  const stopping = new AbortController();
  const onSignal = (): void => {
    stopping.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, onSignal);
  try {
    if (order.action === 'check') await check(order.file, config);
    if (order.action === 'list') await list(order.file, config, stopping.signal);
    if (order.action === 'sync') await sync(order, config, stopping.signal);
  } catch (thrown) {
    if (!stopping.signal.aborted) throw thrown;
    throw new CallscribeError('ASR_ABORTED', 'stopped; what was done is noted, the next run does the rest');
  }
});

/** @returns undefined where help was asked for. @throws {CallscribeError} USAGE */
function readOrder(args: readonly string[], routesFile: string | undefined): Order | undefined {
  let order: Order | undefined;
  const command = new Command('vocabulary')
    .description('Lists of hot words: those of ROUTES_FILE, and those that the service has')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const fileOf = ({ file = routesFile }: { readonly file?: string }): string => {
    if (file !== undefined && file !== '') return file;
    throw new CallscribeError('USAGE', 'which rules? Set ROUTES_FILE, or give --file');
  };
  const define = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .option('--file <file>', 'rules other than those of ROUTES_FILE');
  define('sync', 'make the service’s lists equal to those of the file, and note their ids beside it')
    .option('--dry-run', 'only say what would be done')
    .option('--no-delete', 'leave lists that the file has no more, for a later run')
    .option('--now', 'also change lists that were changed less than 5 minutes ago')
    .action((options: { file?: string; dryRun?: true; delete: boolean; now?: true }) => {
      order = {
        action: 'sync',
        file: fileOf(options),
        does: options.dryRun === true ? 'nothing' : 'everything',
        unwanted: options.delete ? 'deleted' : 'kept',
        pause: options.now === true ? 'ignored' : 'heeded',
      };
    });
  define('list', 'the lists of the account, and whose they are').action((options: { file?: string }) => {
    order = { action: 'list', file: fileOf(options) };
  });
  define('check', 'whether the lists of the file can be taken and were synced; asks nobody').action(
    (options: { file?: string }) => {
      order = { action: 'check', file: fileOf(options) };
    },
  );
  return parseCommand(command, args) === 'help' ? undefined : order;
}
