-- The lock: leases of stacks, the queue before them, and what was left behind.
--
-- Each step of state/src/lock/protocol.rs is a function here, called in one round trip: it locks the stack's row, reads
-- the database's clock only then, and does the same. No session state is kept, so a pooler may sit in between.
-- The functions that end in _at take the time; they are for the owner (and its tests) alone.

create table stackproof.stack (
    id bigint generated always as identity primary key,
    backend text not null,
    project text not null,
    stack text not null,
    -- The last fencing number given, and the last one given back.
    fence bigint not null default 0,
    released bigint not null default 0,
    unique (backend, project, stack)
);

create table stackproof.lease (
    stack bigint not null references stackproof.stack,
    kind text not null check (kind in ('run', 'hold')),
    holder uuid not null,
    fence bigint not null,
    owner jsonb not null,
    reason text,
    under uuid,
    ttl_ms bigint not null check (ttl_ms > 0),
    since timestamptz not null,
    renewed timestamptz not null,
    expires timestamptz not null,
    lock_file uuid,
    -- At most one command and one maintenance.
    primary key (stack, kind),
    unique (stack, fence)
);

create table stackproof.waiter (
    ticket bigint generated always as identity primary key,
    stack bigint not null references stackproof.stack,
    holder uuid not null,
    kind text not null check (kind in ('run', 'hold')),
    owner jsonb not null,
    reason text,
    under uuid,
    since timestamptz not null,
    seen timestamptz not null,
    patience_ms bigint not null,
    until timestamptz not null,
    unique (stack, holder)
);

create table stackproof.abandoned (
    stack bigint not null references stackproof.stack,
    fence bigint not null,
    lease jsonb not null,
    ended timestamptz not null,
    broken jsonb,
    -- When the next holder had removed its traces, and which lease that holder had.
    cleaned timestamptz,
    cleaned_fence bigint,
    primary key (stack, fence)
);

create function stackproof.after(at timestamptz, milliseconds bigint) returns timestamptz
language sql immutable set search_path = pg_catalog, pg_temp
begin atomic
    select at + milliseconds * interval '1 millisecond';
end;

create function stackproof.lease_json(which bigint, what text) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
begin atomic
    select to_jsonb(l) - 'stack' from stackproof.lease l where l.stack = which and l.kind = what;
end;

create function stackproof.waiter_json(w stackproof.waiter) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
begin atomic
    select to_jsonb(w) - 'stack' - 'ticket';
end;

create function stackproof.abandoned_json(which bigint) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
begin atomic
    select coalesce(
        jsonb_agg(jsonb_build_object('grant', a.lease, 'ended', a.ended, 'broken', a.broken) order by a.fence), '[]')
    from stackproof.abandoned a where a.stack = which and a.cleaned is null;
end;

-- Whose turn it is, of those who could be let in.
create function stackproof.next_waiter(which bigint, at timestamptz) returns stackproof.waiter
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select w from stackproof.waiter w
    where w.stack = which
        and stackproof.after(w.seen, w.patience_ms) > at
        and w.under is not distinct from (select l.holder from stackproof.lease l where l.stack = which and l.kind = 'hold')
    order by w.ticket limit 1;
end;

create function stackproof.standing_json(which bigint, at timestamptz) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    first stackproof.waiter := stackproof.next_waiter(which, at);
begin
    return jsonb_build_object(
        'at', at,
        'run', stackproof.lease_json(which, 'run'),
        'hold', stackproof.lease_json(which, 'hold'),
        'next', case when first.ticket is not null then stackproof.waiter_json(first) end);
end $$;

