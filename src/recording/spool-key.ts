import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { CallscribeError, systemCode } from '../errors.ts';
import { SPOOL_KEY_BYTES } from './seal.ts';

/**
 * The key with which calls that are not to be recorded are sealed while they last: 32 bytes in a file that only its
 * owner can read. Made where there is none; of processes that start together, all get the same.
 *
 * @throws {CallscribeError} RECORDING_KEY where the file holds something else, RECORDING_STORAGE where it can neither
 *   be read nor made
 */
export async function openSpoolKey(path: string): Promise<Buffer> {
  try {
    const key = (await read(path)) ?? (await make(path));
    if (key.length === SPOOL_KEY_BYTES) return key;
    throw new CallscribeError(
      'RECORDING_KEY',
      `RECORDING_KEY_FILE: found ${key.length} bytes, expected ${SPOOL_KEY_BYTES}. Restore the file; without it calls ` +
        'that a killed process left sealed cannot be read, and it may be deleted',
    );
  } catch (cause) {
    if (cause instanceof CallscribeError) throw cause;
    throw new CallscribeError(
      'RECORDING_STORAGE',
      `RECORDING_KEY_FILE can neither be read nor made (${systemCode(cause) ?? 'unknown'})`,
      { cause },
    );
  }
}

async function read(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Linked when it is whole, so that nobody reads half of it. */
async function make(path: string): Promise<Buffer> {
  const key = randomBytes(SPOOL_KEY_BYTES);
  const made = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(made, key, { mode: 0o600, flag: 'wx', flush: true });
    await link(made, path);
    return key;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return await readFile(path);
    throw error;
  } finally {
    await rm(made, { force: true });
  }
}
