import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { type CallId, newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { JOURNAL_FILE, JournalFile } from '../../src/recovery/journal-file.ts';
import { type JournalLine, readJournal, writeJournalLine } from '../../src/recovery/journal-lines.ts';
import type { DialogPlace } from '../../src/sip/dialog-place.ts';
import { aCall } from '../support/facts.ts';
import { timesOpen } from '../support/open-files.ts';

const place = (sipCallId: string): DialogPlace => ({
  sipCallId,
  localTag: 'l',
  remoteTag: 'r',
  localAddress: '<sip:us@a>',
  remoteAddress: '<sip:them@b>;tag=r',
  remoteTarget: 'sip:them@b:5060',
  routeSet: ['<sip:p;lr>'],
});

describe('what a journal says', () => {
  it('holds the newest record, the dialogs that stand, and each leg’s last sentence', () => {
    const lines: JournalLine[] = [
      { kind: 'owner', owner: 'one' },
      { kind: 'record', record: { revision: 1 } },
      { kind: 'dialog', place: place('a') },
      { kind: 'dialog', place: place('b') },
      { kind: 'sentence', legNo: 0, sentenceNo: 1, endMs: 900 },
      { kind: 'sentence', legNo: 1, sentenceNo: 1, endMs: 1_200 },
      { kind: 'sentence', legNo: 0, sentenceNo: 2, endMs: 5_000 },
      { kind: 'event', eventNo: 4 },
      { kind: 'dialog-gone', sipCallId: 'a' },
      { kind: 'record', record: { revision: 2 } },
    ];
    expect(readJournal(lines.map(writeJournalLine).join(''))).toEqual({
      owner: 'one',
      record: { revision: 2 },
      dialogs: [place('b')],
      legs: new Map([
        [0, { sentences: 2, endMs: 5_000 }],
        [1, { sentences: 1, endMs: 1_200 }],
      ]),
      lastEventNo: 4,
      unreadableLines: 0,
    });
  });

  it('cut off at any byte, it says what its whole lines say', () => {
    const entry = fc.oneof(
      fc.record({
        kind: fc.constant('sentence' as const),
        legNo: fc.nat(1),
        sentenceNo: fc.integer({ min: 1, max: 9 }),
        endMs: fc.nat(10_000),
      }),
      fc.record({ kind: fc.constant('event' as const), eventNo: fc.nat(9) }),
      fc.record({ kind: fc.constant('dialog' as const), place: fc.constantFrom(place('a'), place('b')) }),
      fc.record({ kind: fc.constant('dialog-gone' as const), sipCallId: fc.constantFrom('a', 'b') }),
      fc.record({ kind: fc.constant('record' as const), record: fc.dictionary(fc.string(), fc.string()) }),
    );
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 12 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (entries, where) => {
          const texts = entries.map(writeJournalLine);
          const bytes = Buffer.from(texts.join(''));
          const cut = Math.floor(where * bytes.length);
          let whole = 0;
          for (let end = 0; whole < texts.length; whole += 1) {
            end += Buffer.byteLength(texts[whole]!) - 1;
            if (end > cut) break;
            end += 1;
          }
          const read = readJournal(bytes.subarray(0, cut).toString('utf8'));
          const expected = readJournal(texts.slice(0, whole).join(''));
          expect({ ...read, unreadableLines: 0 }).toEqual(expected);
        },
      ),
      { seed: 5, numRuns: 300 },
    );
  });

  it('passes over half a line that more was written behind', () => {
    const text = `${writeJournalLine({ kind: 'event', eventNo: 1 })}{"kind":"ev\n${writeJournalLine({ kind: 'event', eventNo: 3 })}`;
    expect(readJournal(text)).toMatchObject({ lastEventNo: 3, unreadableLines: 1 });
  });
});

describe('a call’s journal', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'callscribe-journal-'));
  });
  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  const open = (callId: CallId, directory: string, onFailed = (): unknown => undefined): JournalFile =>
    new JournalFile({ callId, directory, owner: 'me', logger: silentLogger, onFailed });

  it('has all that was told, in order, as soon as it is written; and is gone when it is removed', async () => {
    const call = aCall();
    const directory = join(root, call.id);
    const journal = open(call.id, directory);
    journal.record(call);
    journal.dialog(place('a'));
    for (let sentenceNo = 1; sentenceNo <= 50; sentenceNo += 1) {
      journal.sentence(0, sentenceNo, sentenceNo * 1_000);
    }
    await journal.written();
    const state = readJournal(await readFile(join(directory, JOURNAL_FILE), 'utf8'));
    expect(state).toMatchObject({ owner: 'me', unreadableLines: 0, record: { id: call.id } });
    expect(state.legs.get(0)).toMatchObject({ sentences: 50, endMs: 50_000 });
    await journal.remove();
    journal.sentence(0, 51, 51_000);
    await journal.written();
    await expect(readFile(join(directory, JOURNAL_FILE))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('keeps no file open when the call is over, and takes the lines that follow', async () => {
    const call = aCall();
    const directory = join(root, call.id);
    const journal = open(call.id, directory);
    const path = join(directory, JOURNAL_FILE);
    journal.record(call);
    await journal.written();
    expect(await timesOpen(path)).toBe(1);
    journal.ended();
    await journal.written();
    expect(await timesOpen(path)).toBe(0);
    for (let eventNo = 1; eventNo <= 50; eventNo += 1) {
      journal.event(eventNo);
      if (eventNo % 7 === 0) await journal.written();
      if (eventNo % 5 === 0) await Promise.resolve();
    }
    await journal.written();
    expect(await timesOpen(path)).toBe(0);
    const state = readJournal(await readFile(path, 'utf8'));
    expect(state).toMatchObject({
      owner: 'me',
      unreadableLines: 0,
      record: { id: call.id },
      lastEventNo: 50,
    });
    await journal.remove();
  });

  it('goes on without a disk, and writes everything when there is one again', async () => {
    const callId = newCallId();
    // A file where its directory is to be.
    const blocked = join(root, 'blocked');
    await writeFile(blocked, '');
    let failures = 0;
    const journal = open(callId, join(blocked, callId), () => (failures += 1));
    journal.event(1);
    await journal.written();
    expect(failures).toBe(1);
    journal.event(2);
    await rm(blocked);
    await expect
      .poll(() => readFile(join(blocked, callId, JOURNAL_FILE), 'utf8').catch(() => ''), { timeout: 10_000 })
      .toContain('"eventNo":2');
    expect(readJournal(await readFile(join(blocked, callId, JOURNAL_FILE), 'utf8'))).toMatchObject({
      owner: 'me',
      lastEventNo: 2,
      unreadableLines: 0,
    });
    await journal.remove();
  });
});
