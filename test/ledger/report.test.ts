import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallRecord } from '../../src/call/record.ts';
import { newCallId, newLegId } from '../../src/ids.ts';
import { AnsweredCalls, deleteOldAnsweredCalls, readAnsweredCalls } from '../../src/ledger/answered-calls.ts';
import { silentLogger } from '../../src/log.ts';
import { completeCall } from '../../src/store/complete-call.ts';
import type { Pool } from '../../src/store/pool.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { saveSentence } from '../../src/store/save-sentence.ts';
import type { TestDatabase } from '../support/database.ts';
import { createDatabase } from '../support/database.ts';
import { aCall, aSentence, finishing } from '../support/facts.ts';

const run = promisify(execFile);
const FROM = '2026-03-01T00:00:00Z';
const TO = '2026-03-02T00:00:00Z';

let database: TestDatabase;
let pool: Pool;
let dataDir: string;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  dataDir = await mkdtemp(join(tmpdir(), 'callscribe-report-'));
});

afterAll(async () => {
  await pool.end();
  await database.drop();
  await rm(dataDir, { recursive: true });
});

async function report(...args: string[]): Promise<{ readonly code: number; readonly output: string }> {
  const env = { ...process.env, DATABASE_URL: database.url, DATA_DIR: dataDir };
  const script = join(import.meta.dirname, '../../workers/report.ts');
  return run(process.execPath, ['--import', 'tsx', script, ...args], { env }).then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    (thrown: unknown) => {
      const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
      return { code, output: stdout + stderr };
    },
  );
}

const openLedger = (): AnsweredCalls =>
  new AnsweredCalls({
    directory: join(dataDir, 'answered'),
    logger: silentLogger,
    onFailed: () => {
      throw new Error('not noted');
    },
  });

/** An ended call of two legs of 30 s, with this much of the first one not recognised. */
function endedCall(unrecognisedMs: number, sentenceCounts = [1, 0]): { first: CallRecord; last: CallRecord } {
  const first = aCall();
  const last = finishing(first, sentenceCounts);
  const legs = last.legs.map((leg) => ({
    ...leg,
    media: { heardMs: 30_000, concealedMs: 100, unrecognisedMs: leg.legNo === 0 ? unrecognisedMs : 0 },
  }));
  return { first, last: { ...last, legs } };
}

describe('npm run report', () => {
  it('compares what the intake noted with the rows, and names each gap', async () => {
    const ledger = openLedger();
    const stored = endedCall(0);
    const never = endedCall(0);
    const unrecognised = endedCall(4_500);
    for (const { first, last } of [stored, never, unrecognised]) {
      ledger.note(first);
      ledger.note({ ...first, revision: 2 });
      ledger.note(last);
    }
    const goesOn = aCall();
    ledger.note(goesOn);
    await ledger.close();
    await saveCall(pool, goesOn);
    for (const { last } of [stored, unrecognised]) {
      await saveCall(pool, last);
      await saveSentence(pool, aSentence({ callId: last.id, legId: last.legs[0]!.id }));
      expect(await completeCall(pool, last.id)).toBe('complete');
    }

    const { code, output } = await report('--from', FROM, '--to', TO);
    expect(code).toBe(1);
    expect(output).toContain(`${never.last.id}  answered and not stored`);
    expect(output).toContain(`${unrecognised.last.id}  leg 0: 4.5 s of audio without recognition`);
    expect(output).not.toContain(`${stored.last.id} `);
    const json = JSON.parse((await report('--from', FROM, '--to', TO, '--json')).output) as object;
    expect(json).toMatchObject({
      ledger: {
        answered: 4,
        stored: 3,
        heardSeconds: 180,
        withoutEnd: 1,
        missing: [{ callId: never.last.id }],
      },
      totals: {
        calls: 3,
        complete: 2,
        active: 1,
        legs: 6,
        sentences: 2,
        heardSeconds: 120,
        recognisedSeconds: 115.5,
        concealedSeconds: 0.4,
      },
      gaps: [{ kind: 'unrecognised', legNo: 0, amount: 4.5 }],
    });
  });

  it('has no gap to tell where nothing happened', async () => {
    const { code, output } = await report('--from', '2026-02-01', '--to', '2026-02-02');
    expect(output).toContain('No gap.');
    expect(code).toBe(0);
  });

  it('names calls that were given up, sentences that are missing, legs without audio', async () => {
    const startedAt = new Date('2026-04-01T10:00:00Z');
    const id = newCallId(startedAt);
    const lacking = finishing(aCall({ id, startedAt }), [2, 0]);
    const silent = { ...lacking.legs[1]!, id: newLegId(id), startedAt: undefined };
    await saveCall(pool, { ...lacking, legs: [lacking.legs[0]!, silent] });
    const lost = aCall({ id: newCallId(startedAt), startedAt });
    await saveCall(pool, lost);
    await pool.query(`update calls set state = 'failed', fault = 'sentences_missing' where id = $1`, [id]);
    await pool.query(`update calls set state = 'failed', fault = 'lost' where id = $1`, [lost.id]);
    const { output } = await report('--from', '2026-04-01', '--to', '2026-04-02');
    expect(output).toContain(`${id}  leg 0: 2 sentences were given and are not stored`);
    expect(output).toContain(`${id}  leg 1: no audio came`);
    expect(output).toContain(`${lost.id}  given up`);
  });

  it.each([
    ['a time that is none', ['--from', 'yesterday']],
    ['a span that ends before it begins', ['--from', TO, '--to', FROM]],
    ['an unknown option', ['--all']],
  ])('refuses %s', async (_, args) => {
    expect(await report(...args)).toMatchObject({ code: 2 });
  });
});

describe('what an intake noted', () => {
  it('is read in spite of a torn line, and deleted after its time', async () => {
    const directory = join(dataDir, 'other');
    const ledger = new AnsweredCalls({ directory, logger: silentLogger, onFailed: () => undefined });
    const call = aCall();
    ledger.note(call);
    await ledger.close();
    await appendFile(join(directory, '2026-03-01.ndjson'), '{"call":"2bf8');
    await writeFile(join(directory, 'notes.txt'), '');
    const read = await readAnsweredCalls(directory, new Date(FROM), new Date(TO));
    expect(read).toEqual([{ callId: call.id, answeredAt: call.answeredAt, ended: undefined }]);
    await deleteOldAnsweredCalls(directory, new Date('2027-04-05'));
    expect(await readdir(directory)).toHaveLength(2);
    await deleteOldAnsweredCalls(directory, new Date('2027-04-07'));
    expect(await readdir(directory)).toEqual(['notes.txt']);
  });
});
