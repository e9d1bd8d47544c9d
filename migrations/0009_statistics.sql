set local role audit_owner;

-- How many entries of each kind occurred in each quarter of an hour, apart by the UTC day on which
-- they were recorded: so late entries are counted where they belong, and what has expired is left
-- out exactly. The entries after the cursor 'statistics' are not in it yet.
--
-- An empty action and type stand for all kinds beyond the first 1,000 of a quarter and day; no
-- entry's own is empty. The count is in the index, which is all that a reader needs.
create table stat_quarter (
    tenant_id uuid not null,
    day date not null,
    quarter timestamptz not null,
    action text not null,
    severity smallint not null,
    resource_type text not null,
    n bigint not null,
    constraint stat_quarter_pkey
        primary key (tenant_id, quarter, day, action, severity, resource_type) include (n),
    constraint stat_quarter_n check (n > 0)
) with (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02
);
comment on column stat_quarter.day is 'of recorded_at, in UTC';
comment on column stat_quarter.quarter is 'of occurred_at';

-- Counts one window of a log: at most 20,000 entries after the cursor, which moves in the same
-- transaction. Returns how many it counted; null when somebody else is counting this log.
create function count_window(p_tenant uuid)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
-- With the times at hand, partitions are left out while planning.
set plan_cache_mode = force_custom_plan
-- The limit ends a window where entries come in the order of the index. Another plan reads all
-- that is there, and sorts it.
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    c_entries_max constant integer := 20000;
    c_kinds_max constant integer := 1000;
    v_recorded_at timestamptz;
    v_seq bigint;
    v_head_seq bigint;
    v_until timestamptz;
    v_counted integer;
begin
    insert into log_cursor (tenant_id, consumer)
    select p_tenant, 'statistics'
    where not exists (
        select from log_cursor c where c.tenant_id = p_tenant and c.consumer = 'statistics'
    )
    on conflict on constraint log_cursor_pkey do nothing;

    select c.recorded_at, c.seq into v_recorded_at, v_seq
    from log_cursor c
    where c.tenant_id = p_tenant and c.consumer = 'statistics'
    for update skip locked;
    if not found then
        return null;
    end if;

    -- Where the floor has overtaken the cursor, counting goes on there.
    select
        h.seq,
        h.recorded_at,
        greatest(v_seq, f.floor_seq - 1),
        greatest(v_recorded_at, f.floor_at)
    into v_head_seq, v_until, v_seq, v_recorded_at
    from log_head h
    join log_floor f using (tenant_id)
    where h.tenant_id = p_tenant;
    if v_head_seq is null or v_seq >= v_head_seq then
        return 0;
    end if;

    -- The window ends before the first day that begins after it.
    v_until := least(v_until, (
        select min(d.day)::timestamp at time zone 'utc'
        from log_day d
        where d.tenant_id = p_tenant
            and d.day > (v_recorded_at at time zone 'utc')::date
            and d.first_seq > v_seq + c_entries_max
    ));

    with looked_at as materialized (
        select e.recorded_at, e.seq, e.occurred_at, e.action, e.severity, e.resource_type
        from audit_log e
        where e.tenant_id = p_tenant
            and e.recorded_at between v_recorded_at and v_until
            and (e.recorded_at, e.seq) > (v_recorded_at, v_seq)
            and e.seq between v_seq + 1 and v_head_seq
        order by e.recorded_at, e.seq
        limit c_entries_max
    ), counted as (
        select
            (e.recorded_at at time zone 'utc')::date as day,
            date_bin('15 minutes', e.occurred_at, 'epoch') as quarter,
            e.action, e.severity, e.resource_type,
            count(*) as n
        from looked_at e
        group by 1, 2, 3, 4, 5
    ), known as materialized (
        -- Row by row in this and the next, so that however long the history, the index is asked
        -- for no more than what the window holds.
        select k.day, k.quarter, q.kinds
        from (select distinct day, quarter from counted) k
        cross join lateral (
            select count(*) as kinds
            from stat_quarter s
            where s.tenant_id = p_tenant
                and s.quarter = k.quarter
                and s.day = k.day
                and s.action <> ''
        ) q
    ), looked_up as materialized (
        select
            c.*,
            (
                select s.n
                from stat_quarter s
                where s.tenant_id = p_tenant
                    and s.quarter = c.quarter
                    and s.day = c.day
                    and s.action = c.action
                    and s.severity = c.severity
                    and s.resource_type = c.resource_type
            ) is null as is_new
        from counted c
    ), ranked as (
        select
            c.*,
            c.is_new and k.kinds + row_number() over (
                partition by c.day, c.quarter, c.is_new
                order by c.n desc, c.action, c.severity, c.resource_type
            ) > c_kinds_max as is_beyond
        from looked_up c
        join known k on k.day = c.day and k.quarter = c.quarter
    ), folded as (
        select
            r.day, r.quarter, r.severity, r.n,
            case when r.is_beyond then '' else r.action end as action,
            case when r.is_beyond then '' else r.resource_type end as resource_type
        from ranked r
    ), kept as (
        insert into stat_quarter as s (
            tenant_id, day, quarter, action, severity, resource_type, n
        )
        select p_tenant, f.day, f.quarter, f.action, f.severity, f.resource_type, sum(f.n)
        from folded f
        group by f.day, f.quarter, f.action, f.severity, f.resource_type
        on conflict on constraint stat_quarter_pkey do update
        set n = s.n + excluded.n
    )
    select count(*), max(e.seq), max(e.recorded_at)
    into v_counted, v_seq, v_recorded_at
    from looked_at e;

    update log_cursor c
    set seq = v_seq, recorded_at = v_recorded_at
    where c.tenant_id = p_tenant and c.consumer = 'statistics' and v_counted > 0;
    return v_counted;
