-- Search for any two or more characters that were said. Postgres has no index for that without an extension, so the
-- pairs of neighbouring characters are made where the sentence is written, and a plain GIN index over an array of
-- numbers finds those that hold all pairs of a word; the text itself then decides (src/search).
--
-- Rows of before have null in both columns. Filling them and indexing what they fill takes minutes for millions, so it
-- does not happen here, where the table stands still meanwhile: the indexes are made for the table's partitions to come
-- and for those without rows, and src/store/fill-search.ts does the others while calls run.

alter table sentences add column tenant text not null default 'default';
alter table sentences add column search_text text;
alter table sentences add column search_pairs integer[];

create index sentences_search on only sentences using gin (search_pairs) with (fastupdate = on);
-- From the newest call on: of all tenants the primary key serves, of one this.
create index sentences_tenant on only sentences (tenant, leg_id, sentence_no);

do $$
declare
  partition text;
  had_rows boolean;
begin
  for partition in
    select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
     where inhparent = 'sentences'::regclass
  loop
    execute format('select exists (select from %I)', partition) into had_rows;
    continue when had_rows;
    execute format('create index %I on %I using gin (search_pairs) with (fastupdate = on)', partition || '_search', partition);
    execute format('create index %I on %I (tenant, leg_id, sentence_no)', partition || '_tenant', partition);
    execute format('alter index sentences_search attach partition %I', partition || '_search');
    execute format('alter index sentences_tenant attach partition %I', partition || '_tenant');
  end loop;
end $$;

comment on column sentences.search_text is 'What was said without punctuation, spaces, case and width; behind a line end the same with numbers in digits; null: not filled yet';
comment on column sentences.search_pairs is 'Pairs of neighbouring UTF-16 units of search_text, each as one number';
