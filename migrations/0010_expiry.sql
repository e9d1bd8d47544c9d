-- How entries end. First the log's floor moves, with an entry that says so and a certificate that
-- stays for ever; from then on nobody is shown what lies below. Later the rows go: with their
-- partition when nobody needs it any more, else by themselves.
set local role audit_owner;

-- A shorter retention counts after a grace: until then the days before it are kept.
alter table tenant
    add column record_reads boolean not null default true,
    add column retention_kept_days integer,
    add column retention_kept_until timestamptz,
    add constraint tenant_retention_kept check (
        num_nulls(retention_kept_days, retention_kept_until) in (0, 2)
        and retention_kept_days between 1 and 36500
    );

-- Whether a consumer must have read an entry before its row may go.
alter table log_cursor add column holds_expiry boolean not null default false;

-- The certificates: what expired, by which rule, when; and when its rows were gone.
create table expiry (
    id uuid not null,
    tenant_id uuid not null,
    rule text not null,
    older_than timestamptz not null,
    first_seq bigint not null,
    last_seq bigint not null,
    entries bigint not null generated always as (last_seq - first_seq + 1) stored,
    first_recorded_at timestamptz,
    last_recorded_at timestamptz,
    expired_by text not null,
    expired_at timestamptz not null,
    erased_at timestamptz,
    constraint expiry_pkey primary key (id),
    constraint expiry_range unique (tenant_id, first_seq),
    constraint expiry_tenant foreign key (tenant_id) references tenant (id),
    constraint expiry_rule check (rule in ('retention', 'cleanup')),
    constraint expiry_entries check (entries >= 1),
    constraint expiry_recorded_at check (
        num_nulls(first_recorded_at, last_recorded_at) in (0, 2)
    )
);
comment on column expiry.first_recorded_at is
    'null where no row of the range was there any more when it expired';

-- What is still to be erased; the rest is kept for ever and not looked at.
create index expiry_unerased on expiry (id) where erased_at is null;

-- What a cleanup has announced, until it is confirmed: the token's SHA-256, not the token.
create table cleanup_confirm (
    tenant_id uuid not null,
    token bytea not null,
    older_than timestamptz not null,
    first_seq bigint not null,
    last_seq bigint not null,
    user_id text not null,
    made_at timestamptz not null default clock_timestamp(),
    constraint cleanup_confirm_pkey primary key (tenant_id, token),
    constraint cleanup_confirm_tenant foreign key (tenant_id) references tenant (id)
);

-- As before, with the new settings. A replica of the version before sends none of them.
create or replace function create_tenant(p_id uuid, p_name text, p_settings jsonb)
returns boolean
language plpgsql
volatile
as $$
begin
    insert into tenant (
        id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason,
        legal_hold_by, legal_hold_at, limits, record_reads
    )
    values (
        p_id,
        p_name,
        coalesce((p_settings ->> 'suspended')::boolean, false),
        (p_settings ->> 'retention_days')::integer,
        (p_settings ->> 'masking')::boolean,
        array(select jsonb_array_elements_text(p_settings -> 'masked_keys')),
        p_settings -> 'legal_hold' ->> 'reason',
        p_settings -> 'legal_hold' ->> 'by',
        (p_settings -> 'legal_hold' ->> 'at')::timestamptz,
        (p_settings -> 'limits')::json,
        coalesce((p_settings ->> 'record_reads')::boolean, true)
    )
    on conflict on constraint tenant_pkey do nothing;
    if not found then
        return false;
    end if;
    insert into log_head (tenant_id) values (p_id);
    insert into log_floor (tenant_id) values (p_id);
    return true;
end
$$;

