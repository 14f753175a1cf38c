import { randomBytes } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { Clock } from '../clock.ts';
import { CallscribeError, systemCode, toError } from '../errors.ts';
import type { CallId, LegId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { within } from '../within.ts';
import { BLOCK_BYTES } from './block-builder.ts';
import { encodeFileHeader, FILE_HEADER_BYTES, SALT_BYTES } from './container.ts';
import { LegRecorder, type RecordingPolicy, type WaitingBlock } from './leg-recorder.ts';
import { LegSeal } from './seal.ts';
import { type FileWrite, type WriteResult, WriteThread } from './write-thread.ts';

/** A block waits so long for more before it is written. */
const FLUSH_MS = 250;
/** With more than 500 legs it waits longer: whatever their number, there are no more than 2,000 writes a second. */
const FLUSH_MS_PER_LEG = 0.5;
const TICK_MS = 50;
/** Of libuv's four threads: a disk that hangs leaves two for everybody else. */
const OPENS_AT_A_TIME = 2;
/** Of one leg at a time, and of all in one order to the thread that writes. */
const BLOCKS_A_WRITE_MAX = 32;
const ORDER_MAX_BYTES = 1_048_576;
const RETRY_AFTER_MS = 1_000;
const RELEASE_WITHIN_MS = 2_000;
/** What waits for a disk that does not take it; beyond, the oldest of the leg with the most is given up. */
const WAITING_MAX_BYTES = 256 * 1024 * 1024;
/** Rooms that are kept for the next blocks: 8 MB. */
const FREE_ROOMS_MAX = 1_024;

export interface RecordingWriterOptions {
  /** A directory for each call in progress is made here. */
  readonly callsDir: string;
  /** With which spooled legs are sealed; without it they are kept in memory only. */
  readonly spoolKey: Buffer | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onWritten?: (bytes: number) => void;
  readonly onWriteFailed?: (code: string) => void;
  /** Audio was given up: what waited for the disk was more than the bound. */
  readonly onUnkept?: (samples: number) => void;
  /** Default: 256 MB. */
  readonly waitingMaxBytes?: number;
}

interface Slot {
  readonly leg: LegRecorder;
  readonly whenWritten: (() => void)[];
  dueMs: number;
  retryAtMs: number;
  state: 'idle' | 'queued' | 'busy';
  /** Its file is being opened or written to. */
  busy: Promise<unknown>;
}

/**
 * Writes what legs record, behind them: whatever the disk does, no packet waits for it. What a leg hears is with the
 * operating system within 350 ms (a quarter of a second, the tick, and the write; with more than 500 legs half a
 * millisecond for each in place of the quarter), and no more than that is lost when this process is killed. A disk that is
 * full or fails is asked again each second, and everything waits in memory meanwhile, up to a bound.
 */
export class RecordingWriter {
  readonly #options: RecordingWriterOptions;
  readonly #waitingMaxBytes: number;
  readonly #slots = new Map<LegRecorder, Slot>();
  /** Whose file is to be opened, and which have something to write. */
  readonly #toOpen: Slot[] = [];
  readonly #toWrite: Slot[] = [];
  readonly #thread = new WriteThread();
  readonly #freeRooms: Buffer[] = [];
  readonly #failing = new Set<Slot>();
  readonly #timer: NodeJS.Timeout;
  #opening = 0;
  #ordered = false;
  #waitingBytes = 0;

  constructor(options: RecordingWriterOptions) {
    this.#options = options;
    this.#waitingMaxBytes = options.waitingMaxBytes ?? WAITING_MAX_BYTES;
    this.#timer = setInterval(() => {
      this.#tick();
    }, TICK_MS);
    this.#timer.unref();
  }

  /** What waited for the disk when it was last looked at. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Legs whose last write failed. */
  get failingLegs(): number {
    return this.#failing.size;
  }

  openLeg(leg: {
    readonly callId: CallId;
    readonly legId: LegId;
    readonly legNo: number;
    readonly policy: RecordingPolicy;
  }): LegRecorder {
    const { callsDir, spoolKey, clock } = this.#options;
    const isSealed = leg.policy === 'spool' && spoolKey !== undefined;
    const salt = isSealed ? randomBytes(SALT_BYTES) : undefined;
    const recorder = new LegRecorder({
      ...leg,
      path: join(callsDir, leg.callId, legFileName(leg.legNo)),
      policy: leg.policy === 'spool' && !isSealed ? 'memory' : leg.policy,
      salt,
      seal: spoolKey === undefined || salt === undefined ? undefined : new LegSeal(spoolKey, salt),
      takeRoom: this.#takeRoom,
      giveRoom: this.#giveRoom,
    });
    const dueMs = clock.monotonicMs() + FLUSH_MS;
    this.#slots.set(recorder, {
      leg: recorder,
      whenWritten: [],
      dueMs,
      retryAtMs: 0,
      state: 'idle',
      busy: Promise.resolve(),
    });
    return recorder;
  }

  /** Resolves when all that an ended leg recorded is written; not before a disk takes it. */
  async written(leg: LegRecorder): Promise<void> {
    const slot = this.#slots.get(leg);
    if (slot === undefined || leg.options.policy === 'memory') return;
    if (leg.waiting.length === 0 && slot.state !== 'busy') return;
    await new Promise<void>((resolve) => slot.whenWritten.push(resolve));
  }

  /** When all that an ended leg recorded is written, its file is closed; who reads it opens it again. Never rejects. */
  async rest(leg: LegRecorder): Promise<void> {
    if (leg.options.policy === 'memory') return;
    await this.written(leg);
    if (!this.#slots.delete(leg)) return;
    await leg.rest().catch((error: unknown) => {
      this.#options.logger.warn({ err: toError(error) }, 'the file of an ended leg could not be closed');
    });
  }

  /** Lets go of a leg: nothing more is written, and nothing can be read from it. */
  async release(leg: LegRecorder): Promise<void> {
    const slot = this.#slots.get(leg);
    if (slot !== undefined) {
      this.#slots.delete(leg);
      this.#recovered(slot);
      tellWritten(slot);
    }
    // Lest it makes its file after whoever asked deletes it. A disk that hangs is not waited for; its file stays open.
    const released = (slot?.busy ?? Promise.resolve()).then(() => leg.release());
    await within(RELEASE_WITHIN_MS, released);
  }

  /**
   * Writes what there is and lets go of every leg that is not at rest. What a disk does not take in two seconds is lost with
   * this process.
   */
  async close(): Promise<void> {
    const legs = [...this.#slots.keys()];
    for (const leg of legs) leg.flush();
    await within(RELEASE_WITHIN_MS, Promise.all(legs.map((leg) => this.written(leg))));
    clearInterval(this.#timer);
    await Promise.all([...this.#slots.keys()].map((leg) => this.release(leg)));
    await this.#thread.close();
  }

  readonly #takeRoom = (): Buffer => this.#freeRooms.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);

  readonly #giveRoom = (room: Buffer): void => {
    if (this.#freeRooms.length < FREE_ROOMS_MAX) this.#freeRooms.push(room);
  };

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const flushMs = Math.max(FLUSH_MS, this.#slots.size * FLUSH_MS_PER_LEG);
    let waitingBytes = 0;
    for (const slot of this.#slots.values()) {
      const { leg } = slot;
      if (slot.dueMs <= nowMs) {
        slot.dueMs = nowMs + flushMs;
        leg.flush();
      }
      if (leg.waiting.length === 0) continue;
      waitingBytes += leg.waitingBytes;
      if (slot.state !== 'idle' || slot.retryAtMs > nowMs || leg.options.policy === 'memory') continue;
      slot.state = 'queued';
      (leg.file === undefined ? this.#toOpen : this.#toWrite).push(slot);
    }
    this.#waitingBytes = waitingBytes;
    if (waitingBytes > this.#waitingMaxBytes) this.#giveUp(waitingBytes - this.#waitingMaxBytes);
    this.#openNext();
    this.#writeNext();
  }

  /** The oldest blocks of the legs with the most. Those under way to the disk stay. */
  #giveUp(bytes: number): void {
    let unkept = 0;
    const legs = [...this.#slots.values()].filter(({ state }) => state !== 'busy').map(({ leg }) => leg);
    for (let left = bytes; left > 0; left -= BLOCK_BYTES) {
      const [most] = legs.sort((a, b) => b.waiting.length - a.waiting.length);
      if (most === undefined || most.waiting.length === 0) break;
      const before = most.unkeptSamples;
      most.dropOldest();
      unkept += most.unkeptSamples - before;
    }
    if (unkept > 0) this.#options.onUnkept?.(unkept);
  }

  #openNext(): void {
    while (this.#opening < OPENS_AT_A_TIME) {
      const slot = this.#toOpen.shift();
      if (slot === undefined) return;
      if (!this.#slots.has(slot.leg)) continue;
      slot.state = 'busy';
      this.#opening++;
      slot.busy = this.#open(slot.leg).then(
        (file) => {
          this.#opening--;
          slot.leg.file = file;
          slot.state = 'queued';
          this.#toWrite.push(slot);
          this.#openNext();
          this.#writeNext();
        },
        (error: unknown) => {
          this.#opening--;
          slot.state = 'idle';
          this.#failed(slot, systemCode(error) ?? 'unknown');
          this.#openNext();
        },
      );
    }
  }

  /** One order to the thread, of as many legs as it holds; the next one when that is done. */
  #writeNext(): void {
    if (this.#ordered) return;
    const legs: { readonly slot: Slot; readonly blocks: readonly WaitingBlock[] }[] = [];
    const writes: FileWrite[] = [];
    for (let bytes = 0; bytes < ORDER_MAX_BYTES;) {
      const slot = this.#toWrite.shift();
      if (slot === undefined) break;
      const { leg } = slot;
      slot.state = 'idle';
      if (!this.#slots.has(leg) || leg.file === undefined || leg.waiting.length === 0) continue;
      const blocks = leg.waiting.slice(0, BLOCKS_A_WRITE_MAX);
      const buffers = blocks.map((block) => block.bytes);
      bytes += buffers.reduce((sum, buffer) => sum + buffer.length, 0);
      slot.state = 'busy';
      legs.push({ slot, blocks });
      writes.push({ fd: leg.file.fd, position: leg.index.endOffset, buffers });
    }
    if (writes.length === 0) return;
    this.#ordered = true;
    const done = this.#thread.write(writes).then((results) => {
      this.#ordered = false;
      legs.forEach(({ slot, blocks }, n) => {
        this.#wrote(slot, blocks, results[n] ?? 'thread');
      });
      this.#writeNext();
    });
    for (const { slot } of legs) slot.busy = done;
  }

  #wrote(slot: Slot, blocks: readonly WaitingBlock[], result: WriteResult): void {
    const { leg } = slot;
    slot.state = 'idle';
    if (result !== 'written') {
      this.#failed(slot, result);
      return;
    }
    if (leg.waiting[0] === blocks[0]) leg.wrote(blocks.length, leg.index.endOffset);
    this.#options.onWritten?.(blocks.reduce((sum, { bytes }) => sum + bytes.length, 0));
    this.#recovered(slot);
    if (leg.waiting.length === 0) tellWritten(slot);
  }

  async #open(leg: LegRecorder): Promise<NonNullable<LegRecorder['file']>> {
    const { path, callId, legId, legNo, salt } = leg.options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Left by an attempt for which the disk had no room.
    const file = await open(path, 'w+', 0o600);
    try {
      const startedAt = leg.startedAt ?? this.#options.clock.wallTime();
      const { bytesWritten } = await file.write(
        encodeFileHeader({ callId, legId, legNo, startedAt, salt }),
        0,
      );
      if (bytesWritten < FILE_HEADER_BYTES) throw shortWrite(bytesWritten, FILE_HEADER_BYTES);
      return file;
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  #failed(slot: Slot, code: string): void {
    slot.retryAtMs = this.#options.clock.monotonicMs() + RETRY_AFTER_MS;
    this.#options.onWriteFailed?.(code);
    if (!this.#slots.has(slot.leg)) return;
    if (this.#failing.size === 0) {
      this.#options.logger.error(
        { code },
        'audio cannot be written to disk: calls go on, the audio waits in memory',
      );
    }
    this.#failing.add(slot);
  }

  #recovered(slot: Slot): void {
    if (!this.#failing.delete(slot) || this.#failing.size > 0) return;
    this.#options.logger.info({ waitingBytes: this.#waitingBytes }, 'audio is written to disk again');
  }
}

/** Of one leg's audio in its call's directory. */
export const legFileName = (legNo: number): string => `${legNo}.g711`;

function tellWritten(slot: Slot): void {
  for (const resolve of slot.whenWritten.splice(0)) resolve();
}

function shortWrite(found: number, expected: number): CallscribeError {
  return new CallscribeError(
    'RECORDING_STORAGE',
    `recorded leg: the disk took ${found} bytes, expected ${expected}: it is full, or its quota is`,
    { retryable: true },
  );
}
