-- A routing rule says which endpoints of its tenant are told of a call, by name (docs/routing.md, `webhooks`). It stands
-- in `calls.metadata.route.webhooks`: no list is all endpoints, an empty one is none. A sentence may be stored before its
-- call's first snapshot, and a look at the call's row would race with it, so each sentence carries the names itself, as
-- it carries the tenant. Null, which costs nothing, is all.

alter table webhook_endpoints add column name text;

create unique index webhook_endpoints_name on webhook_endpoints (tenant, name);

alter table sentences add column webhooks text[];

comment on column webhook_endpoints.name is 'By which rules name it; unique in its tenant';
comment on column sentences.webhooks is 'Names of the endpoints that are told of it, as its call''s rule says; null: all of the tenant';

create function route_tells(metadata jsonb, endpoint_name text) returns boolean language sql immutable parallel safe
return jsonb_typeof(metadata #> '{route,webhooks}') is distinct from 'array'
       or coalesce(metadata #> '{route,webhooks}' ? endpoint_name, false);

comment on function route_tells(jsonb, text) is 'Whether the rule that took the call with this metadata lets the endpoint be told of it';

create or replace function webhooks_of_sentences() returns trigger language plpgsql as $$
begin
  insert into webhook_messages (endpoint_id, message_id, type, call_id, leg_id, sentence_no)
  select endpoint.id, 'sentence_' || new_rows.leg_id || '_' || sentence_no, 'sentence.final', call_id, leg_id, sentence_no
    from new_rows join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant
   where endpoint.state = 'active' and 'sentence.final' = any (endpoint.event_types)
     and (new_rows.webhooks is null or endpoint.name = any (new_rows.webhooks))
   order by new_rows.leg_id, sentence_no
  on conflict (endpoint_id, message_id) do nothing;
  return null;
end $$;

-- What a call without a snapshot (revision 0) comes to is told with its first one: until then nobody knows whom to tell.
create or replace function webhooks_of_calls() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into webhook_messages (endpoint_id, message_id, type, call_id)
    select endpoint.id, told.message_id, told.type, new_rows.id
      from new_rows join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant,
           lateral (values ('started_' || new_rows.id, 'call.started', new_rows.revision > 0),
                           (new_rows.state || '_' || new_rows.id, 'call.complete',
                            new_rows.revision > 0 and new_rows.state in ('complete', 'failed'))) as told (message_id, type, is_so)
     where told.is_so and endpoint.state = 'active' and told.type = any (endpoint.event_types)
       and route_tells(new_rows.metadata, endpoint.name)
     order by new_rows.id, told.type desc
    on conflict (endpoint_id, message_id) do nothing;
  else
    insert into webhook_messages (endpoint_id, message_id, type, call_id)
    select endpoint.id, told.message_id, told.type, new_rows.id
      from new_rows join old_rows on old_rows.id = new_rows.id
           join webhook_endpoints endpoint on endpoint.tenant = new_rows.tenant,
           lateral (values ('started_' || new_rows.id, 'call.started', old_rows.revision = 0 and new_rows.revision > 0),
                           (new_rows.state || '_' || new_rows.id, 'call.complete',
                            new_rows.revision > 0 and new_rows.state in ('complete', 'failed')
                            and (old_rows.state <> new_rows.state or old_rows.revision = 0)))
             as told (message_id, type, is_so)
     where told.is_so and endpoint.state = 'active' and told.type = any (endpoint.event_types)
       and route_tells(new_rows.metadata, endpoint.name)
     order by new_rows.id, told.type desc
    on conflict (endpoint_id, message_id) do nothing;
  end if;
  return null;
end $$;
