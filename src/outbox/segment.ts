import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { type DecodedRecords, decodeRecords } from './record.ts';

/** One file of an outbox's log: entries from a number on, up to the next file's. */
export interface Segment {
  readonly path: string;
  /** No entry in it has a lower number. */
  readonly firstNo: number;
  readonly bytes: number;
}

const NAME = /^(\d{12})\.log$/;

/** In the order of their entries. */
export async function listSegments(directory: string): Promise<readonly Segment[]> {
  const segments: Segment[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const firstNo = Number(NAME.exec(name)?.[1] ?? 0);
    if (firstNo === 0) continue;
    const path = join(directory, name);
    segments.push({ path, firstNo, bytes: (await stat(path)).size });
  }
  return segments;
}

export const segmentPath = (directory: string, firstNo: number): string =>
  join(directory, `${String(firstNo).padStart(12, '0')}.log`);

export async function readSegment(path: string): Promise<DecodedRecords> {
  return decodeRecords(await readFile(path));
}

/** The segment that is being written. What was not synced may be cut off again. */
export class SegmentWriter {
  readonly path: string;
  readonly firstNo: number;
  readonly #file: FileHandle;
  #bytes = 0;

  private constructor(path: string, firstNo: number, file: FileHandle) {
    this.path = path;
    this.firstNo = firstNo;
    this.#file = file;
  }

  /** Makes the file, and its name durable. @throws what the file system throws */
  static async create(directory: string, firstNo: number): Promise<SegmentWriter> {
    const path = segmentPath(directory, firstNo);
    // A file of that number holds nothing that was synced, else its entries would have been counted.
    const file = await open(path, 'w', 0o600);
    try {
      await syncDirectory(directory);
    } catch (error) {
      await file.close();
      await rm(path, { force: true });
      throw error;
    }
    return new SegmentWriter(path, firstNo, file);
  }

  /** Synced bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves when the lines are on disk. @throws what the file system throws; then nothing of them counts */
  async append(lines: readonly Buffer[]): Promise<void> {
    const bytes = Buffer.concat(lines);
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#bytes + at);
      at += bytesWritten;
    }
    await this.#file.datasync();
    this.#bytes += bytes.length;
  }

  /** Closes; what was written but not synced is cut off, where the disk still lets us. */
  async close(): Promise<void> {
    await this.#file.truncate(this.#bytes).catch(() => undefined);
    await this.#file.close().catch(() => undefined);
  }
}

/** Makes names in a directory durable (fsync(2): the file's sync alone does not). */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}
