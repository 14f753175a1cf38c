-- What a call comes to in figures; what the sweeper needs to find calls that hang; which calls were forgotten on
-- request; numbers that can be found.

create table call_figures (
  call_id              uuid not null,
  revision             integer not null,
  span_ms              integer not null,
  agent_talk_ms        integer not null,
  customer_talk_ms     integer not null,
  other_talk_ms        integer not null,
  silence_ms           integer not null,
  longest_silence_ms   integer not null,
  overlap_ms           integer not null,
  interruptions        integer not null,
  longest_monologue_ms integer not null,
  sentences            integer not null,
  words                integer not null,
  characters           integer not null,
  heard_ms             bigint not null,
  recognised_ms        bigint not null,
  concealed_ms         bigint not null,
  legs                 jsonb not null,
  computed_at          timestamptz not null default clock_timestamp()
) partition by range (call_id);
create table call_figures_other partition of call_figures default;
alter table call_figures add primary key (call_id);

comment on table call_figures is 'What a complete call comes to; docs/database.md defines each figure';
comment on column call_figures.revision is 'The call''s snapshot that they were computed from';
comment on column call_figures.other_talk_ms is 'Of legs whose role is mixed or unknown';
comment on column call_figures.heard_ms is 'Audio of all legs together; recognised_ms: what of it a recogniser took';
comment on column call_figures.legs is '[{legNo, role, talkMs, interruptions, longestMonologueMs, sentences, words, characters, heardMs, recognisedMs, concealedMs, emotion}], by leg';

-- No default that would rewrite the table: rows of before have none.
alter table calls add column updated_at timestamptz, add column fault text;
alter table calls alter column updated_at set default clock_timestamp();
comment on column calls.updated_at is 'When a snapshot last came';
comment on column calls.fault is 'Why the sweeper gave the call up: lost (nothing came of it any more), sentences_missing; null once what was missing came after all';

create table forgotten_calls (
  call_id      uuid primary key,
  forgotten_at timestamptz not null default clock_timestamp()
);
comment on table forgotten_calls is 'Calls deleted on request: what still comes of them from queues and outboxes is dropped';

-- The digits of a number, last first, so that a number is found with and without its country and trunk prefix:
-- where reversed_number(uri) like reverse('13800138000') || '%'
create function reversed_number(uri text) returns text language sql immutable strict parallel safe
return reverse(regexp_replace(regexp_replace(
  substring(uri from '^(?:sips?|tel):([^@;>]*)'), '%2[bB]', '', 'g'), '[^0-9]', '', 'g'));

create index legs_number on legs (reversed_number(uri) text_pattern_ops) where uri is not null;