end
$$;

-- Removes counts of expired days, at most 5,000 rows, and remembers for which floor a log is done.
-- Returns how many it removed; null when somebody else is at it.
create function forget_counts(p_tenant uuid)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
    c_rows_max constant integer := 5000;
    v_floor_seq bigint;
    v_floor_at timestamptz;
    v_removed integer;
begin
    insert into log_cursor (tenant_id, consumer)
    select p_tenant, 'statistics_expired'
    where not exists (
        select from log_cursor c
        where c.tenant_id = p_tenant and c.consumer = 'statistics_expired'
    )
    on conflict on constraint log_cursor_pkey do nothing;

    perform
    from log_cursor c
    where c.tenant_id = p_tenant and c.consumer = 'statistics_expired'
    for update skip locked;
    if not found then
        return null;
    end if;

    select f.floor_seq, f.floor_at into v_floor_seq, v_floor_at
    from log_floor f
    where f.tenant_id = p_tenant;

    -- What was recorded before a day occurred less than 10 minutes after its beginning.
    delete from stat_quarter s
    where s.ctid = any (array(
        select o.ctid
        from stat_quarter o
        where o.tenant_id = p_tenant
            and o.quarter <= v_floor_at
            and o.day < (v_floor_at at time zone 'utc')::date
        limit c_rows_max
    ));
    get diagnostics v_removed = row_count;
    update log_cursor c
    set seq = v_floor_seq, recorded_at = v_floor_at
    where c.tenant_id = p_tenant
        and c.consumer = 'statistics_expired'
        and v_removed < c_rows_max;
    return v_removed;
end
$$;

revoke execute on function count_window, forget_counts from public;
grant execute on function count_window, forget_counts to audit_worker;

-- For readers the quarter is when the entries occurred, so that the filters that fit an entry fit
-- its count as well.
create view entry_count as
select tenant_id, day, quarter as occurred_at, action, severity, resource_type, n
from stat_quarter
where tenant_id = current_setting('audit.tenant_id')::uuid;

create view counted_until as
select tenant_id, recorded_at, seq
from log_cursor
where consumer = 'statistics'
    and tenant_id = current_setting('audit.tenant_id')::uuid;

grant select on entry_count, counted_until to audit_reader;

reset role;
