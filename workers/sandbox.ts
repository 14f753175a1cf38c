/**
 * `npm run sandbox`: the DashScope-compatible local server alone, for trying clients. `SANDBOX_PORT` (default
 * 8765, 0 for any free one), `SANDBOX_API_KEYS` (comma-separated; default: any key is let in). Exit codes: 0 stopped, 1 failed, 2 wrong configuration.
 */
import process from 'node:process';

import { CallscribeError, toError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';
import { captionsRecogniser } from '../src/sandbox/captions-recogniser.ts';
import { FAULT_MOMENTS, FAULT_USAGE } from '../src/sandbox/fault-text.ts';
import { startSandbox } from '../src/sandbox/server.ts';

const HOST = '127.0.0.1';
const PORT_DEFAULT = 8765;
const USAGE_COLUMN = 52;

const print = (line: string): void => void process.stdout.write(`${line}\n`);
const complain = (line: string): void => void process.stderr.write(`${line}\n`);

/** @throws {CallscribeError} `CONFIG_INVALID` with every fault */
function readSettings(env: NodeJS.ProcessEnv): {
  readonly port: number;
  readonly apiKeys: readonly string[] | undefined;
} {
  const faults: string[] = [];
  const given = env['SANDBOX_PORT']?.trim() ?? '';
  const port = given === '' ? PORT_DEFAULT : Number(given);
  if (!/^\d*$/.test(given) || port > 65_535) {
    faults.push(`  SANDBOX_PORT: found ${JSON.stringify(given)}, allowed is a whole number from 0 to 65535`);
  }
  if ((env['ASR_MODEL_DIR']?.trim() ?? '') !== '') {
    faults.push('  ASR_MODEL_DIR: this version has the captions recogniser only; leave it empty');
  }
  const keys = (env['SANDBOX_API_KEYS'] ?? '').split(',').map((key) => key.trim());
  const apiKeys = keys.filter((key) => key !== '');
  if (faults.length === 0) return { port, apiKeys: apiKeys.length === 0 ? undefined : apiKeys };
  throw new CallscribeError('CONFIG_INVALID', ['The sandbox cannot start:', ...faults].join('\n'));
}

try {
  const { port, apiKeys } = readSettings(process.env);
  const logger = createLogger({ level: 'warn', format: process.stderr.isTTY ? 'pretty' : 'json' });
  const sandbox = await startSandbox({
    host: HOST,
    port,
    recogniser: captionsRecogniser,
    logger,
    apiKeys,
  });
  print('This is a sandbox, not DashScope: it stands in for the service on this machine.');
  print(`Recogniser: ${sandbox.recogniser.description}.`);
  print(`DASHSCOPE_WS_URL=${sandbox.url}`);
  print(`DASHSCOPE_HTTP_URL=${sandbox.httpUrl}`);
  print('For the vendor’s Python SDK:');
  print(`  DASHSCOPE_WEBSOCKET_BASE_URL=${sandbox.url} DASHSCOPE_HTTP_BASE_URL=${sandbox.httpUrl}`);
  print('');
  print('Faults, on one socket: add ?fault=FAULT to the address, &fault=FAULT for more, &seed=N for chance.');
  print(
    'On all, for so many times: POST {"fault":"FAULT","times":2,"seed":1}; GET and DELETE show and end them:',
  );
  print(`  ${sandbox.faultsUrl}`);
  for (const [usage, effect] of FAULT_USAGE) print(`  ${usage.padEnd(USAGE_COLUMN)} ${effect}`);
  print(`MOMENT is one of ${FAULT_MOMENTS}.`);
  print('?protocol=strict fails tasks that the service, as far as is known, lets pass. See docs/sandbox.md.');
  print('');
  const who = apiKeys === undefined ? 'Any API key is' : 'The keys of SANDBOX_API_KEYS are';
  print(`${who} let in, and temporary tokens until they end. Ctrl+C ends it.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.close());
} catch (thrown) {
  const error = toError(thrown);
  complain(error.message);
  process.exitCode = thrown instanceof CallscribeError && thrown.code === 'CONFIG_INVALID' ? 2 : 1;
}
