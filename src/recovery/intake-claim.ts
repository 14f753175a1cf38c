import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CallscribeError } from '../errors.ts';
import { type Lease, takeLease } from '../lease.ts';

/** This process among those that share a data directory: its calls are its own as long as it lives. */
export interface IntakeClaim extends AsyncDisposable {
  /** Stands in the journals of its calls. */
  readonly owner: string;
  release(): Promise<void>;
}

const directoryOf = (dataDir: string, owner: string): string => join(dataDir, 'intakes', owner);

/** @throws {CallscribeError} STORAGE_UNUSABLE */
export async function claimIntake(dataDir: string): Promise<IntakeClaim> {
  const owner = randomUUID();
  const lease = await takeLease(directoryOf(dataDir, owner));
  if (lease === undefined) {
    throw new CallscribeError('STORAGE_UNUSABLE', 'a directory with a new name is held by another process');
  }
  const release = (): Promise<void> => releaseOwner(dataDir, owner, lease);
  return { owner, release, [Symbol.asyncDispose]: release };
}

/**
 * Takes over what a process left behind: from now on nobody else recovers its calls.
 *
 * @returns undefined while that process lives, or another one recovers them
 * @throws {CallscribeError} STORAGE_UNUSABLE
 */
export async function takeOver(dataDir: string, owner: string): Promise<Lease | undefined> {
  return takeLease(directoryOf(dataDir, owner));
}

/** Nothing of that process is left. */
export async function releaseOwner(dataDir: string, owner: string, lease: Lease): Promise<void> {
  if (!(await lease.isHeld())) return;
  await lease.release();
  await rm(directoryOf(dataDir, owner), { recursive: true, force: true });
}
