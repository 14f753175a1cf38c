import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { expect, it } from 'vitest';

import { systemClock } from '../../src/clock.ts';
import { loadConfig } from '../../src/config.ts';
import { newCallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import { recordingFile } from '../../src/recording/recording-file.ts';
import { makeMonths } from '../../src/store/months.ts';
import { createPool } from '../../src/store/pool.ts';
import { saveCall } from '../../src/store/save-call.ts';
import { startSweeper, sweepOnce } from '../../workers/sweeper.ts';
import { createDatabase } from '../support/database.ts';
import { aCall } from '../support/facts.ts';
import { leaveMessage } from '../support/voicemails.ts';

it('the sweeper deletes rows and recordings beyond their time, counts what it gives up, and shows how things are', async () => {
  const database = await createDatabase();
  const recordings = await mkdtemp(join(tmpdir(), 'callscribe-sweeper-'));
  const pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  const metrics = createMetrics();
  const config = loadConfig({
    DATA_DIR: recordings,
    RECORDING_DIR: recordings,
    ROWS_KEEP_DAYS: '60',
    CALL_HANGS_HOURS: '1',
  });
  const deps = { pool, config, metrics, logger: silentLogger, clock: systemClock };
  try {
    const [files, ids]: [string[], string[]] = [[], []];
    for (const startedAt of [new Date('2024-05-05'), new Date()]) {
      const call = aCall({ id: newCallId(startedAt), startedAt });
      await saveCall(pool, call);
      const file = recordingFile(call.id, startedAt);
      await mkdir(dirname(join(recordings, file)), { recursive: true });
      await writeFile(join(recordings, file), 'RIFF');
      files.push(file);
      await mkdir(join(recordings, 'unrecognised', call.id), { recursive: true });
      await writeFile(join(recordings, 'unrecognised', call.id, 'leg-0.g711'), 'audio');
      ids.push(call.id);
    }
    await pool.query(`update calls set updated_at = now() - interval '2 hours'`);
    await sweepOnce(deps);
    expect((await pool.query('select state, fault from calls')).rows).toEqual([
      { state: 'failed', fault: 'lost' },
    ]);
    const left = await readdir(recordings, { recursive: true });
    expect(left.filter((name) => name.endsWith('.wav'))).toEqual([files[1]]);
    expect(await readdir(join(recordings, 'unrecognised'))).toEqual([ids[1]]);

    const sweeper = startSweeper(deps);
    const text = async (): Promise<string> => metrics.registry.metrics();
    while (!(await text()).includes('callscribe_rows_months_ahead 3')) await pool.query('select 1');
    expect(await text()).toContain('callscribe_calls_given_up_total{fault="lost"} 2');
    expect(await text()).toContain('callscribe_sweeps_total{outcome="done"} 1');
    expect(await text()).toContain('callscribe_rows_in_no_month 0');
    expect(await text()).toContain('callscribe_rows_dead_letters 0');
    await sweeper.close();
    await sweeper.close();
  } finally {
    await pool.end();
    await database.drop();
    await rm(recordings, { recursive: true });
  }
});

it('the sweeper deletes messages of calls beyond their time, and tells whose mailboxes they were in', async () => {
  const database = await createDatabase();
  const pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  const directory = await mkdtemp(join(tmpdir(), 'callscribe-sweeper-'));
  const config = loadConfig({ DATA_DIR: directory, ROWS_KEEP_DAYS: '60' });
  const told: string[] = [];
  try {
    await makeMonths(pool, new Date('2024-05-05'));
    const old = { mailbox: 'old', startedAt: new Date('2024-05-05'), mailTo: ['a@example.com'] };
    await leaveMessage(pool, old);
    await leaveMessage(pool, old);
    const kept = await leaveMessage(pool, { mailbox: 'kept' });
    await sweepOnce({
      pool,
      config,
      metrics: createMetrics(),
      logger: silentLogger,
      clock: systemClock,
      onMailbox: ({ tenant, mailbox }) => told.push(`${tenant} ${mailbox}`),
    });
    expect((await pool.query('select call_id from voicemails')).rows).toEqual([{ call_id: kept }]);
    expect((await pool.query('select 1 from voicemail_mails')).rowCount).toBe(0);
    expect(told).toEqual(['default old']);
  } finally {
    await pool.end();
    await database.drop();
    await rm(directory, { recursive: true, force: true });
  }
});
