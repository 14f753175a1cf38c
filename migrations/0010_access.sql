-- Who may read calls by HTTP, who did, and what lists of calls need.

create table api_tokens (
  id                  text primary key,
  digest              text not null check (digest ~ '^[0-9a-f]{64}$'),
  name                text not null,
  tenant              text,
  scopes              text[] not null check (scopes <@ array['live', 'read', 'audio', 'write', 'admin']),
  requests_per_minute integer check (requests_per_minute > 0),
  created_at          timestamptz not null default clock_timestamp(),
  expires_at          timestamptz,
  revoked_at          timestamptz
);

comment on table api_tokens is 'Tokens of the API; npm run tokens';
comment on column api_tokens.id is 'The part of the token that may be seen: by it the row is found';
comment on column api_tokens.digest is 'SHA-256 of the whole token; the token itself is nowhere';
comment on column api_tokens.tenant is 'The only tenant that it sees; null sees all';
comment on column api_tokens.requests_per_minute is 'Null: the limit of the service';

-- Gone after a crash of the server, which costs a browser a second try.
create unlogged table api_tickets (
  digest     text primary key,
  principal  jsonb not null,
  expires_at timestamptz not null
);

create index api_tickets_expiry on api_tickets (expires_at);

comment on table api_tickets is 'One-time tickets by which a browser opens a stream; a row is deleted by its use';

create table access_log (
  id         bigint generated always as identity primary key,
  at         timestamptz not null default clock_timestamp(),
  token_id   text not null,
  token_name text not null,
  tenant     text,
  kind       text not null,
  call_id    uuid not null,
  request_id text not null,
  peer       text not null
);

create index access_log_call on access_log (call_id, at);
create index access_log_at on access_log (at);

comment on table access_log is 'Who read which call''s transcript or recording, written before the first byte goes out';
comment on column access_log.kind is 'transcript, recording, live, search';
comment on column access_log.tenant is 'Of the token; null sees all';

-- The user of an address: a name, an extension, a number.
create function uri_user(uri text) returns text language sql immutable strict parallel safe
return substring(uri from '^(?:sips?|tel):([^@;>]*)');

create index legs_agent_name on legs (lower(name)) where role = 'agent';
create index legs_agent_user on legs (lower(uri_user(uri))) where role = 'agent';
