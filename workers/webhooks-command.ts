/**
 * `npm run webhooks -- --help`: where a CRM is told of calls. Exit codes: 0 done, 1 a test was not delivered, there is
 * no such endpoint or its name is taken, 2 wrong usage or configuration.
 */
import process from 'node:process';

import Table from 'cli-table3';
import { Command } from 'commander';

import { systemClock } from '../src/clock.ts';
import type { Config } from '../src/config.ts';
import { CallscribeError } from '../src/errors.ts';
import { isUuid } from '../src/ids.ts';
import { Secret } from '../src/secret.ts';
import type { Pool } from '../src/store/pool.ts';
import { loadDeadMessages, replayDeadMessages } from '../src/store/webhook-dead.ts';
import {
  addEndpoint,
  disableEndpoint,
  enableEndpoint,
  loadDestination,
  loadEndpoint,
  loadEndpoints,
  nameEndpoint,
  removeEndpoint,
  rotateSecret,
} from '../src/store/webhook-endpoints.ts';
import { loadUnknownNames } from '../src/store/webhook-names.ts';
import {
  newSecret,
  parseEndpointName,
  parseEndpointUrl,
  parseEventTypes,
  SECRET_OVERLAP_MS,
} from '../src/webhooks/endpoint.ts';
import { WEBHOOK_EVENT_TYPES } from '../src/webhooks/events.ts';
import { tryEndpoint } from '../src/webhooks/try-endpoint.ts';
import { parseCommand, withStore } from './command.ts';
import { runRoot } from './main.ts';

const print = (text: string): void => void process.stdout.write(`${text}\n`);

interface AddOptions {
  readonly url: string;
  readonly tenant: string;
  readonly name?: string;
  readonly events?: string;
}

type Order = (pool: Pool, config: Config) => Promise<void>;

await runRoot(async () => {
  const order = readOrder(process.argv.slice(2));
  if (order === undefined) return;
  await withStore(order);
});

function readOrder(args: readonly string[]): Order | undefined {
  let order: Order | undefined;
  const command = new Command('webhooks')
    .description('Endpoints of a CRM, which are told of calls and sentences (docs/webhooks.md)')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  command
    .command('add')
    .description('an endpoint; prints its id and, this once, its secret')
    .requiredOption('--url <url>', 'https://HOST/PATH')
    .option('--tenant <name>', 'whose calls it is told of', 'default')
    .option('--name <name>', 'by which rules of ROUTES_FILE name it; unique in its tenant')
    .option('--events <types>', `comma list; default all: ${WEBHOOK_EVENT_TYPES.join(',')}`)
    .action((given: AddOptions) => {
      const name = given.name === undefined ? undefined : parseEndpointName(given.name);
      const url = parseEndpointUrl(given.url);
      const eventTypes = parseEventTypes(given.events?.split(',') ?? WEBHOOK_EVENT_TYPES);
      order = (pool) => add(pool, { url, eventTypes, tenant: given.tenant, name });
    });
  command
    .command('list')
    .description('all endpoints, without their secrets')
    .action(() => {
      order = list;
    });
  command
    .command('name <id> <name>')
    .description('by which rules name it from now on')
    .action((id: string, name: string) => {
      const [known, given] = [endpointId(id), parseEndpointName(name)];
      order = async (pool) => {
        found(await nameEndpoint(pool, undefined, known, given));
      };
    });
  const forOne = (
    name: string,
    what: string,
    run: (pool: Pool, id: string, config: Config) => Promise<void>,
  ): void => {
    command
      .command(`${name} <id>`)
      .description(what)
      .action((id: string) => {
        const known = endpointId(id);
        order = (pool, config) => run(pool, known, config);
      });
  };
  forOne('test', 'send webhook.test now and say what came of it', test);
  forOne('rotate', 'a new secret; the old one signs as well for a day', rotate);
  forOne('disable', 'send nothing any more; what waits is dead', async (pool, id) => {
    found(await disableEndpoint(pool, undefined, id, { reason: 'operator' }));
  });
  forOne('enable', 'send again what happens from now on; ends a pause after failures', async (pool, id) => {
    found(await enableEndpoint(pool, undefined, id));
  });
  forOne('remove', 'delete it with all that waits for it', async (pool, id) => {
    found(await removeEndpoint(pool, undefined, id));
  });
  command
    .command('dead [id]')
    .description('messages that were given up, of one endpoint or of all')
    .action((id?: string) => {
      const known = id === undefined ? undefined : endpointId(id);
      order = (pool) => listDead(pool, known);
    });
  command
    .command('replay <id> <numbers...>')
    .description('try dead messages of an endpoint again: numbers that `dead` shows, or all')
    .action((id: string, numbers: readonly string[]) => {
      const which = numbers.join() === 'all' ? 'all' : numbers;
      if (which !== 'all' && !which.every((number) => /^\d{1,18}$/.test(number))) {
        throw new CallscribeError('USAGE', 'expected the numbers that `dead` shows, or `all`');
      }
      const known = endpointId(id);
      order = (pool) => replay(pool, known, which);
    });
  try {
    if (parseCommand(command, args) === 'help') return undefined;
  } catch (thrown) {
    if (thrown instanceof CallscribeError && thrown.code === 'WEBHOOK_INVALID') {
      throw new CallscribeError('USAGE', thrown.message);
    }
    throw thrown;
  }
  return order;
}

