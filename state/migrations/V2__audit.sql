-- The audit trail: rows that are only ever added, each carrying the hash of the one before.
--
-- hash = sha256(hash of the row before, in hexadecimal, then each column as <octets>:<text>, or - where there is none).
-- state/src/audit/row.rs computes the same: who verifies does not ask the database to.

create table stackproof.audit (
    backend text not null,
    number bigint not null check (number > 0),
    id uuid not null unique,
    at timestamptz not null,
    -- The database's user: nobody can say it is another.
    account text not null,
    who text not null,
    host text not null,
    command text not null,
    commit text,
    dirty boolean,
    project text,
    stack text,
    fence bigint,
    before text,
    after text,
    changes text not null,
    result text not null,
    milliseconds bigint not null,
    note text,
    previous text not null,
    hash text not null,
    primary key (backend, number)
);

-- The last row of each chain, so that rows missing at the end are missed.
create table stackproof.audit_head (
    backend text primary key,
    number bigint not null,
    hash text not null
);

create function stackproof.audit_field(value text) returns text
language sql immutable set search_path = pg_catalog, pg_temp
begin atomic
    select case when value is null then '-' else octet_length(convert_to(value, 'UTF8')) || ':' || value end;
end;

create function stackproof.audit_hash(r stackproof.audit) returns text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select encode(sha256(convert_to(r.previous
        || stackproof.audit_field(r.backend)
        || stackproof.audit_field(r.number::text)
        || stackproof.audit_field(r.id::text)
        || stackproof.audit_field(to_char(r.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        || stackproof.audit_field(r.account)
        || stackproof.audit_field(r.who)
        || stackproof.audit_field(r.host)
        || stackproof.audit_field(r.command)
        || stackproof.audit_field(r.commit)
        || stackproof.audit_field(r.dirty::text)
        || stackproof.audit_field(r.project)
        || stackproof.audit_field(r.stack)
        || stackproof.audit_field(r.fence::text)
        || stackproof.audit_field(r.before)
        || stackproof.audit_field(r.after)
        || stackproof.audit_field(r.changes)
        || stackproof.audit_field(r.result)
        || stackproof.audit_field(r.milliseconds::text)
        || stackproof.audit_field(r.note), 'UTF8')), 'hex');
end;

-- Adds a row, one after another for each backend. The same id twice is the same row.
create function stackproof.audit_append(b text, entry jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    head stackproof.audit_head;
    r stackproof.audit;
begin
    insert into stackproof.audit_head (backend, number, hash) values (b, 0, repeat('0', 64)) on conflict do nothing;
    select h.* into strict head from stackproof.audit_head h where h.backend = b for update;
    select a.* into r from stackproof.audit a where a.id = (entry->>'id')::uuid;
    if not found then
        r.backend := b;
        r.number := head.number + 1;
        r.id := (entry->>'id')::uuid;
        r.at := clock_timestamp();
        r.account := session_user;
        r.who := entry->>'who';
        r.host := entry->>'host';
        r.command := entry->>'command';
        r.commit := entry->>'commit';
        r.dirty := (entry->>'dirty')::boolean;
        r.project := entry->>'project';
        r.stack := entry->>'stack';
        r.fence := (entry->>'fence')::bigint;
        r.before := entry->>'before';
        r.after := entry->>'after';
        r.changes := entry->>'changes';
        r.result := entry->>'result';
        r.milliseconds := (entry->>'milliseconds')::bigint;
        r.note := entry->>'note';
        r.previous := head.hash;
        r.hash := stackproof.audit_hash(r);
        insert into stackproof.audit values (r.*);
        update stackproof.audit_head h set number = r.number, hash = r.hash where h.backend = b;
    end if;
    return jsonb_build_object('number', r.number, 'hash', r.hash);
end $$;

-- The owner is kept from slips, too. That it could take this away is why rows are chained.
create function stackproof.audit_keep() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise exception 'the audit trail is only ever added to' using errcode = 'insufficient_privilege';
end $$;

create trigger audit_keep before update or delete or truncate on stackproof.audit
    for each statement execute function stackproof.audit_keep();
create trigger audit_head_keep before delete or truncate on stackproof.audit_head
    for each statement execute function stackproof.audit_keep();
