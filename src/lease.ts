import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, readlink, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { CallscribeError, systemCode } from './errors.ts';

/** Who holds a directory, as its lease file tells. */
interface Holder {
  readonly pid: number;
  /** When the process began, since numbers of processes come again; undefined where /proc does not tell. */
  readonly begun: string | undefined;
  /** Numbers of processes mean something only within one of these. */
  readonly pidNamespace: string | undefined;
  readonly token: string;
}

/** A directory that is this process's alone, until it is released or the process is gone. */
export interface Lease extends AsyncDisposable {
  /** False once another process took the directory, as after this one stood still for {@link SILENT_MAX_MS}. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

const BEAT_MS = 5_000;
/** A holder of another machine or container that has not beaten for so long is gone. */
export const SILENT_MAX_MS = 30_000;
const NAME = /^lease-(\d+)\.json$/;

/**
 * Takes a directory for this process. The lease is a numbered file, made exclusively: of those who take over from a
 * dead holder only one makes the next number. Whether the holder is dead is told by its process where it is of
 * this machine and container, else by the age of the file, which a holder touches every 5 s.
 *
 * @returns undefined where another living process holds it, or this one does already
 * @throws {CallscribeError} STORAGE_UNUSABLE
 */
export async function takeLease(directory: string): Promise<Lease | undefined> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = await leaseNumbers(directory);
    const last = names.at(-1) ?? 0;
    if (last > 0 && (await isHolderAlive(join(directory, fileName(last))))) return undefined;
    const number = last + 1;
    const path = join(directory, fileName(number));
    const holder: Holder = { ...(await ownMark()), token: randomUUID() };
    if (!(await writeNew(path, JSON.stringify(holder)))) return undefined;
    // Whoever was slow between its look and its file may find that others came and went: the highest number holds.
    if ((await leaseNumbers(directory)).at(-1) !== number) {
      await rm(path, { force: true });
      return undefined;
    }
    for (const old of names) await rm(join(directory, fileName(old)), { force: true });
    return heldLease(path, holder.token);
  } catch (cause) {
    throw new CallscribeError(
      'STORAGE_UNUSABLE',
      `a directory below DATA_DIR cannot be taken (${systemCode(cause) ?? 'unknown'}). Make DATA_DIR writable`,
      { cause },
    );
  }
}

function heldLease(path: string, token: string): Lease {
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, BEAT_MS);
  beat.unref();
  const isHeld = async (): Promise<boolean> => (await readHolder(path))?.token === token;
  const release = async (): Promise<void> => {
    clearInterval(beat);
    if (await isHeld()) await rm(path, { force: true });
  };
  return { isHeld, release, [Symbol.asyncDispose]: release };
}

async function leaseNumbers(directory: string): Promise<number[]> {
  const numbers = (await readdir(directory)).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return numbers.filter((number) => number > 0).sort((a, b) => a - b);
}

const fileName = (number: number): string => `lease-${number}.json`;

/** @returns false when the file is there already */
async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(text).finally(() => file.close());
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    await rm(path, { force: true });
    throw error;
  }
}

async function isHolderAlive(path: string): Promise<boolean> {
  const holder = await readHolder(path);
  const own = await ownMark();
  if (holder !== undefined && holder.begun !== undefined && holder.pidNamespace === own.pidNamespace) {
    return holder.begun === (await processBegun(holder.pid));
  }
  // Also one that is just being written.
  const ageMs = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Infinity,
  );
  return ageMs < SILENT_MAX_MS;
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const holder = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder> | null;
    return typeof holder?.pid === 'number' && typeof holder.token === 'string'
      ? (holder as Holder)
      : undefined;
  } catch {
    return undefined;
  }
}

async function ownMark(): Promise<Omit<Holder, 'token'>> {
  return {
    pid: process.pid,
    begun: await processBegun(process.pid),
    // The boot id keeps apart two machines that share a directory.
    pidNamespace: await pidNamespace(),
  };
}

async function pidNamespace(): Promise<string | undefined> {
  try {
    const bootId = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    return `${bootId.trim()} ${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}

/** proc(5): the 22nd field of a process's stat, in ticks since the machine started; undefined where there is none. */
async function processBegun(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field is a name in parentheses, which may hold blanks; Z is a process that has ended.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