-- Tells whoever is next, and listens, to ask again.
create function stackproof.wake(which bigint, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    first stackproof.waiter;
begin
    if not exists (select from stackproof.lease l where l.stack = which and l.kind = 'run') then
        first := stackproof.next_waiter(which, at);
        if first.ticket is not null then
            perform pg_notify('stackproof_lock', first.holder::text);
        end if;
    end if;
end $$;

-- Locks the stack's row, then reads the clock, then ends what has run out.
create function stackproof.enter(
    b text, p text, s text, inout at timestamptz, out which bigint)
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    ended boolean := false;
begin
    select t.id into which from stackproof.stack t
        where t.backend = b and t.project = p and t.stack = s for update;
    if which is null then
        insert into stackproof.stack (backend, project, stack) values (b, p, s) on conflict do nothing;
        select t.id into strict which from stackproof.stack t
            where t.backend = b and t.project = p and t.stack = s for update;
    end if;
    at := coalesce(at, clock_timestamp());

    insert into stackproof.abandoned (stack, fence, lease, ended)
        select l.stack, l.fence, to_jsonb(l) - 'stack', l.expires
        from stackproof.lease l where l.stack = which and l.kind = 'run' and l.expires <= at;
    delete from stackproof.lease l where l.stack = which and l.expires <= at;
    ended := found;
    delete from stackproof.waiter w where w.stack = which and w.until <= at;
    if ended then
        perform stackproof.wake(which, at);
    end if;
end $$;

create function stackproof.lock_acquire_at(b text, p text, s text, request jsonb, at timestamptz) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    which bigint;
    mine constant uuid := (request->>'holder')::uuid;
    what constant text := request->>'kind';
    token constant uuid := (request->>'under')::uuid;
    ttl constant bigint := (request->>'ttl_ms')::bigint;
    wait constant bigint := (request->>'wait_ms')::bigint;
    good timestamptz;
    door uuid;
    first stackproof.waiter;
    number bigint;
    place bigint;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    good := stackproof.after(at, ttl);

    -- Asked again because the answer was lost.
    update stackproof.lease l set renewed = at, expires = good
        where l.stack = which and l.kind = what and l.holder = mine;
    if found then
        return jsonb_build_object('answer', 'granted',
            'grant', stackproof.lease_json(which, what), 'abandoned', stackproof.abandoned_json(which));
    end if;

    select l.holder into door from stackproof.lease l where l.stack = which and l.kind = 'hold';
    if token is not null then
        if door is distinct from token then
            delete from stackproof.waiter w where w.stack = which and w.holder = mine;
            return jsonb_build_object('answer', 'hold_over');
        end if;
        -- Held again within: it lasts from now on.
        if what = 'hold' then
            update stackproof.lease l set renewed = at, expires = greatest(l.expires, good)
                where l.stack = which and l.kind = 'hold';
            return jsonb_build_object('answer', 'granted',
                'grant', stackproof.lease_json(which, what), 'abandoned', stackproof.abandoned_json(which));
        end if;
    end if;

    first := stackproof.next_waiter(which, at);
    if not exists (select from stackproof.lease l where l.stack = which and l.kind = 'run')
        and door is not distinct from token
        and (first.ticket is null or first.holder = mine)
    then
        delete from stackproof.waiter w where w.stack = which and w.holder = mine;
        update stackproof.stack t set fence = t.fence + 1 where t.id = which returning t.fence into strict number;
        insert into stackproof.lease
            (stack, kind, holder, fence, owner, reason, under, ttl_ms, since, renewed, expires)
            values (which, what, mine, number, request->'owner', request->>'reason', token, ttl, at, at, good);
        return jsonb_build_object('answer', 'granted',
            'grant', stackproof.lease_json(which, what), 'abandoned', stackproof.abandoned_json(which));
    end if;

    if wait is null then
        delete from stackproof.waiter w where w.stack = which and w.holder = mine;
        return jsonb_build_object('answer', 'busy', 'standing', stackproof.standing_json(which, at));
    end if;

    insert into stackproof.waiter
        (stack, holder, kind, owner, reason, under, since, seen, patience_ms, until)
        select which, mine, what, request->'owner', request->>'reason', token, at, at,
            (request->>'patience_ms')::bigint, stackproof.after(at, wait)
        where not exists (select from stackproof.waiter w where w.stack = which and w.holder = mine);
    if not found then
        update stackproof.waiter w set seen = at, until = stackproof.after(at, wait)
            where w.stack = which and w.holder = mine;
    end if;
    select count(*) into strict place from stackproof.waiter w
        where w.stack = which
            and w.under is not distinct from token
            and stackproof.after(w.seen, w.patience_ms) > at
            and w.ticket < (select m.ticket from stackproof.waiter m where m.stack = which and m.holder = mine);
    return jsonb_build_object('answer', 'waiting',
        'position', place + 1, 'standing', stackproof.standing_json(which, at));
end $$;

create function stackproof.held_json(expires timestamptz) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
begin atomic
    select case when expires is null then jsonb_build_object('answer', 'lost')
        else jsonb_build_object('answer', 'held', 'expires', expires) end;
end;

create function stackproof.lock_renew_at(b text, p text, s text, mine uuid, number bigint, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    which bigint;
    good timestamptz;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    update stackproof.lease l set renewed = at, expires = stackproof.after(at, l.ttl_ms)
        where l.stack = which and l.kind = 'run' and l.holder = mine and l.fence = number
        returning l.expires into good;
    return stackproof.held_json(good);
end $$;

create function stackproof.lock_note_at(
    b text, p text, s text, mine uuid, number bigint, file uuid, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    which bigint;
    good timestamptz;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    update stackproof.lease l set lock_file = file
        where l.stack = which and l.kind = 'run' and l.holder = mine and l.fence = number
        returning l.expires into good;
    return stackproof.held_json(good);
end $$;

create function stackproof.lock_release_at(b text, p text, s text, mine uuid, number bigint, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    which bigint;
    last bigint;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    delete from stackproof.lease l where l.stack = which and l.holder = mine and l.fence = number;
    if found then
        update stackproof.stack t set released = number where t.id = which;
        perform stackproof.wake(which, at);
    end if;
    select t.released into strict last from stackproof.stack t where t.id = which;
    return jsonb_build_object('answer', case when last = number then 'released' else 'not_held' end);
end $$;

create function stackproof.lock_give_up_at(b text, p text, s text, mine uuid, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    which bigint;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    delete from stackproof.waiter w where w.stack = which and w.holder = mine;
    delete from stackproof.lease l where l.stack = which and l.holder = mine;
    perform stackproof.wake(which, at);
    return null;
end $$;

create function stackproof.lock_break_at(
    b text, p text, s text, whose uuid, breaker text, why text, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    which bigint;
    what text;
    taken jsonb;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    -- The command first, should one holder have both.
    select l.kind into what from stackproof.lease l
        where l.stack = which and l.holder = whose order by l.kind desc limit 1;
    if what is null then
        return jsonb_build_object('answer', 'not_found', 'standing', stackproof.standing_json(which, at));
    end if;
    taken := stackproof.lease_json(which, what);
    insert into stackproof.abandoned (stack, fence, lease, ended, broken)
        values (which, (taken->>'fence')::bigint, taken, at, jsonb_build_object('by', breaker, 'reason', why));
    delete from stackproof.lease l where l.stack = which and l.kind = what;
    perform pg_notify('stackproof_lock', whose::text);
    perform stackproof.wake(which, at);
    return jsonb_build_object('answer', 'broken', 'grant', taken);
end $$;

create function stackproof.lock_clean_at(
    b text, p text, s text, mine uuid, number bigint, left_behind bigint, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    which bigint;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    if not exists (select from stackproof.lease l
        where l.stack = which and l.kind = 'run' and l.holder = mine and l.fence = number) then
        return jsonb_build_object('answer', 'lost');
    end if;
    update stackproof.abandoned a set cleaned = at, cleaned_fence = number
        where a.stack = which and a.fence = left_behind and a.cleaned is null;
    return jsonb_build_object('answer', case when found then 'cleaned' else 'unknown' end);
end $$;

create function stackproof.lock_status_at(b text, p text, s text, at timestamptz)
returns jsonb language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
    which bigint;
begin
    select e.at, e.which into strict at, which from stackproof.enter(b, p, s, at) e;
    return jsonb_build_object(
        'at', at,
        'fence', (select t.fence from stackproof.stack t where t.id = which),
        'run', stackproof.lease_json(which, 'run'),
        'hold', stackproof.lease_json(which, 'hold'),
        'queue', (select coalesce(jsonb_agg(stackproof.waiter_json(w) order by w.ticket), '[]')
            from stackproof.waiter w where w.stack = which),
        'abandoned', stackproof.abandoned_json(which));
end $$;

-- What deployers may call. They run with the rights of their owner, on the database's clock.

create function stackproof.lock_acquire(b text, p text, s text, request jsonb) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_acquire_at(b, p, s, request, null);
end;

create function stackproof.lock_renew(b text, p text, s text, mine uuid, number bigint) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_renew_at(b, p, s, mine, number, null);
end;

create function stackproof.lock_note(b text, p text, s text, mine uuid, number bigint, file uuid) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_note_at(b, p, s, mine, number, file, null);
end;

create function stackproof.lock_release(b text, p text, s text, mine uuid, number bigint) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_release_at(b, p, s, mine, number, null);
end;

create function stackproof.lock_give_up(b text, p text, s text, mine uuid) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_give_up_at(b, p, s, mine, null);
end;

create function stackproof.lock_break(b text, p text, s text, whose uuid, breaker text, why text) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_break_at(b, p, s, whose, breaker, why, null);
end;

create function stackproof.lock_clean(b text, p text, s text, mine uuid, number bigint, left_behind bigint)
returns jsonb language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_clean_at(b, p, s, mine, number, left_behind, null);
end;

create function stackproof.lock_status(b text, p text, s text) returns jsonb
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select stackproof.lock_status_at(b, p, s, null);
end;