create or replace function change_tenant(
    p_now timestamptz,
    p_tenant uuid,
    p_settings_version integer,
    p_settings jsonb,
    p_recorded_by text,
    p_user_id text,
    p_user_name text,
    p_request_id text,
    p_ip_address text,
    p_user_agent text,
    p_action text,
    p_before text,
    p_after text
)
returns smallint
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_outcome smallint;
begin
    select a.outcome into strict v_outcome
    from append(
        null, 0, 0, p_now, false,
        array[p_tenant], array[p_settings_version], array[1], array[p_recorded_by],
        array[null::text], array[null::bytea], array[null::text],
        array[1], array[null::timestamptz], array[p_user_id], array[p_user_name],
        array[null::text], array[p_request_id], array[p_action], array['audit_log'],
        array[p_tenant::text], array[0::smallint], array[null::text], array[p_ip_address],
        array[p_user_agent], array[p_before], array[p_after], array[null::text]
    ) a;
    if v_outcome <> 0 then
        return v_outcome;
    end if;

    update tenant t
    set name = p_settings ->> 'name',
        suspended = (p_settings ->> 'suspended')::boolean,
        retention_days = (p_settings ->> 'retention_days')::integer,
        retention_kept_days = case
            when p_settings ? 'retention_kept'
            then (p_settings -> 'retention_kept' ->> 'days')::integer
            else t.retention_kept_days
        end,
        retention_kept_until = case
            when p_settings ? 'retention_kept'
            then (p_settings -> 'retention_kept' ->> 'until')::timestamptz
            else t.retention_kept_until
        end,
        masking = (p_settings ->> 'masking')::boolean,
        masked_keys = array(select jsonb_array_elements_text(p_settings -> 'masked_keys')),
        legal_hold_reason = p_settings -> 'legal_hold' ->> 'reason',
        legal_hold_by = p_settings -> 'legal_hold' ->> 'by',
        legal_hold_at = (p_settings -> 'legal_hold' ->> 'at')::timestamptz,
        limits = (p_settings -> 'limits')::json,
        record_reads = coalesce((p_settings ->> 'record_reads')::boolean, t.record_reads),
        version = t.version + 1
    where t.id = p_tenant;

    update log_head h
    set settings_version = h.settings_version + 1
    where h.tenant_id = p_tenant;

    return v_outcome;
end
$$;

create or replace view tenant_setting as
select
    id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason, legal_hold_by,
    legal_hold_at, limits, version, created_at, record_reads, retention_kept_days,
    retention_kept_until
from tenant
where id = current_setting('audit.tenant_id')::uuid;

create view certificate as
select
    id, tenant_id, rule, older_than, first_seq, last_seq, entries, first_recorded_at,
    last_recorded_at, expired_by, expired_at, erased_at
from expiry
where tenant_id = current_setting('audit.tenant_id')::uuid;

-- What would expire of a log now: all that was recorded before `older_than`, which is p_older_than
-- (null: what retention says), but never within the days that are kept at least. Of the two
-- clocks the one that is behind counts, so one that is ahead expires nothing. Nothing would
-- expire when last_seq lies before first_seq, which is the floor.
create function expirable(
    p_now timestamptz,
    p_tenant uuid,
    p_older_than timestamptz,
    p_days_min integer
)
returns table (
    older_than timestamptz,
    settings_version integer,
    held boolean,
    first_seq bigint,
    last_seq bigint
)
language sql
stable
as $$
    select
        b.older_than,
        t.version,
        t.legal_hold_at is not null,
        f.floor_seq,
        greatest(
            f.floor_seq,
            coalesce(
                (
                    select d.first_seq
                    from log_day d
                    where d.tenant_id = t.id
                        and d.day >= (b.older_than at time zone 'utc')::date
                    order by d.day
                    limit 1
                ),
                h.seq + 1
            )
        ) - 1
    from tenant t
    join log_head h on h.tenant_id = t.id
    join log_floor f on f.tenant_id = t.id
    cross join lateral (
        select
            c.now,
            case
                when t.retention_kept_until > c.now
                then greatest(t.retention_days, t.retention_kept_days)
                else t.retention_days
            end as days
        from (select least(clock_timestamp(), p_now) as now) c
    ) k
    cross join lateral (
        select date_trunc('day', least(
            coalesce(p_older_than, k.now - greatest(k.days, p_days_min) * interval '24 hours'),
            k.now - p_days_min * interval '24 hours'
        ) at time zone 'utc') at time zone 'utc' as older_than
    ) b
    where t.id = p_tenant
$$;
revoke execute on function expirable from public;
grant execute on function expirable to audit_worker;

