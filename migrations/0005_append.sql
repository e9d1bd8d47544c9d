set local role audit_owner;

-- The only thing that writes to a log: whole requests of any tenants, numbered and inserted in
-- one transaction. The r_ arrays hold one element a request, the e_ arrays one an entry, in
-- the order of the requests; e_request is the request's place in r_, from 1.
--
-- Outcomes: 0 written, 1 replayed (the key's first answer), 2 key reused for another request,
-- 3 head held by somebody else, 4 the head is more than five minutes ahead of the clock,
-- 5 checked under settings that have changed since, 6 no such tenant.
--
-- Errors of its own: AU001 the mark has moved on, AU002 the two clocks are too far apart.
create function append(
    p_replica uuid,
    p_epoch bigint,
    p_batch bigint,
    p_now timestamptz,
    p_skip_locked boolean,
    r_tenant uuid[],
    r_settings_version integer[],
    r_entries integer[],
    r_recorded_by text[],
    r_key text[],
    r_fingerprint bytea[],
    r_refused text[],
    e_request integer[],
    e_occurred_at timestamptz[],
    e_user_id text[],
    e_user_name text[],
    e_session_id text[],
    e_request_id text[],
    e_action text[],
    e_resource_type text[],
    e_resource_id text[],
    e_severity smallint[],
    e_message text[],
    e_ip_address text[],
    e_user_agent text[],
    e_before text[],
    e_after text[],
    e_metadata text[]
)
returns table (
    outcome smallint,
    first_seq bigint,
    entries integer,
    recorded_at timestamptz,
    refused text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
-- Planning these statements for each batch would cost more than running them.
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
    v_keyed boolean := cardinality(array_remove(r_key, null)) > 0;
    v_now timestamptz;
    -- One element a head that we hold.
    v_held uuid[];
    v_head_seq bigint[];
    v_head_recorded_at timestamptz[];
    v_head_settings_version integer[];
    -- One element a request: what its key stood for before.
    v_key_fingerprint bytea[];
    v_key_first_seq bigint[];
    v_key_entries integer[];
    v_key_recorded_at timestamptz[];
    v_key_refused text[];
    -- One element a request: what becomes of it. v_offset is what makes an entry's place among
    -- all entries its seq.
    v_outcome smallint[];
    v_first_seq bigint[];
    v_entries integer[];
    v_recorded_at timestamptz[];
    v_offset bigint[];
    v_new_day boolean;
begin
    -- Always in the same order, or two writers would wait for each other for ever. A row that was
    -- waited for comes as its last holder has left it.
    if p_skip_locked then
        select
            array_agg(held.tenant_id), array_agg(held.seq), array_agg(held.recorded_at),
            array_agg(held.settings_version)
        into v_held, v_head_seq, v_head_recorded_at, v_head_settings_version
        from (
            select h.tenant_id, h.seq, h.recorded_at, h.settings_version
            from log_head h
            where h.tenant_id = any (r_tenant)
            order by h.tenant_id
            for update skip locked
        ) held;
    else
        select
            array_agg(held.tenant_id), array_agg(held.seq), array_agg(held.recorded_at),
            array_agg(held.settings_version)
        into v_held, v_head_seq, v_head_recorded_at, v_head_settings_version
        from (
            select h.tenant_id, h.seq, h.recorded_at, h.settings_version
            from log_head h
            where h.tenant_id = any (r_tenant)
            order by h.tenant_id
            for update
        ) held;
    end if;

    v_now := date_trunc('milliseconds', clock_timestamp());
    if v_now not between p_now - interval '5 minutes' and p_now + interval '5 minutes' then
        raise exception 'the clocks of the database and the service are more than 5 minutes apart'
            using errcode = 'AU002';
    end if;

    -- A statement of its own: only a snapshot taken after the locks shows the keys that the
    -- previous holder of a head has committed. Bounded on both sides, so that partitions of
    -- yesterday and of tomorrow are not opened.
    if v_keyed then
        select
            array_agg(k.fingerprint order by k.n), array_agg(k.first_seq order by k.n),
            array_agg(k.entries order by k.n), array_agg(k.recorded_at order by k.n),
            array_agg(k.refused order by k.n)
        into v_key_fingerprint, v_key_first_seq, v_key_entries, v_key_recorded_at, v_key_refused
        from (
            -- A key that was used again after its 24 hours may stand there twice, should the
            -- clock have gone back since: the later one counts.
            select distinct on (r.n)
                r.n, i.fingerprint, i.first_seq, i.entries, i.recorded_at, i.refused
            from unnest(r_tenant, r_key) with ordinality r (tenant_id, key, n)
            left join idempotency_key i
                on i.tenant_id = r.tenant_id
                and i.key = r.key
                and i.recorded_at > v_now - interval '24 hours'
                and i.recorded_at <= v_now + interval '5 minutes'
            order by r.n, i.recorded_at desc
        ) k;
    end if;

    with request as (
        select
            r.n,
            r.tenant_id,
            r.entries,
            sum(r.entries) over (order by r.n) - r.entries as entries_before,
            h.seq as head_seq,
            greatest(h.recorded_at, v_now) as recorded_at,
            h.seq = 0 or (h.recorded_at at time zone 'utc')::date < (v_now at time zone 'utc')::date
                as new_day,
            r.key_first_seq,
            r.key_entries,
            r.key_recorded_at,
            case
                when h.seq is null then case when p_skip_locked then 3 else 6 end
                when h.settings_version <> r.settings_version then 5
                when r.key_fingerprint = r.fingerprint then 1
                when r.key_fingerprint <> r.fingerprint then 2
                when h.recorded_at > v_now + interval '5 minutes' then 4
                else 0
            end::smallint as outcome
        from unnest(
            r_tenant, r_settings_version, r_entries, r_fingerprint, v_key_fingerprint,
            v_key_first_seq, v_key_entries, v_key_recorded_at
        ) with ordinality r (
            tenant_id, settings_version, entries, fingerprint, key_fingerprint,
            key_first_seq, key_entries, key_recorded_at, n
        )
        left join unnest(v_held, v_head_seq, v_head_recorded_at, v_head_settings_version)
            h (tenant_id, seq, recorded_at, settings_version)
            on h.tenant_id = r.tenant_id
    ), numbered as (
        select
            q.*,
            case q.outcome
                when 0 then q.head_seq + 1 - q.entries
                    + sum(q.entries) filter (where q.outcome = 0)
                        over (partition by q.tenant_id order by q.n)
                when 1 then q.key_first_seq
                else 0
            end::bigint as first_seq
        from request q
    )
    select
        array_agg(q.outcome), array_agg(q.first_seq),
        array_agg(case q.outcome when 1 then q.key_entries else q.entries end),
        array_agg(case q.outcome when 1 then q.key_recorded_at else q.recorded_at end),
        array_agg((q.first_seq - q.entries_before - 1)::bigint),
        bool_or(q.new_day and q.outcome = 0)
    into v_outcome, v_first_seq, v_entries, v_recorded_at, v_offset, v_new_day
    from (select * from numbered order by n) q;

    insert into audit_log (
        tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id,
        request_id, action, resource_type, resource_id, severity, message, ip_address, user_agent,
        before, after, metadata
    )
    select
        r_tenant[e.request], v_recorded_at[e.request], v_offset[e.request] + e.n,
        r_recorded_by[e.request], coalesce(e.occurred_at, v_recorded_at[e.request]), e.user_id,
        e.user_name, e.session_id, e.request_id, e.action, e.resource_type, e.resource_id,
        e.severity, e.message, e.ip_address, e.user_agent,
        e.before::json, e.after::json, e.metadata::json
    from unnest(
        e_request, e_occurred_at, e_user_id, e_user_name, e_session_id, e_request_id, e_action,
        e_resource_type, e_resource_id, e_severity, e_message, e_ip_address, e_user_agent,
        e_before, e_after, e_metadata
    ) with ordinality e (
        request, occurred_at, user_id, user_name, session_id, request_id, action,
        resource_type, resource_id, severity, message, ip_address, user_agent,
        before, after, metadata, n
    )
    where v_outcome[e.request] = 0;

    update log_head h
    set seq = w.last_seq, recorded_at = w.recorded_at
    from (
        select r.tenant_id, max(r.first_seq + r.entries - 1) as last_seq, max(r.recorded_at) as recorded_at
        from unnest(r_tenant, v_first_seq, v_entries, v_recorded_at, v_outcome)
            r (tenant_id, first_seq, entries, recorded_at, outcome)
        where r.outcome = 0
        group by r.tenant_id
    ) w
    where h.tenant_id = w.tenant_id;

    if v_new_day then
        insert into log_day (tenant_id, day, first_seq)
        select r.tenant_id, (r.recorded_at at time zone 'utc')::date, min(r.first_seq)
        from unnest(r_tenant, v_first_seq, v_recorded_at, v_outcome)
            r (tenant_id, first_seq, recorded_at, outcome)
        where r.outcome = 0
        group by r.tenant_id, (r.recorded_at at time zone 'utc')::date
        on conflict on constraint log_day_pkey do nothing;
    end if;

    if v_keyed then
        insert into idempotency_key (
            tenant_id, key, recorded_at, fingerprint, first_seq, entries, refused
        )
        select
            r.tenant_id, r.key, r.recorded_at, r.fingerprint, r.first_seq, r.entries, r.refused
        from unnest(
            r_tenant, r_key, v_recorded_at, r_fingerprint, v_first_seq, v_entries, r_refused, v_outcome
        ) r (tenant_id, key, recorded_at, fingerprint, first_seq, entries, refused, outcome)
        where r.key is not null and r.outcome = 0;
    end if;

    -- Last, with the result. Whoever settles a lost answer moves the epoch on: either this row
    -- is ours and they wait for our commit, or they were first and nothing of this stands.
    if p_replica is not null then
        update writer_mark m
        set batch = p_batch,
            outcomes = v_outcome,
            first_seqs = v_first_seq,
            recorded_ats = v_recorded_at,
            marked_at = v_now
        where m.replica = p_replica and m.epoch = p_epoch;
        if not found then
            raise exception 'writer mark has moved on' using errcode = 'AU001';
        end if;
    end if;

    return query
    select *
    from unnest(v_outcome, v_first_seq, v_entries, v_recorded_at, v_key_refused);
end
$$;

revoke execute on function append from public;
grant execute on function append to audit_writer, audit_worker;

reset role;
