import process from 'node:process';

import { type Command, CommanderError } from 'commander';

import { type Config, loadConfig } from '../src/config.ts';
import { CallscribeError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';
import type { Pool } from '../src/store/pool.ts';
import { CloseStack } from './close-stack.ts';
import { databaseUrlOf, openStore } from './stores.ts';

// What the commands with subcommands share, which work on the database.

/**
 * Reads arguments; what was asked for is told to the command's actions.
 *
 * @returns `help` where that was printed
 * @throws {CallscribeError} USAGE, and what the actions throw
 */
export function parseCommand(command: Command, args: readonly string[]): 'parsed' | 'help' {
  try {
    command.parse([...args], { from: 'user' });
    return 'parsed';
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.code === 'commander.helpDisplayed') return 'help';
    throw new CallscribeError('USAGE', `${thrown.message}\n${command.helpInformation()}`);
  }
}

/** Does it with the database of the environment, or the embedded one. Only faults are logged. */
export async function withStore(work: (pool: Pool, config: Config) => Promise<void>): Promise<void> {
  const closers = new CloseStack();
  try {
    const config = loadConfig(process.env);
    const logger = createLogger({
      level: process.env['LOG_LEVEL'] ?? 'error',
      format: process.stderr.isTTY ? 'pretty' : 'json',
    });
    await work(await openStore(await databaseUrlOf(config, logger, closers), logger, closers), config);
  } finally {
    await closers.close();
  }
}
