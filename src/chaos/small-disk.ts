import { execFile } from 'node:child_process';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

import { CallscribeError, systemCode, toError } from '../errors.ts';

const run = promisify(execFile);

/** Left free when the disk is full: nothing. What is written then fails with ENOSPC. */
const FILLER = 'filler';
const CHUNK_BYTES = 1 << 20;

/** A disk of its own for a data directory, small enough to be filled: a tmpfs, which takes root on Linux. */
export class SmallDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws {CallscribeError} USAGE where this process may not mount one */
  static async mount(directory: string, megabytes: number): Promise<SmallDisk> {
    await mkdir(directory, { recursive: true });
    if (process.platform !== 'linux') throw noDisk('a tmpfs needs Linux');
    try {
      await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'callscribe-chaos', directory]);
    } catch (thrown) {
      throw noDisk(toError(thrown).message.split('\n')[1] ?? 'mount failed');
    }
    return new SmallDisk(directory);
  }

  /** Takes all that is free. Whatever needs a byte more gets ENOSPC, until {@link free}. */
  async fill(): Promise<void> {
    const file = await open(join(this.directory, FILLER), 'a');
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (let size = chunk.length; size > 0;) {
        try {
          const { bytesWritten } = await file.write(chunk, 0, size);
          if (bytesWritten < size) size = bytesWritten === 0 ? size >> 1 : size;
        } catch (thrown) {
          if (systemCode(thrown) !== 'ENOSPC') throw thrown;
          size >>= 1;
        }
      }
    } finally {
      await file.close();
    }
  }

  async free(): Promise<void> {
    await rm(join(this.directory, FILLER), { force: true });
  }

  /** Bytes that can be written now. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.directory);
    return bavail * bsize;
  }

  /** Everything on it is gone. */
  async unmount(): Promise<void> {
    await run('umount', ['--lazy', this.directory]);
  }
}

function noDisk(why: string): CallscribeError {
  return new CallscribeError(
    'USAGE',
    `disk-full needs a small disk of its own, which could not be mounted (${why}); run it as root on Linux, ` +
      'in a container with --cap-add SYS_ADMIN',
  );
}
