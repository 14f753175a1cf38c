import { appendFile, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { CallRecord } from '../call/record.ts';
import { systemCode } from '../errors.ts';
import { encodeJob } from '../queue/jobs.ts';
import { JOURNAL_FILE } from './journal-file.ts';
import { type JournalLine, type JournalState, readJournal, writeJournalLine } from './journal-lines.ts';

/** What was recovered and is on disk in the outbox: another attempt need not recognise it again. */
export async function noteRecovered(directory: string, record: CallRecord): Promise<void> {
  const sentences = record.legs.map(({ legNo, sentenceCount = 0 }): JournalLine => ({
    kind: 'sentence',
    legNo,
    sentenceNo: sentenceCount,
    endMs: 0,
  }));
  const { data } = encodeJob({ name: 'call', payload: record });
  const lines: JournalLine[] = [...sentences, { kind: 'record', record: data }];
  // The line before may be torn.
  await appendFile(join(directory, JOURNAL_FILE), `\n${lines.map(writeJournalLine).join('')}`);
}

/** Whose call it is; only the first line is read. @returns undefined where no journal tells */
export async function loadOwner(directory: string): Promise<string | undefined> {
  try {
    await using file = await open(join(directory, JOURNAL_FILE), 'r');
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(OWNER_LINE_MAX_BYTES),
      0,
      OWNER_LINE_MAX_BYTES,
      0,
    );
    const [first = '', rest] = buffer.toString('utf8', 0, bytesRead).split('\n', 2);
    return rest === undefined ? undefined : readJournal(first).owner;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const OWNER_LINE_MAX_BYTES = 256;

/** @returns undefined where there is no journal */
export async function loadJournal(directory: string): Promise<JournalState | undefined> {
  try {
    return readJournal(await readFile(join(directory, JOURNAL_FILE), 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