-- Appends one entry of the service itself. For the functions below, which run as the owner.
create function append_own(
    p_now timestamptz,
    p_tenant uuid,
    p_settings_version integer,
    p_recorded_by text,
    p_user_id text,
    p_user_name text,
    p_request_id text,
    p_ip_address text,
    p_user_agent text,
    p_action text,
    p_resource_id text,
    p_severity smallint,
    p_metadata text
)
returns table (outcome smallint, recorded_at timestamptz)
language sql
volatile
as $$
    select a.outcome, a.recorded_at
    from append(
        null, 0, 0, p_now, false,
        array[p_tenant], array[p_settings_version], array[1], array[p_recorded_by],
        array[null::text], array[null::bytea], array[null::text],
        array[1], array[null::timestamptz], array[p_user_id], array[p_user_name],
        array[null::text], array[p_request_id], array[p_action], array['audit_log'],
        array[p_resource_id], array[p_severity], array[null::text], array[p_ip_address],
        array[p_user_agent], array[null::text], array[null::text], array[p_metadata]
    ) a
$$;
revoke execute on function append_own from public;

-- The logical step: records that a log's beginning has expired, moves the floor there, and writes
-- the certificate, which it returns; no row when there is nothing to expire.
--
-- Errors of its own: AU003 the tenant is held, 40001 somebody else moved the floor meanwhile.
create function expire(
    p_now timestamptz,
    p_tenant uuid,
    p_id uuid,
    p_rule text,
    p_older_than timestamptz,
    p_days_min integer,
    p_recorded_by text,
    p_user_id text,
    p_user_name text,
    p_request_id text,
    p_ip_address text,
    p_user_agent text
)
returns setof expiry
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_plan record;
    v_again record;
    v_own record;
    v_first_day timestamptz;
    v_last_day timestamptz;
    v_first_recorded_at timestamptz;
    v_last_recorded_at timestamptz;
