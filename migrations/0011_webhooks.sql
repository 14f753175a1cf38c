-- What the CRM is told by itself. A message is made by the same commit as the row that it tells of, whoever writes
-- that row, hence by triggers: nothing can be told that is not stored, nothing stored is left untold, and a queue that
-- loses everything loses none of it. A message holds only which row it is about; its body is read from the rows when it
-- is sent, so speech lies in no second place. It is deleted when it was delivered.

create table webhook_endpoints (
  id              uuid primary key,
  tenant          text not null default 'default',
  url             text not null,
  secret          text not null,
  -- Still signed with until then, beside the new one.
  old_secret      text,
  old_secret_ends timestamptz,
  event_types     text[] not null,
  state           text not null default 'active' check (state in ('active', 'disabled')),
  disabled_reason text check (disabled_reason in ('operator', 'gone', 'failing')),
  created_at      timestamptz not null default clock_timestamp(),
  -- In a row, without a success between.
  failures        integer not null default 0,
  failing_since   timestamptz,
  -- Nothing is sent before then.
  held_until      timestamptz not null default '-infinity',
  delivered       bigint not null default 0,
  delivered_at    timestamptz,
  last_failure    text
);

create index webhook_endpoints_tenant on webhook_endpoints (tenant) where state = 'active';

comment on table webhook_endpoints is 'Where a tenant''s messages go; docs/webhooks.md';

create table webhook_messages (
  id              bigint generated always as identity primary key,
  -- No reference: each would lock its endpoint's row, which every delivery changes.
  endpoint_id     uuid not null,
  message_id      text not null,
  type            text not null,
  call_id         uuid not null,
  leg_id          uuid,
  sentence_no     integer,
  data            jsonb,
  created_at      timestamptz not null default clock_timestamp(),
  state           text not null default 'pending' check (state in ('pending', 'dead')),
  attempts        integer not null default 0,
  first_tried_at  timestamptz,
  due_at          timestamptz not null default clock_timestamp(),
  claimed_until   timestamptz not null default '-infinity',
  failure         text,
  failed_at       timestamptz,
  -- All messages of a call go through the same of an endpoint's eight lanes.
  lane            smallint not null generated always as ((get_byte(uuid_send(call_id), 15) % 8)::smallint) stored,
  unique (endpoint_id, message_id)
);

create index webhook_messages_due on webhook_messages (endpoint_id, lane, due_at) where state = 'pending';
create index webhook_messages_call on webhook_messages (call_id, endpoint_id);
create index webhook_messages_dead on webhook_messages (failed_at) where state = 'dead';

comment on table webhook_messages is 'What is still to be told, and what could not be (dead)';
comment on column webhook_messages.message_id is 'The header webhook-id: made from the fact, so the same fact is the same message';
comment on column webhook_messages.data is 'What stands in no other row';

create function webhooks_of_sentences() returns trigger language plpgsql as $$
begin
  insert into webhook_messages (endpoint_id, message_id, type, call_id, leg_id, sentence_no)
  select endpoint.id, 'sentence_' || new_rows.leg_id || '_' || sentence_no, 'sentence.final', call_id, leg_id, sentence_no
    from new_rows join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant
   where endpoint.state = 'active' and 'sentence.final' = any (endpoint.event_types)
   order by new_rows.leg_id, sentence_no
  on conflict (endpoint_id, message_id) do nothing;
  return null;
end $$;

create trigger webhooks after insert on sentences referencing new table as new_rows
  for each statement execute function webhooks_of_sentences();

-- A call's first snapshot, and its end. A call that was given up and got complete after all has both ends told.
create function webhooks_of_calls() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into webhook_messages (endpoint_id, message_id, type, call_id)
    select endpoint.id, told.message_id, told.type, new_rows.id
      from new_rows join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant,
           lateral (values ('started_' || new_rows.id, 'call.started', new_rows.revision > 0),
                           (new_rows.state || '_' || new_rows.id, 'call.complete',
                            new_rows.state in ('complete', 'failed'))) as told (message_id, type, is_so)
     where told.is_so and endpoint.state = 'active' and told.type = any (endpoint.event_types)
     order by new_rows.id, told.type desc
    on conflict (endpoint_id, message_id) do nothing;
  else
    insert into webhook_messages (endpoint_id, message_id, type, call_id)
    select endpoint.id, told.message_id, told.type, new_rows.id
      from new_rows join old_rows on old_rows.id = new_rows.id
           join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant,
           lateral (values ('started_' || new_rows.id, 'call.started', old_rows.revision = 0 and new_rows.revision > 0),
                           (new_rows.state || '_' || new_rows.id, 'call.complete',
                            new_rows.state in ('complete', 'failed') and old_rows.state <> new_rows.state))
             as told (message_id, type, is_so)
     where told.is_so and endpoint.state = 'active' and told.type = any (endpoint.event_types)
     order by new_rows.id, told.type desc
    on conflict (endpoint_id, message_id) do nothing;
  end if;
  return null;
end $$;

create trigger webhooks_insert after insert on calls referencing new table as new_rows
  for each statement execute function webhooks_of_calls();
create trigger webhooks_update after update on calls referencing new table as new_rows old table as old_rows
  for each statement execute function webhooks_of_calls();
