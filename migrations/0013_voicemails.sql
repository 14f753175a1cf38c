-- Messages that callers left. A message is a call with one leg, so it has the call's id; its sound is the stretch
-- [begin_ms, end_ms) of the call's recording. The row is made when the call has all its sentences and its recording.
-- No reference to the call: a month of calls could not be dropped (0006).

create table voicemails (
  call_id     uuid primary key,
  leg_id      uuid not null,
  tenant      text not null,
  mailbox     text not null,
  -- The user of the caller's address, and the name that came with it.
  caller      text,
  caller_name text,
  -- The leg's clock, from the end of the beep.
  begin_ms    integer not null,
  end_ms      integer not null check (end_ms >= begin_ms),
  began_at    timestamptz not null,
  ended_at    timestamptz not null,
  end_reason  text not null check (end_reason in ('hangup', 'key', 'silence', 'limit', 'lost')),
  content     text not null check (content in ('message', 'short', 'empty')),
  text        text not null default '',
  -- Whether there is sound to it: its recording could be made.
  recorded    boolean not null,
  state       text not null default 'new' check (state in ('new', 'heard', 'deleted')),
  state_at    timestamptz not null default clock_timestamp(),
  created_at  timestamptz not null default clock_timestamp()
);

create index voicemails_mailbox on voicemails (mailbox, tenant, call_id desc);

-- Calls whose message has no row yet: from the commit of the event `voicemail_began` until the message's row is made.
create table awaited_voicemails (
  call_id uuid primary key
);

comment on table voicemails is 'Messages that callers left (routes of mode voicemail); docs/voicemail.md';
comment on column voicemails.end_reason is 'lost: the process that took the message died, and another one finished it';
comment on column voicemails.content is 'empty: nobody spoke; short: less than the mailbox asks for. Both are kept, and nobody is told of them but by webhook';

-- E-mails that are still to be sent, and those that could not be. A line is made with the message's row and deleted
-- when the mail server has taken it.
create table voicemail_mails (
  id             bigint generated always as identity primary key,
  call_id        uuid not null references voicemails (call_id) on delete cascade,
  recipient      text not null,
  state          text not null default 'pending' check (state in ('pending', 'dead')),
  attempts       integer not null default 0,
  first_tried_at timestamptz,
  due_at         timestamptz not null default clock_timestamp(),
  claimed_until  timestamptz not null default '-infinity',
  failure        text,
  failed_at      timestamptz,
  created_at     timestamptz not null default clock_timestamp(),
  unique (call_id, recipient)
);

create index voicemail_mails_due on voicemail_mails (due_at) where state = 'pending';

comment on table voicemail_mails is 'E-mails about messages, until the mail server has taken them';
comment on table awaited_voicemails is 'Calls whose message has no row yet';
