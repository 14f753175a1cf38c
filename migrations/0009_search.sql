-- Search for any two or more characters that were said. Postgres has no index for that without an extension, so the
-- pairs of neighbouring characters are made where the sentence is written, and a plain GIN index over an array of
-- numbers finds those that hold all pairs of a word; the text itself then decides (src/search).

alter table sentences add column tenant text not null default 'default';
alter table sentences add column search_text text not null default '';
alter table sentences add column search_pairs integer[] not null default '{}';

create index sentences_search on sentences using gin (search_pairs) with (fastupdate = on);
-- From the newest sentence on, of all tenants or of one.
create index sentences_newest on sentences (begin_at desc, leg_id desc, sentence_no desc);
create index sentences_tenant_newest on sentences (tenant, begin_at desc, leg_id desc, sentence_no desc);

comment on column sentences.search_text is 'What was said without punctuation, spaces, case and width; behind a line end the same with numbers in digits';
comment on column sentences.search_pairs is 'Pairs of neighbouring UTF-16 units of search_text, each as one number';