begin
    -- Once more after the settings have changed: by then the head is ours, and they stay.
    for v_try in 1..2 loop
        select * into strict v_plan
        from expirable(p_now, p_tenant, p_older_than, p_days_min);
        if v_plan.held then
            raise exception 'a legal hold keeps this log' using errcode = 'AU003';
        end if;
        if v_plan.last_seq < v_plan.first_seq then
            return;
        end if;

        select
            min(d.day)::timestamp at time zone 'utc',
            max(d.day)::timestamp at time zone 'utc'
        into v_first_day, v_last_day
        from log_day d
        where d.tenant_id = p_tenant
            and d.day < (v_plan.older_than at time zone 'utc')::date
            and d.first_seq >= v_plan.first_seq;

        -- A log that nobody writes to any more would else feed itself for ever: each expiry is
        -- recorded, and that record expires. Whoever has more of them than this has other entries.
        if p_rule = 'retention'
            and v_plan.last_seq - v_plan.first_seq < 20000
            and not exists (
                select
                from audit_log a
                where a.tenant_id = p_tenant
                    and a.recorded_at >= v_first_day
                    and a.recorded_at < v_plan.older_than
                    and a.seq between v_plan.first_seq and v_plan.last_seq
                    and not (
                        a.resource_type = 'audit_log'
                        and a.action in ('log.expired', 'log.erased')
                    )
            )
        then
            return;
        end if;

        select * into strict v_own
        from append_own(
            p_now, p_tenant, v_plan.settings_version, p_recorded_by, p_user_id, p_user_name,
            p_request_id, p_ip_address, p_user_agent, 'log.expired', p_id::text, 1::smallint,
            format(
                '{"rule":"%s","older_than":"%s","first_seq":%s,"last_seq":%s,"entries":%s}',
                p_rule,
                to_char(v_plan.older_than at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                v_plan.first_seq, v_plan.last_seq, v_plan.last_seq - v_plan.first_seq + 1
            )
        );
        exit when v_own.outcome <> 5;
    end loop;
    if v_own.outcome = 4 then
        raise exception 'the log is more than 5 minutes ahead of the clock' using errcode = 'AU002';
    elsif v_own.outcome <> 0 then
        raise exception 'the log took no entry: outcome %', v_own.outcome;
    end if;

    -- Each statement sees what was committed before it: a hold that was answered is obeyed, and
    -- from here on one that comes has to wait for us. The entry goes with everything else.
    perform from tenant t
    where t.id = p_tenant and t.legal_hold_at is null
    for share;
    if not found then
        raise exception 'a legal hold keeps this log' using errcode = 'AU003';
    end if;
    select * into strict v_again
    from expirable(p_now, p_tenant, p_older_than, p_days_min);
    if (v_again.older_than, v_again.first_seq, v_again.last_seq)
        is distinct from (v_plan.older_than, v_plan.first_seq, v_plan.last_seq)
    then
        raise exception 'somebody else moved the floor' using errcode = '40001';
    end if;

    select a.recorded_at into v_first_recorded_at
    from audit_log a
    where a.tenant_id = p_tenant
        and a.recorded_at >= v_first_day
        and a.recorded_at < v_plan.older_than
        and a.seq between v_plan.first_seq and v_plan.last_seq
    order by a.recorded_at, a.seq
    limit 1;
    select a.recorded_at into v_last_recorded_at
    from audit_log a
    where a.tenant_id = p_tenant
        and a.recorded_at >= v_last_day
        and a.recorded_at < v_plan.older_than
        and a.seq between v_plan.first_seq and v_plan.last_seq
    order by a.recorded_at desc, a.seq desc
    limit 1;

    update log_floor f
    set floor_seq = v_plan.last_seq + 1, floor_at = v_plan.older_than
    where f.tenant_id = p_tenant;

    return query
    insert into expiry (
        id, tenant_id, rule, older_than, first_seq, last_seq, first_recorded_at, last_recorded_at,
        expired_by, expired_at
    )
    values (
        p_id, p_tenant, p_rule, v_plan.older_than, v_plan.first_seq, v_plan.last_seq,
        v_first_recorded_at, v_last_recorded_at, p_recorded_by, v_own.recorded_at
    )
    returning *;
end
$$;
revoke execute on function expire from public;
grant execute on function expire to audit_worker;

-- Expires what a dry run has announced, once: the token goes with the floor. No row when there is
-- nothing to expire.
--
-- Errors of its own: those of expire(), and AU004 the token does not stand for this.
create function clean_up(
    p_now timestamptz,
    p_tenant uuid,
    p_token bytea,
    p_id uuid,
    p_older_than timestamptz,
    p_days_min integer,
    p_recorded_by text,
    p_user_id text,
    p_user_name text,
    p_request_id text,
    p_ip_address text,
    p_user_agent text
)
returns setof expiry
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_plan record;
    v_confirm cleanup_confirm;
begin
    select * into strict v_plan
    from expirable(p_now, p_tenant, p_older_than, p_days_min);
    if v_plan.held then
        raise exception 'a legal hold keeps this log' using errcode = 'AU003';
    end if;
    delete from cleanup_confirm c
    where c.tenant_id = p_tenant
        and c.token = p_token
        and c.made_at > clock_timestamp() - interval '10 minutes'
    returning * into v_confirm;
    if not found
        or (v_confirm.older_than, v_confirm.first_seq, v_confirm.last_seq)
            is distinct from (v_plan.older_than, v_plan.first_seq, v_plan.last_seq)
    then
        raise exception 'the token does not stand for this' using errcode = 'AU004';
    end if;
    return query
    select *
    from expire(
        p_now, p_tenant, p_id, 'cleanup', v_plan.older_than, p_days_min, p_recorded_by, p_user_id,
        p_user_name, p_request_id, p_ip_address, p_user_agent
    );
end
$$;
revoke execute on function clean_up from public;
grant execute on function clean_up to audit_worker;

-- Whether nobody needs a time range of the log any more: it ended a day ago at least, holds no
-- entry that has not expired, and none that a consumer which holds expiry has still to read.
create function erasable(p_from timestamptz, p_to timestamptz)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select p_to <= date_trunc('day', clock_timestamp() at time zone 'utc') at time zone 'utc'
            - interval '24 hours'
        and not exists (
            select
            from log_floor f
            cross join lateral (
                select
                from log_day d
                where d.tenant_id = f.tenant_id
                    and d.day >= greatest(
                        (p_from at time zone 'utc')::date, (f.floor_at at time zone 'utc')::date
                    )
                    and d.day < p_to at time zone 'utc'
                limit 1
            ) unexpired
        )
        and not exists (
            select
            from log_cursor c
            join log_head h on h.tenant_id = c.tenant_id
            where c.holds_expiry
                and c.seq < h.seq
                and c.recorded_at < p_to
        )
$$;
revoke execute on function erasable from public;
grant execute on function erasable to audit_worker;

-- Deletes rows that a certificate covers, at most so many (5,000), oldest first. Returns how many.
create function erase(p_tenant uuid, p_id uuid, p_rows integer)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_expiry expiry;
    v_last_seq bigint;
    v_end record;
    v_erased integer;
begin
    select * into strict v_expiry
    from expiry e
    where e.id = p_id and e.tenant_id = p_tenant;
    -- The floor is looked at once more, whatever a certificate says.
    select least(v_expiry.last_seq, f.floor_seq - 1, min(c.seq)) into strict v_last_seq
    from log_floor f
    join log_head h on h.tenant_id = f.tenant_id
    left join log_cursor c
        on c.tenant_id = f.tenant_id
        and c.holds_expiry
        and c.seq < h.seq
    where f.tenant_id = p_tenant
    group by f.floor_seq;

    select a.recorded_at, a.seq into v_end
    from (
        select a.recorded_at, a.seq
        from audit_log a
        where a.tenant_id = p_tenant
            and a.recorded_at >= v_expiry.first_recorded_at
            and a.recorded_at <= v_expiry.last_recorded_at
            and a.seq between v_expiry.first_seq and v_last_seq
        order by a.recorded_at, a.seq
        limit least(p_rows, 5000)
    ) a
    order by a.recorded_at desc, a.seq desc
    limit 1;
    if not found then
        return 0;
    end if;
    delete from audit_log a
    where a.tenant_id = p_tenant
        and a.recorded_at >= v_expiry.first_recorded_at
        and a.recorded_at <= v_end.recorded_at
        and a.seq between v_expiry.first_seq and v_end.seq;
    get diagnostics v_erased = row_count;
    return v_erased;
end
$$;
revoke execute on function erase from public;
grant execute on function erase to audit_worker;

-- Records that no row of a certificate is left; false when there are some, or when it is recorded.
create function record_erased(p_now timestamptz, p_tenant uuid, p_id uuid, p_recorded_by text)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
    v_expiry expiry;
    v_own record;
begin
    select * into v_expiry
    from expiry e
    where e.id = p_id and e.tenant_id = p_tenant and e.erased_at is null;
    if not found
        or exists (
            select
            from audit_log a
            where a.tenant_id = p_tenant
                and a.recorded_at >= v_expiry.first_recorded_at
                and a.recorded_at <= v_expiry.last_recorded_at
                and a.seq between v_expiry.first_seq and v_expiry.last_seq
        )
    then
        return false;
    end if;
    for v_try in 1..2 loop
        select a.* into strict v_own
        from tenant t
        cross join lateral append_own(
            p_now, p_tenant, t.version, p_recorded_by, p_recorded_by, null, null, null, null,
            'log.erased', p_id::text, 0::smallint,
            format(
                '{"first_seq":%s,"last_seq":%s,"entries":%s}',
                v_expiry.first_seq, v_expiry.last_seq, v_expiry.entries
            )
        ) a
        where t.id = p_tenant;
        exit when v_own.outcome <> 5;
    end loop;
    if v_own.outcome = 4 then
        raise exception 'the log is more than 5 minutes ahead of the clock' using errcode = 'AU002';
    elsif v_own.outcome <> 0 then
        raise exception 'the log took no entry: outcome %', v_own.outcome;
    end if;

    update expiry e
    set erased_at = v_own.recorded_at
    where e.id = p_id and e.erased_at is null;
    if not found then
        raise exception 'somebody else has recorded it' using errcode = '40001';
    end if;
    delete from log_day d
    where d.tenant_id = p_tenant
        and d.day < (v_expiry.older_than at time zone 'utc')::date
        and d.first_seq between v_expiry.first_seq and v_expiry.last_seq;
    return true;
end
$$;
revoke execute on function record_erased from public;
grant execute on function record_erased to audit_worker;

grant select on certificate to audit_reader;
grant select on expiry to audit_worker;
grant select, insert, delete on cleanup_confirm to audit_worker;

reset role;
