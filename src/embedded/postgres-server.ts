import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { CallscribeError, systemCode } from '../errors.ts';
import type { PostgresPlacement } from './postgres-placement.ts';

const run = promisify(execFile);

export const SERVER_ROLE = 'callscribe';
const PASSWORD_FILE = 'callscribe.password';
const START_LOG = 'start.log';

/** How long a start may take: crash recovery after a power cut replays the log first. */
const START_MAX_MS = 120_000;
const STOP_MAX_S = 30;
const POLL_MS = 50;

/**
 * Handed over at each start, so that an older data directory gets them too. Terse logs without statements:
 * a detail such as "failing row contains" would hold a transcript (house rule 18). The log is a ring of seven
 * files, one a weekday.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  timezone: 'UTC',
  log_timezone: 'UTC',
  jit: 'off',
  idle_in_transaction_session_timeout: '60s',
  logging_collector: 'on',
  log_filename: 'postgresql-%a.log',
  log_truncate_on_rotation: 'on',
  log_rotation_age: '1d',
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
};

/** A running postmaster, as its own `postmaster.pid` tells. */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

/**
 * Makes the data directory if it is not there. It is made aside and renamed, so that two processes that start
 * together need no lock: one rename wins, the other's work is removed.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED
 */
export async function initialiseCluster(placement: PostgresPlacement): Promise<void> {
  if (await isInitialised(placement)) return;
  const { clusterDir, user, binaries } = placement;
  const fresh = `${clusterDir}.new-${randomBytes(4).toString('hex')}`;
  const passwordFile = `${fresh}.password`;
  const password = randomBytes(24).toString('base64url');
  try {
    await mkdir(fresh, { mode: 0o700 });
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (user !== undefined) {
      await chown(fresh, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
    }
    // Locale C always exists; databases choose their own (see makeDatabase in postgres.ts).
    const flags = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', '--no-instructions'];
    const args = [`--pgdata=${fresh}`, `--username=${SERVER_ROLE}`, `--pwfile=${passwordFile}`, ...flags];
    await run(binaries.initdb, args, { ...user, cwd: '/' });
    await rename(passwordFile, join(fresh, PASSWORD_FILE));
    await rename(fresh, clusterDir);
  } catch (cause) {
    await rm(fresh, { recursive: true, force: true });
    await rm(passwordFile, { force: true });
    if (await isInitialised(placement)) return;
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      `the embedded Postgres could not make its data directory ${clusterDir} ` +
        `(${systemCode(cause) ?? 'initdb failed'}). Is the disk full, or the folder not writable? ` +
        'Set DATA_DIR to another folder, or DATABASE_URL to a Postgres 14 or newer.',
      { cause },
    );
  }
}

async function isInitialised({ clusterDir }: PostgresPlacement): Promise<boolean> {
  return readFile(join(clusterDir, PASSWORD_FILE)).then(
    () => true,
    () => false,
  );
}

export async function readPassword({ clusterDir }: PostgresPlacement): Promise<string> {
  const file = join(clusterDir, PASSWORD_FILE);
  await chmod(file, 0o600);
  return (await readFile(file, 'utf8')).trim();
}

/**
 * Finds the server of this data directory or starts it; whoever else does the same at the same time finds the
 * same server. An orphan of a killed process is found by its `postmaster.pid` and used on.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED with the last line of Postgres' own log
 */
export async function ensureServer(
  placement: PostgresPlacement,
  options: {
    readonly settings: Readonly<Record<string, string>>;
    readonly preferredPort: number | undefined;
  },
): Promise<RunningServer> {
  const deadlineMs = performance.now() + START_MAX_MS;
  let failures = 0;
  let preferredPort = options.preferredPort;
  while (performance.now() < deadlineMs) {
    const found = await findServer(placement.clusterDir);
    if (found.kind === 'ready') return found.server;
    if (found.kind === 'busy') {
      await sleep(POLL_MS);
      continue;
    }
    // A port that was free a moment ago may be taken, and another process may have won the start.
    const port = preferredPort ?? (await freePort());
    preferredPort = undefined;
    if (await pgCtlStart(placement, { ...SETTINGS, ...options.settings, port: String(port) })) continue;
    failures += 1;
    if (failures >= 5) break;
    await sleep(POLL_MS * failures);
  }
  throw new CallscribeError(
    'DATABASE_EMBEDDED_FAILED',
    `the embedded Postgres in ${placement.clusterDir} does not start: ${await lastLogLine(placement)} ` +
      `(more in ${join(placement.clusterDir, START_LOG)} and the log folder beside it). ` +
      'Set DATA_DIR to another folder for a fresh one, or DATABASE_URL to a Postgres of yours.',
  );
}

