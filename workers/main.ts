import process from 'node:process';

import { ConfigError, loadConfig } from '../src/config.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';
import { type RoleName, startService } from './service.ts';

/** Runs roles until SIGTERM or SIGINT, then drains. A second signal ends the process at once. */
export async function runRoles(roles: readonly RoleName[]): Promise<void> {
  const config = loadConfig(process.env);
  const logger = createLogger({ level: config.logLevel, format: process.stderr.isTTY ? 'pretty' : 'json' });
  const service = await startService({
    config,
    roles,
    logger,
    onStep: (step) => {
      logger.info({ step }, 'starting');
    },
  });
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal, calls: 'are ended in order' }, 'draining');
    void service.close().then(
      () => {
        logger.info('stopped');
      },
      (error: unknown) => {
        logger.error({ err: toError(error) }, 'stopped, not cleanly');
        process.exitCode = 1;
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  logger.info(
    {
      roles,
      http: service.httpUrl,
      sip: service.sipAddresses.map(({ protocol, host, port }) => `${protocol}:${host}:${port}`),
      recogniser: service.recogniser,
    },
    'ready',
  );
}

/** Runs a root; whatever ends it is one readable line, with the exit code of the contract. */
export async function runRoot(root: () => Promise<void>): Promise<void> {
  try {
    await root();
  } catch (thrown) {
    const error = toError(thrown);
    const text = error instanceof CallscribeError ? error.message : (error.stack ?? error.message);
    process.stderr.write(`${text}\n`);
    process.exitCode = error instanceof ConfigError || isWrongUse(error) ? 2 : 1;
  }
}

/** Of arguments, or of a file that the configuration names. */
function isWrongUse(error: Error): boolean {
  return error instanceof CallscribeError && (error.code === 'USAGE' || error.code === 'ROUTES_INVALID');
}
