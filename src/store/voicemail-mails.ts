import type { ClaimedMail } from '../mail/mailer.ts';
import type { MailVerdict } from '../mail/verdict.ts';
import type { Queryable } from './pool.ts';
import { type StoredVoicemail, VOICEMAIL_COLUMNS } from './voicemails.ts';

const CLAIM = {
  name: 'claim-voicemail-mail',
  text: `
with next as (
  select id as mail_id from voicemail_mails
   where state = 'pending' and due_at <= clock_timestamp() and claimed_until <= clock_timestamp()
   order by due_at, id
   limit 1
   for update skip locked
)
update voicemail_mails mail
   set claimed_until = clock_timestamp() + make_interval(secs => $1::float8 / 1000),
       attempts = attempts + 1, first_tried_at = coalesce(first_tried_at, clock_timestamp())
  from next, voicemails message
 where mail.id = mail_id and message.call_id = mail.call_id
returning mail.id as "mailId", mail.recipient, mail.attempts,
          (extract(epoch from clock_timestamp() - mail.first_tried_at) * 1000)::float8 as "firstTriedMsAgo",
          ${VOICEMAIL_COLUMNS}`,
};

/**
 * Takes the next e-mail; it is ours for `leaseMs`, and comes up again when we are silent so long.
 *
 * @throws what `pg` throws; see `toStoreError`
 */
export async function claimMail(db: Queryable, leaseMs: number): Promise<ClaimedMail | undefined> {
  type Row = Omit<ClaimedMail, 'voicemail'> & StoredVoicemail;
  const [row] = (await db.query<Row>({ ...CLAIM, values: [leaseMs] })).rows;
  return row && { ...row, voicemail: row };
}

const DELETE = { name: 'delete-voicemail-mail', text: 'delete from voicemail_mails where id = $1' };

const POSTPONE = {
  name: 'postpone-voicemail-mail',
  text: `
update voicemail_mails
   set claimed_until = '-infinity', due_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000),
       failure = $3, failed_at = clock_timestamp()
 where id = $1`,
};

const BURY = {
  name: 'bury-voicemail-mail',
  text: `
update voicemail_mails set state = 'dead', claimed_until = '-infinity', failure = $2, failed_at = clock_timestamp()
 where id = $1`,
};

/** Writes down what became of a claimed e-mail. @throws what `pg` throws; see `toStoreError` */
export async function settleMail(db: Queryable, mailId: string, verdict: MailVerdict): Promise<void> {
  switch (verdict.kind) {
    case 'delivered':
      await dropMail(db, mailId);
      return;
    case 'postpone':
      await db.query({ ...POSTPONE, values: [mailId, verdict.pauseMs, verdict.failure] });
      return;
    case 'bury':
      await db.query({ ...BURY, values: [mailId, verdict.failure] });
      return;
    default:
      verdict satisfies never;
  }
}

/** @throws what `pg` throws; see `toStoreError` */
export async function dropMail(db: Queryable, mailId: string): Promise<void> {
  await db.query({ ...DELETE, values: [mailId] });
}

/** What an operator watches. */
export interface MailHealth {
  readonly waiting: number;
  readonly dead: number;
  /** How long the oldest of those that wait has waited. */
  readonly oldestSeconds: number;
}

const HEALTH = {
  name: 'voicemail-mail-health',
  text: `
select count(*) filter (where state = 'pending')::int as waiting, count(*) filter (where state = 'dead')::int as dead,
       coalesce(extract(epoch from clock_timestamp() - min(created_at) filter (where state = 'pending')), 0)::float8
         as "oldestSeconds"
  from voicemail_mails`,
};

/** @throws what `pg` throws; see `toStoreError` */
export async function loadMailHealth(db: Queryable): Promise<MailHealth> {
  const none = { waiting: 0, dead: 0, oldestSeconds: 0 };
  return (await db.query<MailHealth>(HEALTH)).rows[0] ?? none;
}
