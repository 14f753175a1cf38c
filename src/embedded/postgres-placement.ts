import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chmod, cp, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { CallscribeError, systemCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { PostgresBinaries, ServerUser } from './postgres-binaries.ts';
import { binariesIn, canRun, locatePostgresBinaries, programsFolder } from './postgres-binaries.ts';

const run = promisify(execFile);

/** Where one embedded server lives and who runs it. */
export interface PostgresPlacement {
  /** Postgres' data directory; it may not exist yet. */
  readonly clusterDir: string;
  /** Undefined where we are an ordinary user and Postgres runs as ourselves. */
  readonly user: ServerUser | undefined;
  readonly binaries: PostgresBinaries;
}

/** Where everything goes that root's own folders would hide from an unprivileged server. */
const ROOT_HOME = '/var/lib/callscribe';
const POINTER = 'postgres.location';

/**
 * Decides user and folders. An ordinary user: `<dataDir>/postgres` and the programs in `node_modules`. Root:
 * the same, run by an unprivileged user, unless that user cannot get there (a clone under /root, mode 700);
 * then data and a copy of the programs (60 MB) go under /var/lib/callscribe, and `<dataDir>/postgres.location`
 * says where.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED
 */
export async function placePostgres(dataDir: string, logger: Logger): Promise<PostgresPlacement> {
  const base = await makeDataDir(dataDir);
  const binaries = await locatePostgresBinaries();
  if (process.getuid?.() !== 0) {
    await canRun(binaries, undefined);
    return { clusterDir: join(base, 'postgres'), user: undefined, binaries };
  }
  const clusterDir = (await readPointer(base)) ?? join(base, 'postgres');
  const user = (await ownerOf(clusterDir)) ?? (await findServerUser());
  const reachable = reachableBinaries(binaries, user, logger);
  if (clusterDir !== join(base, 'postgres') || (await canEnter(base, user))) {
    return { clusterDir, user, binaries: await reachable };
  }
  const elsewhere = await choosePlaceElsewhere(base);
  logger.warn(
    { clusterDir: elsewhere, dataDir: base },
    'embedded postgres keeps its data outside the data directory, which its user cannot enter',
  );
  return { clusterDir: elsewhere, user, binaries: await reachable };
}

/** Written down once; of two processes that choose at the same moment the second takes the first one's place. */
async function choosePlaceElsewhere(base: string): Promise<string> {
  const place = join(await makeRootHome(), `postgres-${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(join(base, POINTER), `${place}\n`, { flag: 'wx' });
    return place;
  } catch (error) {
    const first = await readPointer(base);
    if (first === undefined) throw error;
    return first;
  }
}

async function makeDataDir(dataDir: string): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true });
    return await realpath(dataDir);
  } catch (cause) {
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      `the data directory ${resolve(dataDir)} cannot be made (${systemCode(cause) ?? 'unknown'}). ` +
        'Set DATA_DIR to a folder that this user may write.',
      { cause },
    );
  }
}

async function readPointer(base: string): Promise<string | undefined> {
  try {
    return (await readFile(join(base, POINTER), 'utf8')).trim();
  } catch {
    return undefined;
  }
}

async function ownerOf(folder: string): Promise<ServerUser | undefined> {
  try {
    const { uid, gid } = await stat(folder);
    return uid === 0 ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}

/** `postgres` where it exists, else `nobody`, which every system has: no user is created on somebody's machine. */
async function findServerUser(): Promise<ServerUser> {
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {
      // Not on this system; the next one is tried.
    }
  }
  throw new CallscribeError(
    'DATABASE_EMBEDDED_FAILED',
    'Postgres refuses to run as root, and neither a user "postgres" nor "nobody" exists. ' +
      'Run as an ordinary user, or set DATABASE_URL.',
  );
}

/** Asked as that user, so that every parent folder, group and access list counts. */
async function canEnter(folder: string, user: ServerUser): Promise<boolean> {
  try {
    await run('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...user, cwd: '/' });
    return true;
  } catch (cause) {
    if (systemCode(cause) !== 'EPERM') return false;
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      'Postgres refuses to run as root, and this root may not start a process as another user. ' +
        'Run as an ordinary user, or set DATABASE_URL.',
      { cause },
    );
  }
}

async function reachableBinaries(
  binaries: PostgresBinaries,
  user: ServerUser,
  logger: Logger,
): Promise<PostgresBinaries> {
  if ((await canRun(binaries, user)) === 'yes') return binaries;
  const copyDir = join(await makeRootHome(), await copyName(binaries));
  const copied = binariesIn(copyDir, binaries);
  if (!(await exists(copied.postgres))) {
    logger.info({ copyDir }, 'copying the postgres programs to where their user can run them');
    // Copied beside and renamed, so that a second process sees all of it or nothing.
    const temporary = `${copyDir}.new-${randomBytes(4).toString('hex')}`;
    await cp(programsFolder(binaries), temporary, { recursive: true, verbatimSymlinks: true });
    await run('chmod', ['-R', 'a+rX', temporary]);
    await rename(temporary, copyDir).catch(() => rm(temporary, { recursive: true, force: true }));
  }
  if ((await canRun(copied, user)) === 'yes') return copied;
  throw new CallscribeError(
    'DATABASE_EMBEDDED_FAILED',
    `the user that runs Postgres (uid ${user.uid}) cannot enter ${copyDir}. ` +
      'Run as an ordinary user, or set DATABASE_URL.',
  );
}

/** One copy a version of the platform package. */
async function copyName(binaries: PostgresBinaries): Promise<string> {
  const text = await readFile(join(programsFolder(binaries), '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(text) as { readonly version?: unknown };
  return `postgres-programs-${String(version)}`;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function makeRootHome(): Promise<string> {
  const home = (await exists('/var/lib')) ? ROOT_HOME : join(tmpdir(), 'callscribe');
  await mkdir(home, { recursive: true });
  // Whatever the umask said: the server's user must get through.
  await chmod(home, 0o755);
  return home;
}
