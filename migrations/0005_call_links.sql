-- Calls that belong together though each has its own row: a transfer that came as BYE and a new INVITE, a dialog
-- that took the place of another (RFC 3891), the two ends of a call that two processes took, a call that two
-- recorders' clients sent. A table and not a group column: why two calls belong together differs from pair to
-- pair, and may turn out otherwise when one of them ends. Nothing is dropped, a reader decides what to show.

create table call_links (
  call_id          uuid not null references calls (id) on delete cascade,
  linked_id        uuid not null references calls (id) on delete cascade,
  kind             text not null check (kind in ('replaces', 'joined', 'continues', 'duplicate')),
  identifier_kind  text not null,
  identifier_value text not null,
  primary key (call_id, linked_id),
  check (call_id <> linked_id)
);

create index call_links_linked on call_links (linked_id);

comment on table call_links is 'Pairs of calls that belong together; call_id is the one that began later';
comment on column call_links.kind is 'replaces: by its Replaces header; joined: two ends of one call; continues: one after the other; duplicate: the same call at the same time';
comment on column call_links.identifier_kind is 'What they have in common; the Call-ID for replaces';