function endpointId(text: string): string {
  if (isUuid(text)) return text;
  throw new CallscribeError('USAGE', 'expected the id of an endpoint, as `list` shows it');
}

function found(isThere: boolean): void {
  if (!isThere) throw noSuch();
  print('done');
}

const noSuch = (): CallscribeError =>
  new CallscribeError('NOT_FOUND', 'there is no such endpoint; `npm run webhooks -- list` shows all');

async function add(
  pool: Pool,
  given: Pick<Parameters<typeof addEndpoint>[1], 'url' | 'eventTypes' | 'tenant' | 'name'>,
): Promise<void> {
  const secret = newSecret();
  const id = await addEndpoint(pool, { ...given, secret: new Secret(secret) });
  print(`endpoint ${id}\nsecret   ${secret}`);
  print('The secret is not shown again. Try the endpoint: npm run webhooks -- test ' + id);
}

async function list(pool: Pool): Promise<void> {
  const endpoints = await loadEndpoints(pool, undefined);
  const table = new Table({
    head: ['id', 'tenant', 'name', 'url', 'events', 'state', 'delivered', 'waiting', 'dead', 'last failure'],
  });
  for (const endpoint of endpoints) {
    const {
      id,
      tenant,
      name,
      url,
      eventTypes,
      state,
      disabledReason,
      delivered,
      waiting,
      dead,
      lastFailure,
    } = endpoint;
    const shown = disabledReason === null ? state : `${state} (${disabledReason})`;
    table.push([
      id,
      tenant,
      name ?? '',
      url,
      eventTypes.join('\n'),
      shown,
      delivered,
      waiting,
      dead,
      lastFailure ?? '',
    ]);
  }
  if (endpoints.length > 0) print(table.toString());
  print(`${endpoints.length} endpoint${endpoints.length === 1 ? '' : 's'}`);
  for (const { tenant, name } of await loadUnknownNames(pool, systemClock.wallTime())) {
    print(`no endpoint of ${tenant} is named ${name}, and a rule gave that name to calls of the last hour`);
  }
}

async function test(pool: Pool, id: string, { webhooks }: Config): Promise<void> {
  const destination = await loadDestination(pool, undefined, id);
  if (destination === undefined) throw noSuch();
  const outcome = await tryEndpoint({ ...webhooks, now: () => systemClock.wallTime() }, id, destination);
  if (outcome.kind === 'delivered') {
    print(`delivered: status ${outcome.status}`);
    return;
  }
  print(`not delivered: ${outcome.kind === 'interrupted' ? outcome.kind : outcome.failure}`);
  process.exitCode = 1;
}

async function rotate(pool: Pool, id: string): Promise<void> {
  const secret = newSecret();
  const overlapMs = SECRET_OVERLAP_MS;
  if (!(await rotateSecret(pool, undefined, id, { secret: new Secret(secret), overlapMs }))) throw noSuch();
  print(
    `secret   ${secret}\nUntil ${new Date(Date.now() + overlapMs).toISOString()} the old one signs as well.`,
  );
}

async function listDead(pool: Pool, id: string | undefined): Promise<void> {
  const table = new Table({
    head: ['number', 'endpoint', 'type', 'call', 'attempts', 'failure', 'last attempt'],
  });
  let count = 0;
  for (let afterId: string | undefined = '0'; afterId !== undefined;) {
    const page = await loadDeadMessages(pool, undefined, { endpointId: id, afterId });
    for (const { id: number, endpointId: endpoint, type, callId, attempts, failure, failedAt } of page) {
      table.push([number, endpoint, type, callId, attempts, failure, failedAt.toISOString()]);
    }
    count += page.length;
    afterId = page.at(-1)?.id;
  }
  if (count > 0) print(table.toString());
  print(`${count} dead message${count === 1 ? '' : 's'}`);
}

async function replay(pool: Pool, id: string, which: 'all' | readonly string[]): Promise<void> {
  const endpoint = await loadEndpoint(pool, undefined, id);
  if (endpoint === undefined) throw noSuch();
  if (endpoint.state === 'disabled') {
    throw new CallscribeError(
      'USAGE',
      'the endpoint is disabled; enable it first: npm run webhooks -- enable ' + id,
    );
  }
  print(`${await replayDeadMessages(pool, undefined, id, which)} tried again; see npm run webhooks -- list`);
}