/** Ends the server of this data directory; resolves when it is gone. Sessions are ended, nothing is lost. */
export async function stopServer({ clusterDir, binaries, user }: PostgresPlacement): Promise<void> {
  try {
    const args = ['stop', '-D', clusterDir, '-m', 'fast', '-w', '-t', String(STOP_MAX_S)];
    await run(binaries.pgCtl, args, { ...user, cwd: '/' });
  } catch (cause) {
    if ((await findServer(clusterDir)).kind === 'none') return;
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      `the embedded Postgres in ${clusterDir} did not stop within ${STOP_MAX_S} s`,
      { cause },
    );
  }
}

export type FoundServer =
  | { readonly kind: 'none' }
  | { readonly kind: 'busy' }
  | { readonly kind: 'ready'; readonly server: RunningServer };

/**
 * Reads `postmaster.pid`: pid, data directory, start time, port, socket folder, address, shared memory, status
 * (PostgreSQL, "Database File Layout"). The pid counts only if that process is a postmaster of this directory:
 * after a power cut, or in a container, the number may belong to anybody, and Postgres would refuse to start.
 */
export async function findServer(clusterDir: string): Promise<FoundServer> {
  const file = join(clusterDir, 'postmaster.pid');
  let lines: string[];
  try {
    lines = (await readFile(file, 'utf8')).split('\n');
  } catch {
    return { kind: 'none' };
  }
  const pid = Number(lines[0]);
  // Between creating the file and filling it the postmaster is starting.
  if (!Number.isInteger(pid) || pid <= 1) return { kind: 'busy' };
  if (!(await isPostmaster(pid, clusterDir))) {
    // Postgres itself refuses while sessions of a killed postmaster still write here; so must we.
    if (await isWorkedIn(clusterDir)) return { kind: 'busy' };
    await rm(file, { force: true });
    return { kind: 'none' };
  }
  const status = lines[7]?.trim();
  const port = Number(lines[3]);
  return status === 'ready' && port > 0 ? { kind: 'ready', server: { pid, port } } : { kind: 'busy' };
}

async function isPostmaster(pid: number, clusterDir: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
  }
  try {
    const command =
      process.platform === 'linux'
        ? (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')
        : (await run('ps', ['-o', 'command=', '-p', String(pid)])).stdout.split(' ');
    // A process that has ended but was not waited for has an empty command line.
    return basename(command[0] ?? '').startsWith('postgres') && command.join(' ').includes(clusterDir);
  } catch {
    return false;
  }
}

/** Whether any process has the data directory as its working directory, as all of a server's have. */
async function isWorkedIn(clusterDir: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  return folders.includes(clusterDir);
}

async function pgCtlStart(
  { clusterDir, binaries, user }: PostgresPlacement,
  settings: Readonly<Record<string, string>>,
): Promise<boolean> {
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const log = join(clusterDir, START_LOG);
  // The server gets a session of its own (pg_ctl calls setsid): Ctrl-C at the terminal ends us, in our order.
  const args = ['start', '-D', clusterDir, '-l', log, '-w', '-t', String(START_MAX_MS / 1000)];
  try {
    await rm(log, { force: true });
    await run(binaries.pgCtl, [...args, '-o', flags.join(' ')], { ...user, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

/** The newest complaint of the server: from its first words, else from the newest file of its log ring. */
async function lastLogLine({ clusterDir }: PostgresPlacement): Promise<string> {
  const newest = await readFile(join(clusterDir, 'current_logfiles'), 'utf8').catch(() => '');
  const files = [join(clusterDir, START_LOG), join(clusterDir, newest.replace(/^stderr /, '').trim())];
  for (const file of files) {
    const text = await readTail(file);
    const line = text.split('\n').findLast((candidate) => /(FATAL|PANIC|could not):?/.test(candidate));
    if (line !== undefined) return line.replace(/^.*?(FATAL|PANIC):\s*/, '').trim();
  }
  return 'it gives no reason';
}

async function readTail(file: string): Promise<string> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, 8192));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } catch {
    return '';
  }
}
