import { mkdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { MemoryTail } from './memory-tail.ts';
import { encodeRecord, type Entry } from './record.ts';
import { listSegments, readSegment, type Segment, SegmentWriter } from './segment.ts';

export interface OutboxLogOptions {
  /** Its own; made where it is missing. */
  readonly directory: string;
  readonly logger: Logger;
  /** Bytes on disk and in memory together, from which on nothing more is taken. */
  readonly maxBytes: number;
  /** Default {@link SEGMENT_MAX_BYTES}. */
  readonly segmentMaxBytes?: number;
  /** Default {@link MEMORY_MAX_BYTES}. */
  readonly memoryMaxBytes?: number;
  /** There is something new to read. */
  readonly onReadable?: () => void;
  /** Default {@link COMMIT_PAUSE_MS}. */
  readonly commitPauseMs?: number;
}

/** A segment is deleted when all of it has been acknowledged; so much may be kept for one entry. */
export const SEGMENT_MAX_BYTES = 4_194_304;
/** Of entries that wait to be read, or that the disk refuses. */
export const MEMORY_MAX_BYTES = 67_108_864;
/** Between the beginnings of two syncs: entries of that time share one (group commit). */
export const COMMIT_PAUSE_MS = 5;
const COMMIT_MAX_ENTRIES = 2_000;
/** After the disk refused. */
const RETRY_MS = 1_000;
/** What is acknowledged is speech of people: it does not stay on disk until its segment is full. */
const IDLE_MS = 2_000;

/** What was read, and from where to go on. */
export interface Reading {
  readonly entries: readonly Entry[];
  readonly nextNo: number;
}

/** Where nothing is left of a stretch, it is passed over as a whole. */
const reading = (entries: readonly Entry[], endNo: number): Reading => ({
  entries,
  nextNo: (entries.at(-1)?.no ?? endNo - 1) + 1,
});

/**
 * Entries on their way, in a file log: appended, synced in groups, read in order, deleted when acknowledged. An entry
 * is on disk at most {@link COMMIT_PAUSE_MS} and two syncs after it was accepted, and can be read from then on.
 *
 * Rules: while the disk refuses (full, broken), entries stay in memory up to its bound and can be read from there;
 * they are written as soon as the disk takes them. At a bound the newest entry is refused. A line that was being
 * written when the machine died is dropped at the next opening, since nobody was told that it was written.
 */
export class OutboxLog implements AsyncDisposable {
  readonly #options: OutboxLogOptions;
  readonly #tail = new MemoryTail();
  /** Full ones, oldest first. */
  readonly #segments: Segment[];
  #writer: SegmentWriter | undefined;
  #nextNo: number;
  /** Below it all is on disk. */
  #writtenNo: number;
  /** Below it all is acknowledged. */
  #ackedNo: number;
  #disk: 'fine' | 'refuses' = 'fine';
  #loaded: { readonly path: string; readonly bytes: number; readonly entries: readonly Entry[] } | undefined;
  #damaged = 0;
  #committing: Promise<void> | undefined;
  #reclaiming: Promise<void> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #waiters: { readonly no: number; readonly resolve: (how: 'written' | 'memory') => void }[] = [];
  #closing: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  private constructor(options: OutboxLogOptions, segments: readonly Segment[], nextNo: number) {
    this.#options = options;
    this.#segments = [...segments];
    this.#nextNo = nextNo;
    this.#writtenNo = nextNo;
    this.#ackedNo = segments[0]?.firstNo ?? nextNo;
  }

  /** Opens, with whatever an earlier process left there. @throws {CallscribeError} STORAGE_UNUSABLE */
  static async open(options: OutboxLogOptions): Promise<OutboxLog> {
    try {
      await mkdir(options.directory, { recursive: true, mode: 0o700 });
      const segments = await listSegments(options.directory);
      const last = segments.at(-1);
      if (last === undefined) return new OutboxLog(options, [], 1);
      const { entries } = await readSegment(last.path);
      const lastNo = entries.reduce((most, { no }) => Math.max(most, no), last.firstNo - 1);
      if (entries.length > 0) return new OutboxLog(options, segments, lastNo + 1);
      await rm(last.path, { force: true });
      return new OutboxLog(options, segments.slice(0, -1), last.firstNo);
    } catch (cause) {
      throw new CallscribeError(
        'STORAGE_UNUSABLE',
        `the outbox below DATA_DIR cannot be opened (${systemCode(cause) ?? 'unknown'}). Make DATA_DIR writable`,
        { cause },
      );
    }
  }

  /** The number that the next entry will have. */
  get nextNo(): number {
    return this.#nextNo;
  }

  /** The lowest number that is not acknowledged. */
  get firstNo(): number {
    return this.#ackedNo;
  }

  /** What is not acknowledged, on disk and, where the disk refuses, in memory; whole segments. */
  get bytes(): number {
    const onDisk = this.#segments.reduce((sum, { bytes }) => sum + bytes, this.#writer?.bytes ?? 0);
    return onDisk + (this.#writtenNo < this.#nextNo ? this.#tail.bytes : 0);
  }

  get disk(): 'fine' | 'refuses' {
    return this.#disk;
  }

  /** Lines that could not be read back. */
  get damaged(): number {
    return this.#damaged;
  }

  /** @param text without a line feed. @returns `full` when it was not taken */
  append(text: string): 'taken' | 'full' {
    if (this.#closing !== undefined || this.#isFull()) return 'full';
    this.#tail.push({ no: this.#nextNo, text });
    this.#nextNo += 1;
    if (this.#disk === 'refuses') this.#options.onReadable?.();
    this.#commit();
    return 'taken';
  }

  /** Resolves when everything appended before is on disk; `memory` as soon as the disk refuses it. */
  written(): Promise<'written' | 'memory'> {
    if (this.#writtenNo >= this.#nextNo) return Promise.resolve('written');
    if (this.#disk === 'refuses' || this.#closing !== undefined) return Promise.resolve('memory');
    const no = this.#nextNo;
    return new Promise((resolve) => this.#waiters.push({ no, resolve }));
  }

  /**
   * Up to `maxEntries` in order, from a number on, and the number from which to go on; the same number when there is
   * nothing to read yet.
   *
   * @throws what the file system throws
   */
  async read(fromNo: number, maxEntries: number): Promise<Reading> {
    const from = Math.max(fromNo, this.#ackedNo);
    const endNo = this.#disk === 'fine' ? this.#writtenNo : this.#nextNo;
    if (from >= endNo) return { entries: [], nextNo: fromNo };
    const firstInMemory = Math.min(this.#tail.firstNo ?? endNo, endNo);
    if (from >= firstInMemory) {
      return reading(this.#tail.from(from, Math.min(maxEntries, endNo - from)), endNo);
    }
    return reading(await this.#readFromDisk(from, firstInMemory, maxEntries), firstInMemory);
  }

  /** The reader will not need these from memory any more, unless something goes wrong; then they are read from disk. */
  passed(belowNo: number): void {
    this.#tail.dropBelow(Math.min(belowNo, this.#writtenNo));
  }

  /** Everything below is where it belongs, and deleted here. */
  acknowledge(belowNo: number): void {
    const no = Math.min(belowNo, this.#nextNo);
    if (no <= this.#ackedNo) return;
    this.#ackedNo = no;
    if (this.#disk === 'refuses') this.#tail.dropBelow(no);
    else this.passed(no);
    this.#reclaim();
  }

  /** Writes what is in memory as far as the disk lets it, and closes; may be called twice. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isFull(): boolean {
    if (this.bytes >= this.#options.maxBytes) return true;
    const memoryMax = this.#options.memoryMaxBytes ?? MEMORY_MAX_BYTES;
    if (this.#tail.bytes < memoryMax) return false;
    // What is on disk can be read from there.
    this.#tail.dropBelow(this.#writtenNo);
    return this.#tail.bytes >= memoryMax;
  }

  #commit(): void {
    this.#committing ??= this.#commitAll().finally(() => {
      this.#committing = undefined;
      if (this.#writtenNo < this.#nextNo && this.#closing === undefined) this.#commit();
    });
  }

  async #commitAll(): Promise<void> {
    const pauseMs = this.#options.commitPauseMs ?? COMMIT_PAUSE_MS;
    while (this.#writtenNo < this.#nextNo) {
      const isClosing = this.#stopping.signal.aborted;
      if (!isClosing) {
        await sleep(this.#disk === 'fine' ? pauseMs : RETRY_MS, undefined, {
          signal: this.#stopping.signal,
        }).catch(() => undefined);
      }
      const failure = await this.#commitSome();
      if (failure !== undefined && this.#stopping.signal.aborted) return;
    }
  }

  async #commitSome(): Promise<Error | undefined> {
    // With the disk away, entries may have been read and acknowledged from memory.
    const from = Math.max(this.#writtenNo, this.#tail.firstNo ?? this.#nextNo);
    const entries = this.#tail.from(from, COMMIT_MAX_ENTRIES);
    try {
      if (entries.length > 0) {
        this.#writer ??= await SegmentWriter.create(this.#options.directory, from);
        await this.#writer.append(entries.map(encodeRecord));
      }
      this.#writtenNo = from + entries.length;
      await this.#rotate();
      this.#diskIs('fine');
      this.#tellWaiters('written');
      this.#options.onReadable?.();
      if (this.#ackedNo === this.#nextNo) this.#reclaim();
      return undefined;
    } catch (thrown) {
      const error = toError(thrown);
      // A sync that failed may have dropped what it should have written: the next attempt is a new file.
      await this.#endSegment();
      this.#diskIs('refuses', error);
      this.#tellWaiters('memory');
      this.#options.onReadable?.();
      return error;
    }
  }

  async #rotate(): Promise<void> {
    if ((this.#writer?.bytes ?? 0) >= (this.#options.segmentMaxBytes ?? SEGMENT_MAX_BYTES)) {
      await this.#endSegment();
    }
  }

  async #endSegment(): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#writer = undefined;
    await writer.close();
    const { path, firstNo, bytes } = writer;
    if (bytes > 0) this.#segments.push({ path, firstNo, bytes });
    else await rm(path, { force: true }).catch(() => undefined);
  }

  #diskIs(disk: 'fine' | 'refuses', err?: Error): void {
    if (this.#disk === disk) return;
    this.#disk = disk;
    const { logger } = this.#options;
    if (err !== undefined) {
      logger.error({ err, code: systemCode(err) }, 'the outbox cannot be written; facts wait in memory');
    } else logger.info('the outbox can be written again');
  }

  #tellWaiters(how: 'written' | 'memory'): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.no <= this.#writtenNo) waiter.resolve('written');
      else if (how === 'memory') waiter.resolve('memory');
      else this.#waiters.push(waiter);
    }
  }

  async #readFromDisk(from: number, endNo: number, maxEntries: number): Promise<readonly Entry[]> {
    for (const segment of this.#segmentsFrom(from)) {
      const entries = await this.#load(segment);
      const wanted = entries.filter(({ no }) => no >= from && no < endNo).slice(0, maxEntries);
      if (wanted.length > 0) return wanted;
    }
    return [];
  }

  /** Those that may hold a number, or higher ones. */
  #segmentsFrom(no: number): readonly Segment[] {
    const all: Segment[] = [...this.#segments];
    if (this.#writer !== undefined) all.push(this.#writer);
    const first = all.findLastIndex(({ firstNo }) => firstNo <= no);
    return all.slice(Math.max(first, 0));
  }

  async #load({ path, bytes }: Segment): Promise<readonly Entry[]> {
    const loaded = this.#loaded;
    if (loaded?.path === path && loaded.bytes === bytes) return loaded.entries;
    const { entries, damaged } = await readSegment(path);
    if (damaged > 0) {
      this.#damaged += damaged;
      this.#options.logger.error({ damaged }, 'lines of the outbox cannot be read and are lost');
    }
    this.#loaded = { path, bytes, entries };
    return entries;
  }

  #reclaim(): void {
    this.#reclaiming = this.#reclaiming.then(() => this.#deleteAcknowledged());
    if (this.#ackedNo < this.#nextNo || this.#idle !== undefined || this.#closing !== undefined) return;
    this.#idle = setTimeout(() => {
      this.#idle = undefined;
      this.#reclaiming = this.#reclaiming.then(() => this.#deleteIdle());
    }, IDLE_MS);
    this.#idle.unref();
  }

  async #deleteAcknowledged(): Promise<void> {
    for (;;) {
      const [segment, next = this.#writer] = this.#segments;
      const endNo = next?.firstNo ?? this.#writtenNo;
      if (segment === undefined || endNo > this.#ackedNo) return;
      this.#segments.shift();
      if (this.#loaded?.path === segment.path) this.#loaded = undefined;
      await this.#delete(segment.path);
    }
  }

  /** Nothing waits: the segment that is being written ends too. */
  async #deleteIdle(): Promise<void> {
    await this.#committing;
    if (this.#ackedNo < this.#nextNo || this.#committing !== undefined) return;
    await this.#endSegment();
    await this.#deleteAcknowledged();
  }

  async #delete(path: string): Promise<void> {
    await rm(path, { force: true }).catch((error: unknown) => {
      this.#options.logger.warn({ err: toError(error) }, 'a segment of the outbox cannot be deleted');
    });
  }

  async #close(): Promise<void> {
    clearTimeout(this.#idle);
    this.#stopping.abort();
    await this.#committing;
    if (this.#writtenNo < this.#nextNo) await this.#commitAll();
    this.#tellWaiters('memory');
    await this.#reclaiming;
    await this.#endSegment();
    await this.#deleteAcknowledged();
  }
}
