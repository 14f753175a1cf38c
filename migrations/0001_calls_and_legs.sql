-- What a call is and who spoke on which leg. Rows are written by queue consumers only.
--
-- Jobs may overtake each other: a sentence or an event may come before its call's first snapshot. Whoever comes
-- first makes the call (and the leg) as a skeleton, revision 0, so that foreign keys hold and nothing waits;
-- the snapshot fills it. Hence the columns that a snapshot always has may be null while revision = 0.

create table calls (
  id          uuid primary key,
  revision    integer not null default 0 check (revision >= 0),
  sip_call_id text,
  tenant      text,
  direction   text check (direction in ('inbound', 'outbound', 'unknown')),
  state       text not null default 'active' check (state in ('active', 'finishing', 'complete', 'failed')),
  mapping     text check (mapping in ('metadata', 'receiver', 'positional', 'none')),
  started_at  timestamptz,
  answered_at timestamptz,
  ended_at    timestamptz,
  end_reason  text,
  metadata    jsonb not null default '{}',
  constraint calls_snapshot_whole check (
    revision = 0
    or (sip_call_id is not null and tenant is not null and direction is not null
        and mapping is not null and started_at is not null)
  )
);

-- Lists are read newest first.
create index calls_started_at on calls (started_at desc, id);
-- Few at any time: what is still going on, and what may hang.
create index calls_unfinished on calls (started_at) where state in ('active', 'finishing');

comment on table calls is 'One telephone call, as its newest snapshot tells';
comment on column calls.revision is 'Number of the snapshot that this row shows; 0: only a sentence or event came yet';
comment on column calls.state is 'complete: every final sentence is in the table sentences';
comment on column calls.started_at is 'Arrival of the INVITE';
comment on column calls.mapping is 'How parties were matched to legs, strongest evidence first';

create table call_identifiers (
  call_id uuid not null references calls (id) on delete cascade,
  kind    text not null,
  value   text not null,
  primary key (call_id, kind, value)
);

-- Serves both questions: this value of this kind, and this value whatever it is.
create index call_identifiers_value on call_identifiers (value, kind);

comment on table call_identifiers is 'Every id by which a CRM may know the call: SIP Call-ID, UCID, X- headers, session and group ids';

create table legs (
  id             uuid primary key,
  call_id        uuid not null references calls (id) on delete cascade,
  leg_no         integer not null check (leg_no >= 0),
  label          text,
  role           text not null default 'unknown' check (role in ('agent', 'customer', 'mixed', 'unknown')),
  name           text,
  uri            text,
  codec          text check (codec in ('PCMU', 'PCMA')),
  model          text,
  vocabulary_id  text,
  started_at     timestamptz,
  ended_at       timestamptz,
  media          jsonb,
  sentence_count integer check (sentence_count >= 0),
  unique (call_id, leg_no)
);

comment on table legs is 'One audio line of a call: one speaker, or several where role is mixed';
comment on column legs.leg_no is '0-based position among the offer''s audio lines';
comment on column legs.started_at is 'Wall time of the first sample';
comment on column legs.media is 'Packets received, lost, late, duplicate; concealed ms; jitter';
comment on column legs.sentence_count is 'Final sentences that the leg gave; null until it has ended. The call is complete when that many rows are there';
