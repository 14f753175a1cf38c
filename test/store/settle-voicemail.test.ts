import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { CallId } from '../../src/ids.ts';
import { silentLogger } from '../../src/log.ts';
import { Secret } from '../../src/secret.ts';
import { deleteCall } from '../../src/store/delete-call.ts';
import { createPool, type Pool } from '../../src/store/pool.ts';
import { settleVoicemail } from '../../src/store/settle-voicemail.ts';
import { loadVoicemail } from '../../src/store/voicemails.ts';
import { addEndpoint } from '../../src/store/webhook-endpoints.ts';
import type { MailboxAddress } from '../../src/voicemail/mailbox-news.ts';
import { newSecret, parseEndpointUrl } from '../../src/webhooks/endpoint.ts';
import type { RowDeps } from '../../workers/sentences.ts';
import { settleLeftVoicemails } from '../../workers/voicemails.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type MessageFactJobs, messageJobs, type MessageOptions, writeJob } from '../support/voicemails.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool({ databaseUrl: database.url, logger: silentLogger });
  await addEndpoint(pool, {
    tenant: 'default',
    url: parseEndpointUrl('https://crm.example.com/hooks'),
    eventTypes: ['voicemail.ready'],
    secret: new Secret(newSecret()),
  });
});

afterAll(async () => {
  await pool.end();
  await database.drop();
});

const MAIL_TO = ['a@example.com', 'b@example.com'];

interface Written extends MessageFactJobs {
  readonly told: readonly MailboxAddress[];
}

/** Writes them in this order, or all at once. */
async function write(
  options: MessageOptions,
  order: (jobs: MessageFactJobs['jobs']) => MessageFactJobs['jobs'],
  how: 'in-order' | 'at-once' = 'in-order',
): Promise<Written> {
  const told: MailboxAddress[] = [];
  const deps: RowDeps = {
    pool,
    logger: silentLogger,
    onMailbox: ({ tenant, mailbox }) => told.push({ tenant, mailbox }),
  };
  const facts = await messageJobs({ mailTo: MAIL_TO, ...options });
  const jobs = order(facts.jobs);
  if (how === 'at-once') await Promise.all(jobs.map((job) => writeJob(deps, job)));
  else for (const job of jobs) await writeJob(deps, job);
  return { ...facts, told };
}

async function toldOf(
  callId: CallId,
): Promise<{ readonly webhooks: number; readonly mails: readonly string[] }> {
  const { rows } = await pool.query<{ webhooks: number; mails: string[] | null }>(
    `select (select count(*)::int from webhook_messages where call_id = $1) as webhooks,
            (select array_agg(recipient order by recipient) from voicemail_mails where call_id = $1) as mails`,
    [callId],
  );
  return { webhooks: rows[0]!.webhooks, mails: rows[0]!.mails ?? [] };
}

