-- What was said, and what else happened. A row is written once: its key is the fact (leg and number, call and
-- number), so a job that runs twice changes nothing.

create table sentences (
  leg_id         uuid not null references legs (id) on delete cascade,
  sentence_no    integer not null check (sentence_no >= 1),
  call_id        uuid not null references calls (id) on delete cascade,
  begin_ms       integer not null check (begin_ms >= 0),
  end_ms         integer not null,
  begin_at       timestamptz not null,
  end_at         timestamptz not null,
  text           text not null,
  words          jsonb not null default '[]',
  emo_tag        text,
  emo_confidence double precision,
  asr_task_id    text not null,
  stored_at      timestamptz not null default clock_timestamp(),
  primary key (leg_id, sentence_no),
  constraint sentences_end_after_begin check (end_ms >= begin_ms)
);

-- A transcript is read in the order in which people spoke.
create index sentences_call on sentences (call_id, begin_at);

comment on table sentences is 'Final sentences; they do not change any more';
comment on column sentences.begin_ms is 'Milliseconds since the leg''s first sample';
comment on column sentences.begin_at is 'The same moment on the wall clock';
comment on column sentences.words is '[{text, begin_ms, end_ms, punctuation}] on the leg''s clock';
comment on column sentences.stored_at is 'When the row was written, to tell how long a sentence was on its way';

create table call_events (
  call_id  uuid not null references calls (id) on delete cascade,
  event_no integer not null check (event_no >= 1),
  -- No reference: an event may come before its leg, and does not know the leg''s number to make a skeleton.
  leg_id   uuid,
  at       timestamptz not null,
  kind     text not null,
  detail   jsonb not null default '{}',
  primary key (call_id, event_no)
);

comment on table call_events is 'Holds, pauses, DTMF, reconnects, gaps, faults: what a reader of the transcript may want to know';
