import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** A process of this machine and the media ports that it means to use. */
export interface PortClaim {
  readonly pid: number;
  readonly firstPort: number;
  readonly lastPort: number;
  /** The SIP server whose calls it takes; undefined where it has one of its own. */
  readonly sipServer: string | undefined;
}

export interface HeldPortClaim extends AsyncDisposable {
  /** Processes that run now and claimed ports of the same range before, or at the same time. */
  readonly overlapping: readonly PortClaim[];
  release(): Promise<void>;
}

export interface PortClaimOptions extends Omit<PortClaim, 'pid'> {
  /** Where the processes of one machine and user find each other. Default: in the system's directory for such. */
  readonly directory?: string;
}

/** A claim as it is kept: with the time at which its process began, since numbers of processes come again. */
interface KeptClaim extends PortClaim {
  readonly begun: string | undefined;
}

/**
 * Says which media ports this process uses, and tells who else of this machine does. A port that two processes use
 * rests in neither: the last sender of the one's call would speak into the next call of the other.
 */
export async function claimPorts(options: PortClaimOptions): Promise<HeldPortClaim> {
  const { firstPort, lastPort, sipServer } = options;
  const directory = options.directory ?? join(tmpdir(), `callscribe-ports-${userInfo().username}`);
  const file = join(directory, `${process.pid}-${randomUUID()}.json`);
  const own: KeptClaim = {
    pid: process.pid,
    firstPort,
    lastPort,
    sipServer,
    begun: await processBegun(process.pid),
  };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Written before the others are read: of two that start together at least one sees the other.
  await writeFile(file, JSON.stringify(own), { mode: 0o600 });
  const release = (): Promise<void> => rm(file, { force: true });
  const overlapping: PortClaim[] = [];
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const claim = await readClaim(path);
    if (claim?.pid === process.pid) continue;
    if (claim === undefined || claim.begun !== (await processBegun(claim.pid)) || !isAlive(claim.pid)) {
      await rm(path, { force: true });
    } else if (claim.firstPort <= lastPort && firstPort <= claim.lastPort) {
      overlapping.push(claim);
    }
  }
  return { overlapping, release, [Symbol.asyncDispose]: release };
}

/** @returns undefined for what cannot be read, or is none */
async function readClaim(path: string): Promise<KeptClaim | undefined> {
  try {
    const claim = JSON.parse(await readFile(path, 'utf8')) as Partial<KeptClaim> | null;
    const { pid, firstPort, lastPort } = claim ?? {};
    const isClaim = [pid, firstPort, lastPort].every((value) => Number.isInteger(value));
    return isClaim ? (claim as KeptClaim) : undefined;
  } catch {
    return undefined;
  }
}

/** proc(5): the 22nd field of a process's stat, in ticks since the machine started; undefined where there is none. */
async function processBegun(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field is a name in parentheses, which may hold blanks.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
