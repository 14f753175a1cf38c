-- Rows for years: every table that grows with the calls is cut into months, so that old months go away by DROP
-- and the new rows' indexes stay small.
--
-- The cut goes by ids, because the primary key (leg_id, sentence_no) must hold the column that is cut by. Ids of
-- calls are in the order of time (UUID version 7), and a leg's id has the time of its call's id. So all rows of a
-- call are in one month, and `leg_ids_from` and `leg_ids_to` enclose its legs in the primary keys. Partitions:
--
--   x_2026_11     ids of that month (UTC), made ahead of time by src/store/months.ts
--   x_random_ids  what was there before: calls had random ids (version 4). Nearly all of these are above every
--                 version 7 id until the year 2109. Only where there were rows.
--   x_other       everything else: those few random ids that lie below, and rows of a month that nobody made
--                 (they move there when it is made). Nearly empty.
--
-- No foreign keys any more: each row would look into every month of the table that it refers to, and no month
-- could be dropped without scanning those that refer to it. What they guarded is guarded by the writers (a
-- sentence makes its call and leg) and by the check that a leg's id belongs to its call.

-- The time of its call is in a leg's id: its first 48 bits. Random ids say nothing.
create function leg_ids_from(call_id uuid) returns uuid language sql immutable strict parallel safe
return case substr(call_id::text, 15, 1)
  when '7' then overlay(call_id::text placing '7000-8000-000000000000' from 15)::uuid
  else '00000000-0000-0000-0000-000000000000'::uuid
end;

create function leg_ids_to(call_id uuid) returns uuid language sql immutable strict parallel safe
return case substr(call_id::text, 15, 1)
  when '7' then overlay(call_id::text placing '7fff-bfff-ffffffffffff' from 15)::uuid
  else 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid
end;

comment on function leg_ids_from(uuid) is 'Lowest id that a leg of this call may have: where leg_id between leg_ids_from(x) and leg_ids_to(x) and call_id = x reads one month only';

alter table call_identifiers drop constraint call_identifiers_call_id_fkey;
alter table call_events drop constraint call_events_call_id_fkey;
alter table call_links drop constraint call_links_call_id_fkey, drop constraint call_links_linked_id_fkey;
alter table sentences drop constraint sentences_leg_id_fkey, drop constraint sentences_call_id_fkey;
alter table legs drop constraint legs_call_id_fkey;

alter table legs add constraint legs_id_of_call check (id between leg_ids_from(call_id) and leg_ids_to(call_id));
alter table sentences add constraint sentences_leg_of_call
  check (leg_id between leg_ids_from(call_id) and leg_ids_to(call_id));

-- The tables become `x_random_ids`; a table of the old name, cut by ids, takes their place, columns and rights.
do $$
declare
  x record;
  i record;
begin
  for x in
    select * from (values ('calls', 'id'), ('call_identifiers', 'call_id'), ('legs', 'id'), ('sentences', 'leg_id'),
                          ('call_events', 'call_id')) as t (name, key)
  loop
    for i in select indexname from pg_indexes where schemaname = current_schema and tablename = x.name loop
      execute format('alter index %I rename to %I', i.indexname, x.name || '_random_ids' || substr(i.indexname, length(x.name) + 1));
    end loop;
    execute format('alter table %I rename to %I', x.name, x.name || '_random_ids');
    execute format(
      'create table %I (like %I including defaults including constraints including comments) partition by range (%I)',
      x.name, x.name || '_random_ids', x.key);
    execute format('create table %I partition of %I default', x.name || '_other', x.name);
    for i in
      select format('grant %s on %I to %s', a.privilege_type, x.name,
                    case a.grantee when 0 then 'public' else quote_ident(a.grantee::regrole::text) end) as command
        from pg_class c, aclexplode(c.relacl) a
       where c.oid = (x.name || '_random_ids')::regclass and a.grantee <> c.relowner
    loop
      execute i.command;
    end loop;
    execute format('comment on table %I is %L', x.name, obj_description((x.name || '_random_ids')::regclass, 'pg_class'));
  end loop;
end $$;

alter table calls add primary key (id);
alter table call_identifiers add primary key (call_id, kind, value);
alter table legs add primary key (id);
alter table sentences add primary key (leg_id, sentence_no);
alter table call_events add primary key (call_id, event_no);

create index calls_started_at on calls (started_at desc, id);
create index calls_unfinished on calls (started_at) where state in ('active', 'finishing');
create index call_identifiers_value on call_identifiers (value, kind);
-- For those who do not give a range of ids; equal entries are kept once, so it has a quarter of the size of one that
-- also has the order, and a call's few sentences are sorted quickly.
create index sentences_call on sentences (call_id);
drop index sentences_random_ids_call;
-- Unique within a month only, hence not on the whole table; src/store/months.ts gives it to each new month.
create unique index legs_other_call on legs_other (call_id, leg_no);

do $$
declare
  x record;
  had_rows boolean;
begin
  for x in
    select * from (values ('calls', 'id'), ('call_identifiers', 'call_id'), ('legs', 'id'), ('sentences', 'leg_id'),
                          ('call_events', 'call_id')) as t (name, key)
  loop
    execute format('select exists (select from %I)', x.name || '_random_ids') into had_rows;
    if not had_rows then
      execute format('drop table %I', x.name || '_random_ids');
      continue;
    end if;
    -- One in 64 lies where months will be.
    execute format(
      'with low as (delete from %1$I where %2$I < ''04000000-0000-0000-0000-000000000000'' returning *)
       insert into %3$I select * from low',
      x.name || '_random_ids', x.key, x.name);
    execute format(
      'alter table %I attach partition %I for values from (''04000000-0000-0000-0000-000000000000'') to (maxvalue)',
      x.name, x.name || '_random_ids');
  end loop;
end $$;
