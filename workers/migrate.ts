/** `npm run migrate`: brings the database to the newest schema. Exit codes: 0 done, 1 failed, 2 wrong configuration. */
import process from 'node:process';

import { ConfigError, loadConfig } from '../src/config.ts';
import { startEmbeddedPostgres } from '../src/embedded/postgres.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';
import { migrate } from '../src/store/migrate.ts';

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(): Promise<void> {
  const config = loadConfig(process.env);
  const logger = createLogger({ level: 'warn', format: process.stderr.isTTY ? 'pretty' : 'json' });
  if (config.databaseUrl !== undefined) {
    report(await migrate(config.databaseUrl, logger));
    return;
  }
  print(`No DATABASE_URL: the embedded Postgres in ${config.dataDir} is migrated.`);
  await using postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, logger });
  report(await migrate(postgres.url, logger));
}

function report(applied: readonly string[]): void {
  for (const name of applied) print(`applied ${name}`);
  print(applied.length === 0 ? 'The schema was up to date.' : 'The schema is up to date.');
}

try {
  await run();
} catch (thrown) {
  complain(thrown instanceof CallscribeError ? thrown.message : (toError(thrown).stack ?? 'failed'));
  process.exitCode = thrown instanceof ConfigError ? 2 : 1;
}
