import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { loadConfig } from '../../src/config.ts';
import type { CallId } from '../../src/ids.ts';
import { silentLogger as logger } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics.ts';
import { loadDeadMails, replayDeadMails } from '../../src/store/dead-mails.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { claimMail } from '../../src/store/voicemail-mails.ts';
import { loadVoicemail, setVoicemailState } from '../../src/store/voicemails.ts';
import { CloseStack } from '../../workers/close-stack.ts';
import { startMails } from '../../workers/mails.ts';
import { createDatabase } from '../support/database.ts';
import { MailServer } from '../support/mail-server.ts';
import { leaveMessage, sampleAt } from '../support/voicemails.ts';

let closers: CloseStack;
let pool: Pool;
let server: MailServer;
let recordingDir: string;

beforeEach(async () => {
  closers = new CloseStack();
  const database = await createDatabase();
  closers.add(() => database.drop());
  pool = createPool({ databaseUrl: database.url, logger });
  closers.add(() => pool.end());
  recordingDir = await mkdtemp(join(tmpdir(), 'callscribe-mails-'));
  closers.add(() => rm(recordingDir, { recursive: true, force: true }));
  server = await MailServer.start();
  closers.add(() => server.down());
});

afterEach(() => closers.close());

function start(env: Readonly<Record<string, string>> = {}): ReturnType<typeof createMetrics> {
  const config = loadConfig({
    SMTP_URL: server.url,
    MAIL_FROM: 'vm@example.com',
    RECORDING_DIR: recordingDir,
    ...env,
  });
  const metrics = createMetrics();
  const role = startMails({ pool, config, logger, metrics, backoff: { minMs: 20, maxMs: 100 } });
  closers.add(() => role.close());
  return metrics;
}

const leave = (mailTo: readonly string[], more: object = {}): Promise<CallId> =>
  leaveMessage(pool, { recordingDir, mailTo, ...more });

/** Until it is so; the test's time limit is the limit. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await pool.query('select pg_sleep(0.01)');
}

const states = async (): Promise<readonly string[]> =>
  (await pool.query<{ state: string }>('select state from voicemail_mails order by id')).rows.map(
    ({ state }) => state,
  );

describe('e-mails about messages', () => {
  it('bring text and sound to each who is to have them, once', async () => {
    const callId = await leave(['anna@example.com', 'ben@example.com'], { texts: ['您好。', '请回电。'] });
    start();
    start();
    await until(async () => (await states()).length === 0);
    expect(server.received.flatMap(({ to }) => to).sort()).toEqual(['anna@example.com', 'ben@example.com']);
    const { mail } = server.received[0]!;
    expect(mail.subject).toBe('Voicemail from Anna (13800138000) for 1001 (0:05)');
    expect(mail.text).toContain('您好。请回电。');
    const [attachment] = mail.attachments;
    expect(attachment).toMatchObject({ filename: `voicemail-${callId}.wav`, mimeType: 'audio/wav' });
    const wav = Buffer.from(attachment!.content as ArrayBuffer);
    expect(wav.length).toBe(44 + 5_000 * 16);
    const samples = Array.from({ length: 40_000 }, (_, index) => wav.readInt16LE(44 + 2 * index));
    expect(samples).toEqual(Array.from({ length: 40_000 }, (_, index) => sampleAt(index)));
    const ids = server.received.map((received) => received.mail.messageId);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(id).toMatch(new RegExp(`^<voicemail-${callId}-\\d+@example\\.com>$`));
  });

  it('wait while the mail server is down, and come when it is up', async () => {
    await server.down();
    const callId = await leave(['anna@example.com']);
    start();
    const attempts = async (): Promise<number> =>
      (await pool.query<{ attempts: number }>('select attempts from voicemail_mails')).rows[0]!.attempts;
    await until(async () => (await attempts()) >= 3);
    expect(await states()).toEqual(['pending']);
    expect(await loadVoicemail(pool, undefined, callId)).toMatchObject({ state: 'new', recorded: true });
    await server.up();
    await until(async () => (await states()).length === 0);
    expect(server.received.map(({ to }) => to)).toEqual([['anna@example.com']]);
  });

  it('that the server never takes are dead and hold up no other; the message is safe; a replay sends them', async () => {
    server.refusal = (recipient) => (recipient.startsWith('gone') ? { at: 'rcpt', code: 550 } : undefined);
    const callId = await leave(['gone@example.com', 'anna@example.com']);
    const metrics = start();
    await until(async () => (await states()).join() === 'dead');
    expect(server.received.map(({ to }) => to)).toEqual([['anna@example.com']]);
    expect(await loadDeadMails(pool, 'all', { afterId: '0' })).toMatchObject([
      { callId, recipient: 'gone@example.com', attempts: 1, failure: 'EENVELOPE 550' },
    ]);
    expect(await loadVoicemail(pool, undefined, callId)).toMatchObject({ state: 'new' });
    const text = await metrics.registry.metrics();
    expect(text).toContain('callscribe_voicemail_mails_total{outcome="bury"} 1');
    expect(text).toContain('callscribe_voicemail_mails_total{outcome="delivered"} 1');

    server.refusal = () => undefined;
    expect(await replayDeadMails(pool, 'all')).toBe(1);
    await until(async () => (await states()).length === 0);
    expect(server.received.map(({ to }) => to)).toEqual([['anna@example.com'], ['gone@example.com']]);
  });

  it('that are refused for now come again, and are dead when their time is over', async () => {
    server.refusal = () => ({ at: 'data', code: 451 });
    await leave(['anna@example.com']);
    start();
    await until(() => server.refused >= 3);
    await pool.query(`update voicemail_mails set first_tried_at = now() - interval '73 hours'`);
    await until(async () => (await states()).join() === 'dead');
    expect(server.received).toEqual([]);
  });

  it('of a message that was deleted are not sent', async () => {
    const callId = await leave(['anna@example.com']);
    await setVoicemailState(pool, undefined, callId, 'deleted');
    start();
    await until(async () => (await states()).length === 0);
    expect(server.received).toEqual([]);
  });

  it('that a process had when it died come again when its lease is over', async () => {
    await leave(['anna@example.com']);
    expect(await claimMail(pool, 60_000)).toMatchObject({ recipient: 'anna@example.com', attempts: 1 });
    expect(await claimMail(pool, 60_000)).toBeUndefined();
    await pool.query(`update voicemail_mails set claimed_until = now()`);
    start();
    await until(() => server.received.length === 1);
  });

  it('come without the sound that is too large, or not here', async () => {
    await leave(['large@example.com']);
    await leave(['elsewhere@example.com'], { recordingDir: undefined });
    start({ MAIL_ATTACHMENT_MAX_MB: '0' });
    await until(async () => (await states()).length === 0);
    const textTo = (name: string): string | undefined =>
      server.received.find(({ to }) => to[0]?.startsWith(name))?.mail.text;
    expect(textTo('large')).toContain('too large');
    expect(textTo('elsewhere')).toContain('not on the machine');
    expect(server.received.flatMap(({ mail }) => mail.attachments)).toEqual([]);
  });

  it('are dead letters where no mail server is configured', async () => {
    await leave(['anna@example.com']);
    start({ SMTP_URL: '', MAIL_FROM: '' });
    await until(async () => (await states()).join() === 'dead');
    const [dead] = await loadDeadMails(pool, 'all', { afterId: '0' });
    expect(dead?.failure).toBe('no mail server is configured (SMTP_URL)');
  });
});