describe('the row of a message', () => {
  it('is made when all of it is there, and not before', async () => {
    const { call, jobs } = await messageJobs({ mailTo: MAIL_TO });
    for (const job of jobs.slice(0, -1)) {
      await writeJob({ pool, logger: silentLogger }, job);
      expect(await loadVoicemail(pool, undefined, call.id)).toBeUndefined();
    }
    await writeJob({ pool, logger: silentLogger }, jobs.at(-1)!);
    expect(await loadVoicemail(pool, 'default', call.id)).toMatchObject({
      mailbox: '1001',
      caller: '13800138000',
      callerName: 'Anna',
      beginMs: 3_000,
      endMs: 8_000,
      beganAt: new Date(call.startedAt.getTime() + 3_050),
      endReason: 'hangup',
      content: 'message',
      text: 'Please call me back.',
      recorded: true,
      state: 'new',
    });
    expect(await loadVoicemail(pool, 'another', call.id)).toBeUndefined();
    expect(await toldOf(call.id)).toEqual({ webhooks: 1, mails: MAIL_TO });
  });

  it('is the same, made once and told of once, in whatever order its facts come, and come again', async () => {
    const texts = ['One.', 'Two.'];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(6), { minLength: 0, maxLength: 4 }),
        fc.infiniteStream(fc.nat()),
        async (again, random) => {
          const { call, told } = await write({ texts }, (jobs) => {
            const left = [...jobs, ...again.map((index) => jobs[index % jobs.length]!)];
            const shuffled: typeof left = [];
            while (left.length > 0) {
              shuffled.push(...left.splice((random.next().value as number) % left.length, 1));
            }
            return shuffled;
          });
          expect((await loadVoicemail(pool, undefined, call.id))?.text).toBe('One. Two.');
          expect(await toldOf(call.id)).toEqual({ webhooks: 1, mails: MAIL_TO });
          expect(told).toEqual([{ tenant: 'default', mailbox: '1001' }]);
        },
      ),
      { numRuns: 40, seed: 20261123 },
    );
  });

  it('is made once where all its facts come at the same time', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { call, told } = await write({}, (jobs) => jobs, 'at-once');
      expect(await toldOf(call.id)).toEqual({ webhooks: 1, mails: MAIL_TO });
      expect(told.length).toBe(1);
    }
  });

  it.each(['short', 'empty'] as const)('of one that is %s is told of by webhook only', async (content) => {
    const { call } = await write({ texts: [], ended: { content } }, (jobs) => jobs);
    expect(await loadVoicemail(pool, undefined, call.id)).toMatchObject({ content, text: '' });
    expect(await toldOf(call.id)).toEqual({ webhooks: 1, mails: [] });
  });

  it('is not made of a call that hung up before the beep', async () => {
    const { call } = await write({}, (jobs) => jobs.filter((job) => job.name !== 'call-event'));
    expect(await settleVoicemail(pool, call.id)).toEqual({ kind: 'none' });
  });

  it('of a call that nobody recognised is made all the same, and gets its text when it is', async () => {
    const { call, jobs } = await write({}, (all) =>
      all
        .map((job) =>
          job.name === 'call-end' ? { ...job, payload: { ...job.payload, state: 'failed' as const } } : job,
        )
        .filter(({ name }) => name !== 'sentence'),
    );
    expect(await loadVoicemail(pool, undefined, call.id)).toMatchObject({ text: '', content: 'message' });
    const end = jobs.find((job) => job.name === 'call-end')!;
    await writeJob(
      { pool, logger: silentLogger },
      jobs.find(({ name }) => name === 'sentence')!,
    );
    await writeJob(
      { pool, logger: silentLogger },
      {
        name: 'call-end',
        payload: { ...end.payload, revision: end.payload.revision + 1 },
      },
    );
    expect((await loadVoicemail(pool, undefined, call.id))?.text).toBe('Please call me back.');
    expect(await toldOf(call.id)).toEqual({ webhooks: 1, mails: MAIL_TO });
  });

  it('waits for its end, which is lost only where the process died', async () => {
    const without = (jobs: MessageFactJobs['jobs']): MessageFactJobs['jobs'] =>
      jobs.filter((job) => job.name !== 'call-event' || job.payload.kind !== 'voicemail_ended');
    const { call } = await write({}, without);
    expect(await settleVoicemail(pool, call.id)).toEqual({ kind: 'waiting' });
    const recovered = await write({}, (jobs) =>
      without(jobs).map((job) =>
        job.name === 'call-end'
          ? { ...job, payload: { ...job.payload, endReason: 'recovered' as const } }
          : job,
      ),
    );
    expect(await loadVoicemail(pool, undefined, recovered.call.id)).toMatchObject({
      endReason: 'lost',
      content: 'message',
      endMs: 59_950,
    });
  });

  it('is made by the sweeper of what the last check missed, or without what will not come', async () => {
    const { call } = await write({}, (jobs) => jobs.slice(0, -1));
    const deps = { pool, logger: silentLogger };
    const later = (ms: number): Date => new Date(Date.now() + ms);
    expect(await settleLeftVoicemails(deps, later(60_000))).toBe(0);
    expect(await settleLeftVoicemails(deps, later(600_000))).toBe(0);
    // Also the one above that waits for its end.
    expect(await settleLeftVoicemails(deps, later(3_700_000))).toBe(2);
    expect(await loadVoicemail(pool, undefined, call.id)).toMatchObject({ recorded: false, state: 'new' });
    expect(await settleLeftVoicemails(deps, later(3_700_000))).toBe(0);
  });

  it('is not made of a call that was deleted', async () => {
    const { call } = await write({}, (jobs) => jobs);
    expect(await deleteCall(pool, call.id)).toMatchObject({ voicemails: 1, voicemail_mails: 2 });
    expect((await pool.query('select from awaited_voicemails')).rowCount).toBe(0);
    expect(await settleVoicemail(pool, call.id)).toEqual({ kind: 'none' });
  });
});
