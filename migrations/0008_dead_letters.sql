-- Facts that can never become rows as they are: unreadable, or refused by the database for their content. They leave
-- the queue so that those behind them go on, and stand here, not in the queue: what the outbox has handed over and
-- the queue has lost, this table still has.

create table dead_letters (
  id         bigint generated always as identity primary key,
  queue      text not null,
  fact_id    text not null,
  name       text not null,
  call_id    uuid,
  data       jsonb not null,
  code       text not null,
  reason     text not null,
  attempts   integer not null default 1,
  first_at   timestamptz not null default clock_timestamp(),
  last_at    timestamptz not null default clock_timestamp(),
  unique (queue, fact_id)
);

create index dead_letters_call on dead_letters (call_id) where call_id is not null;

comment on table dead_letters is 'Facts that cannot become rows as they are; see npm run dead-letters';
comment on column dead_letters.call_id is 'Where the fact tells it; no reference, since the call may not be there';
comment on column dead_letters.data is 'The fact as it came: may hold speech';
comment on column dead_letters.reason is 'What was wrong; never holds any of the data';
