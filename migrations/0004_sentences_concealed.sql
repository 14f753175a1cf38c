-- How much of a sentence's audio never came, so that whoever judges a text knows what its recogniser had to guess.

alter table sentences add column concealed_ms integer not null default 0 check (concealed_ms >= 0);

comment on column sentences.concealed_ms is 'Milliseconds between begin and end whose packets were lost: audio made up for up to 60 ms of each gap, zero for the rest';
