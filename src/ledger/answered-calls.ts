import { appendFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { CallRecord } from '../call/record.ts';
import { systemCode, toError } from '../errors.ts';
import { type CallId, isUuid, toCallId } from '../ids.ts';
import type { Logger } from '../log.ts';

/** A call that an intake answered, as it noted by itself, without the queue and the database. */
export interface AnsweredCall {
  readonly callId: CallId;
  readonly answeredAt: Date;
  /** Undefined where the intake never came to its end: it still goes on, or the process died. */
  readonly ended: { readonly at: Date; readonly heardMs: number; readonly sentences: number } | undefined;
}

export interface AnsweredCallsOptions {
  /** Its own; a file for each day (UTC) on which calls were answered. */
  readonly directory: string;
  readonly logger: Logger;
  /** A line could not be written and is lost. */
  readonly onFailed: () => void;
}

/** Lines that wait for a disk that takes nothing; beyond it they are lost. */
const WAITING_MAX = 10_000;
/** Older days are deleted. */
export const LEDGER_KEEP_DAYS = 400;
const DAY_MS = 86_400_000;
const DAY_FILE = /^(\d{4}-\d{2}-\d{2})\.ndjson$/;

/**
 * Notes which calls were answered, when they ended and how much audio came: a call's id, times and figures, nothing of
 * what was said and by whom. Against it the report compares what has become rows. Handed to the system as it comes,
 * so that it survives the end of the process; not synced.
 */
export class AnsweredCalls {
  readonly #options: AnsweredCallsOptions;
  /** Calls that were noted and have not ended, by the file that they stand in. */
  readonly #open = new Map<CallId, string>();
  #waiting: { readonly file: string; readonly line: string }[] = [];
  #writing: Promise<void> | undefined;
  #hasFailed = false;

  constructor(options: AnsweredCallsOptions) {
    this.#options = options;
  }

  /** @param call as it stands after each change */
  note(call: CallRecord): void {
    if (call.answeredAt === undefined) return;
    const file = this.#open.get(call.id) ?? `${call.answeredAt.toISOString().slice(0, 10)}.ndjson`;
    if (!this.#open.has(call.id)) {
      this.#open.set(call.id, file);
      this.#append(file, { call: call.id, answered: call.answeredAt.toISOString() });
    }
    if (call.state === 'active') return;
    this.#open.delete(call.id);
    const sum = (read: (leg: CallRecord['legs'][number]) => unknown): number =>
      call.legs.reduce((total, leg) => total + Number(read(leg) ?? 0), 0);
    this.#append(file, {
      call: call.id,
      ended: call.endedAt?.toISOString(),
      heardMs: sum((leg) => leg.media?.['heardMs']),
      sentences: sum((leg) => leg.sentenceCount),
    });
  }

  /** Waits for what was noted. Never rejects. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  #append(file: string, line: object): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#options.onFailed();
      return;
    }
    this.#waiting.push({ file, line: `${JSON.stringify(line)}\n` });
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    const { directory, logger, onFailed } = this.#options;
    while (this.#waiting.length > 0) {
      const [first] = this.#waiting;
      const batch = this.#waiting.filter(({ file }) => file === first?.file);
      this.#waiting = this.#waiting.filter(({ file }) => file !== first?.file);
      try {
        await mkdir(directory, { recursive: true });
        const text = batch.map(({ line }) => line).join('');
        await appendFile(join(directory, first?.file ?? ''), text, { mode: 0o600 });
        this.#hasFailed = false;
      } catch (thrown) {
        for (const _ of batch) onFailed();
        if (!this.#hasFailed) {
          logger.warn(
            { err: toError(thrown) },
            'answered calls cannot be noted; the report will not know them',
          );
        }
        this.#hasFailed = true;
      }
    }
  }
}

/** Calls that intakes with this directory answered in `[from, to)`, by time. A torn or damaged line is passed over. */
export async function readAnsweredCalls(
  directory: string,
  from: Date,
  to: Date,
): Promise<readonly AnsweredCall[]> {
  const calls = new Map<CallId, AnsweredCall>();
  for (const name of await filesOf(directory)) {
    const day = DAY_FILE.exec(name)?.[1];
    if (day === undefined || day < from.toISOString().slice(0, 10) || day > to.toISOString().slice(0, 10)) {
      continue;
    }
    for (const text of (await readFile(join(directory, name), 'utf8')).split('\n')) {
      const line = parseLine(text);
      if (line === undefined) continue;
      const known = calls.get(line.callId);
      if (line.answeredAt !== undefined) {
        calls.set(line.callId, { callId: line.callId, answeredAt: line.answeredAt, ended: known?.ended });
      } else if (known !== undefined) calls.set(line.callId, { ...known, ended: line.ended });
    }
  }
  return [...calls.values()]
    .filter(({ answeredAt }) => answeredAt >= from && answeredAt < to)
    .toSorted((one, other) => one.answeredAt.getTime() - other.answeredAt.getTime());
}

/** Deletes days before the last {@link LEDGER_KEEP_DAYS}. */
export async function deleteOldAnsweredCalls(directory: string, now: Date): Promise<void> {
  const oldest = new Date(now.getTime() - LEDGER_KEEP_DAYS * DAY_MS).toISOString().slice(0, 10);
  for (const name of await filesOf(directory)) {
    const day = DAY_FILE.exec(name)?.[1];
    if (day !== undefined && day < oldest) await rm(join(directory, name), { force: true });
  }
}

function parseLine(
  text: string,
):
  | { readonly callId: CallId; readonly answeredAt: Date | undefined; readonly ended: AnsweredCall['ended'] }
  | undefined {
  try {
    const line = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const { call, answered, ended, heardMs, sentences } = line;
    if (typeof call !== 'string' || !isUuid(call)) return undefined;
    const callId = toCallId(call);
    if (typeof answered === 'string') return { callId, answeredAt: new Date(answered), ended: undefined };
    if (typeof ended !== 'string') return undefined;
    const figures = { heardMs: Number(heardMs ?? 0), sentences: Number(sentences ?? 0) };
    return { callId, answeredAt: undefined, ended: { at: new Date(ended), ...figures } };
  } catch {
    return undefined;
  }
}

async function filesOf(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
