-- Files that were handed in to be recognised, and what became of them. What was said is in the rows of `call_id`.

create table transcriptions (
  id         uuid primary key,
  tenant     text not null,
  state      text not null default 'waiting' check (state in ('waiting', 'running', 'complete', 'failed')),
  bytes      bigint not null,
  -- 0 to 1, of all channels.
  progress   real not null default 0,
  sentences  integer not null default 0,
  call_id    uuid,
  fault_code text,
  fault      text,
  created_at timestamptz not null default clock_timestamp(),
  ended_at   timestamptz
);

create index transcriptions_unfinished on transcriptions (created_at) where state in ('waiting', 'running');

comment on table transcriptions is 'Files that were handed in to be recognised (POST /v1/transcriptions)';
comment on column transcriptions.fault is 'For whoever handed it in: what was found in the file, or that the recogniser could not be had';
