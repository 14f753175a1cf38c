-- Why a leg has its role: by which rule, from what that rule saw, and whose leg it was before. Other rules can
-- label a stored call again from it.

alter table legs add column role_evidence jsonb not null default '{}';

comment on column legs.role_evidence is '{mapping, participantIds, rule, saw, history: [{since, role, name, uri, …}]}: why the role is what it is; history is oldest first and ends with the present party';

-- Some peers name the parties of their lines in headers and send no metadata.
alter table calls drop constraint calls_mapping_check;
alter table calls add constraint calls_mapping_check
  check (mapping in ('metadata', 'signalled', 'receiver', 'positional', 'none'));
