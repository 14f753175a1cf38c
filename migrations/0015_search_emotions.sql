-- The few sentences that are not neutral, from the newest call on: a search for what was said in anger looks through them
-- alone. As in 0009, partitions with rows get theirs from src/store/fill-search.ts while calls run.

create index sentences_emotion on only sentences (emo_tag, leg_id, sentence_no) where emo_tag in ('positive', 'negative');

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
    execute format('create index %I on %I (emo_tag, leg_id, sentence_no) where emo_tag in (''positive'', ''negative'')',
                   replace(partition, 'sentences', 'sentences_emotion'), partition);
    execute format('alter index sentences_emotion attach partition %I', replace(partition, 'sentences', 'sentences_emotion'));
  end loop;
end $$;
