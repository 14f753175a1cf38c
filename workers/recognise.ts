/**
 * `npm run recognise -- --help`: recognises what the recogniser did not take during calls. Exit codes: 0 all done, 1
 * something is left, 2 wrong usage or configuration.
 */
import process from 'node:process';

import { Command, CommanderError } from 'commander';

import { systemClock } from '../src/clock.ts';
import { type Config, loadConfig } from '../src/config.ts';
import { KeyFile } from '../src/dashscope/key-file.ts';
import { CallscribeError, toError } from '../src/errors.ts';
import { type CallId, isUuid } from '../src/ids.ts';
import { createLogger, type Logger } from '../src/log.ts';
import { createMetrics } from '../src/metrics.ts';
import { QueuePublisher } from '../src/queue/publisher.ts';
import { openSpoolKey } from '../src/recording/spool-key.ts';
import type { UnrecognisedCalls } from '../src/recovery/unrecognised-calls.ts';
import { CloseStack } from './close-stack.ts';
import { runRoot } from './main.ts';
import { recogniseKept, type RecogniseKeptDeps } from './recognise-kept.ts';
import { openRecognition } from './recognition.ts';
import { databaseUrlOf, openBackend } from './stores.ts';
import { unrecognisedCalls } from './unrecognised.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

/** What was asked for. */
interface Order {
  readonly action: 'list' | 'recognise' | 'drop';
  readonly ids: 'all' | readonly string[];
}

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  const config = loadConfig(process.env);
  const calls = unrecognisedCalls(config);
  const ids = order.ids === 'all' ? (await calls.list()).filter(isUuid) : order.ids;
  if (order.action !== 'recognise') {
    for (const id of ids) {
      await (order.action === 'list' ? show(calls, id as CallId) : drop(calls, id as CallId));
    }
    if (order.action === 'list') print(`${ids.length} calls have audio that is not recognised`);
    return;
  }
  if (ids.length === 0) {
    print('every call is recognised');
    return;
  }
  const closers = new CloseStack();
  try {
    const job = await openJob(config, calls, closers);
    let left = 0;
    for (const id of ids) if (!(await recognise(job, id as CallId))) left += 1;
    if (left > 0) {
      process.exitCode = 1;
      print(`${left} of ${ids.length} calls are not done; what is left is kept`);
    }
  } finally {
    await closers.close();
  }
});

function readOrder(args: readonly string[]): Order | undefined {
  const command = new Command('recognise')
    .description('Recognises what the recogniser did not take during calls, and stores it')
    .argument('[calls...]', 'ids of calls, or all')
    .option('--list', 'only show which calls have such audio')
    .option('--drop', 'delete that audio: it is never recognised')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  try {
    command.parse([...args], { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.code === 'commander.helpDisplayed') return undefined;
    throw new CallscribeError('USAGE', `${thrown.message}\n${command.helpInformation()}`);
  }
  const { list, drop: isDrop } = command.opts<{ list?: true; drop?: true }>();
  const given = command.args;
  if (list === true) {
    return { action: 'list', ids: given.length === 0 || given.join() === 'all' ? 'all' : given };
  }
  const isAll = given.join() === 'all';
  if (given.length === 0 || (!isAll && !given.every(isUuid))) {
    throw new CallscribeError('USAGE', 'expected ids of calls as --list shows them, or all');
  }
  return { action: isDrop === true ? 'drop' : 'recognise', ids: isAll ? 'all' : given };
}

async function show(calls: UnrecognisedCalls, id: CallId): Promise<void> {
  const call = await calls.load(id);
  if (call === undefined) return;
  const legs = call.legs.map(
    ({ legNo, fromSample }) => `leg ${legNo} from ${(fromSample / 8_000).toFixed(1)} s on`,
  );
  print(`${id}  ${call.record.startedAt.toISOString()}  ${legs.join(', ')}`);
}

async function drop(calls: UnrecognisedCalls, id: CallId): Promise<void> {
  await calls.remove(id);
  print(`${id}: deleted`);
}

/** @returns whether nothing is left of it */
async function recognise(job: RecogniseKeptDeps, id: CallId): Promise<boolean> {
  try {
    const outcome = await recogniseKept(job, id);
    switch (outcome.kind) {
      case 'nothing':
        print(`${id}: nothing is kept of it`);
        return true;
      case 'busy':
        print(`${id}: another process recognises it`);
        return false;
      case 'done': {
        const { sentences, left } = outcome;
        print(
          `${id}: ${sentences} sentences${left === undefined ? '' : `, the rest not yet: ${left.message}`}`,
        );
        return left === undefined;
      }
    }
  } catch (error) {
    print(`${id}: ${toError(error).message}`);
    return false;
  }
}

async function openJob(
  config: Config,
  calls: UnrecognisedCalls,
  closers: CloseStack,
): Promise<RecogniseKeptDeps> {
  const logger = createLogger({
    level: process.env['LOG_LEVEL'] ?? 'error',
    format: process.stderr.isTTY ? 'pretty' : 'json',
  });
  const { wsUrl, apiKey, apiKeyFile, workspace } = config.dashscope;
  if (wsUrl === undefined) {
    throw new CallscribeError(
      'USAGE',
      'no recogniser: set DASHSCOPE_API_KEY, DASHSCOPE_API_KEY_FILE or DASHSCOPE_WS_URL',
    );
  }
  const publisher = await openPublisher(config, logger, closers);
  const recognition = openRecognition({
    url: wsUrl,
    apiKey: apiKeyFile === undefined ? (apiKey ?? 'no-key-configured') : new KeyFile(apiKeyFile).apiKey,
    workspace,
    startsPerSecond: config.asr.startsPerSecond,
    policy: config.asr.resilience,
    metrics: createMetrics(),
    logger,
  });
  closers.add(() => recognition.close());
  const spoolKey = await openSpoolKey(config.recording.keyFile);
  return { calls, recognition: recognition.services, publisher, spoolKey };
}

/** The rows are written by the service's own workers; where none runs now, when one does. */
async function openPublisher(config: Config, logger: Logger, closers: CloseStack): Promise<QueuePublisher> {
  // Redis alone will do.
  const databaseUrl =
    config.redisUrl === undefined ? await databaseUrlOf(config, logger, closers) : undefined;
  const publisher = await QueuePublisher.open({
    backend: openBackend(config, databaseUrl),
    dataDir: config.dataDir,
    logger,
    clock: systemClock,
  });
  closers.add(() => publisher.close());
  return publisher;
}
