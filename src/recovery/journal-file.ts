import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { CallJournal } from '../call/journal.ts';
import type { CallRecord } from '../call/record.ts';
import { systemCode, toError } from '../errors.ts';
import type { CallId } from '../ids.ts';
import type { Logger } from '../log.ts';
import { encodeJob } from '../queue/jobs.ts';
import type { DialogPlace } from '../sip/dialog-place.ts';
import { type JournalLine, writeJournalLine } from './journal-lines.ts';

export interface JournalFileOptions {
  readonly callId: CallId;
  /** `DATA_DIR/calls/<call id>`; made with the first line, removed with `remove`. */
  readonly directory: string;
  /** The name of this process's directory below `DATA_DIR/intakes`. */
  readonly owner: string;
  readonly logger: Logger;
  /** A write failed; it is tried again. */
  readonly onFailed: () => void;
}

export const JOURNAL_FILE = 'journal.ndjson';
const RETRY_MS = 1_000;
const OPEN_ATTEMPTS_MAX = 3;
/** Lines that wait for a disk that takes nothing; beyond it the oldest ones but records and dialogs go. */
const WAITING_MAX = 10_000;

/**
 * A call's journal on disk. A line is handed to the system as soon as the one before is, so that it survives the end
 * of this process; it is not synced, so that a power cut may take the last seconds.
 */
export class JournalFile implements CallJournal {
  readonly #options: JournalFileOptions;
  #waiting: string[];
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #state: 'open' | 'closed-between-lines' = 'open';
  /** A write may have left half a line. */
  #isTorn = false;
  #hasFailed = false;
  #retry: NodeJS.Timeout | undefined;
  #released: Promise<void> | undefined;
  #removed: Promise<void> | undefined;

  constructor(options: JournalFileOptions) {
    this.#options = options;
    this.#waiting = [writeJournalLine({ kind: 'owner', owner: options.owner })];
  }

  record(record: CallRecord): void {
    this.#append({ kind: 'record', record: encodeJob({ name: 'call', payload: record }).data });
  }

  dialog(place: DialogPlace): void {
    this.#append({ kind: 'dialog', place });
  }

  dialogGone(sipCallId: string): void {
    this.#append({ kind: 'dialog-gone', sipCallId });
  }

  sentence(legNo: number, sentenceNo: number, endMs: number): void {
    this.#append({ kind: 'sentence', legNo, sentenceNo, endMs });
  }

  event(eventNo: number): void {
    this.#append({ kind: 'event', eventNo });
  }

  /** Many calls that have ended wait for their recordings; none of them keeps a file open for that. */
  ended(): void {
    this.#state = 'closed-between-lines';
    if (this.#retry === undefined) this.#writing ??= this.#write();
  }

  /** Resolves when what was accepted is with the system, or cannot be written now. */
  async written(): Promise<void> {
    await this.#writing;
  }

  release(): Promise<void> {
    return (this.#released ??= this.#release());
  }

  remove(): Promise<void> {
    this.#waiting = [];
    return (this.#removed ??= this.#remove());
  }

  async #release(): Promise<void> {
    await this.#writing;
    clearTimeout(this.#retry);
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
  }

  async #remove(): Promise<void> {
    const { directory, callId, logger } = this.#options;
    await this.release();
    await rm(directory, { recursive: true, force: true }).catch((error: unknown) => {
      logger.error({ err: toError(error), callId }, 'the directory of an ended call could not be removed');
    });
  }

  #append(entry: JournalLine): void {
    if (this.#released !== undefined) return;
    this.#waiting.push(writeJournalLine(entry));
    if (this.#waiting.length > WAITING_MAX) {
      const from = this.#waiting.findIndex((line) => !/^\{"kind":"(owner|record|dialog)/.test(line));
      this.#waiting.splice(Math.max(from, 0), 1);
    }
    if (this.#retry === undefined) this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    try {
      for (;;) {
        if (this.#waiting.length === 0) {
          if (this.#state === 'open' || this.#file === undefined) break;
          await this.#closeFile();
          continue;
        }
        this.#file ??= await this.#open();
        const lines = this.#waiting;
        this.#waiting = [];
        try {
          await this.#file.appendFile(`${this.#isTorn ? '\n' : ''}${lines.join('')}`);
          this.#isTorn = false;
        } catch (error) {
          // What was written of it is written again: a line that comes twice says the same.
          this.#waiting = [...lines, ...this.#waiting];
          this.#isTorn = true;
          throw error;
        }
      }
      this.#hasFailed = false;
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#writing = undefined;
    }
  }

  /** The recording of a call that came to nothing removes the directory when it is empty, also just then. */
  async #open(): Promise<FileHandle> {
    const { directory } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      try {
        return await open(join(directory, JOURNAL_FILE), 'a', 0o600);
      } catch (error) {
        if (systemCode(error) !== 'ENOENT' || attempt === OPEN_ATTEMPTS_MAX) throw error;
      }
    }
  }

  #failed(error: unknown): void {
    const { callId, logger, onFailed } = this.#options;
    onFailed();
    if (!this.#hasFailed) {
      this.#hasFailed = true;
      const code = systemCode(error);
      logger.error({ callId, systemCode: code }, 'a call cannot be journaled; it would not be recovered');
    }
    if (this.#released !== undefined) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#writing ??= this.#write();
    }, RETRY_MS);
    this.#retry.unref();
  }
}
