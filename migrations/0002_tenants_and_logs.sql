set local role audit_owner;

-- Facts about this installation that must not be guessed twice, such as the profile.
create table audit_meta (
    name text not null,
    value text not null,
    constraint audit_meta_pkey primary key (name)
);

create table tenant (
    id uuid not null,
    name text not null,
    suspended boolean not null default false,
    retention_days integer not null,
    masking boolean not null default true,
    masked_keys text[] not null default '{}',
    legal_hold_reason text,
    legal_hold_by text,
    legal_hold_at timestamptz,
    limits json not null default '{}',
    version integer not null default 1,
    created_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
    constraint tenant_pkey primary key (id),
    constraint tenant_name check (char_length(name) between 1 and 256),
    constraint tenant_retention_days check (retention_days between 1 and 36500),
    constraint tenant_masked_keys check (cardinality(masked_keys) <= 100),
    constraint tenant_legal_hold check (
        num_nulls(legal_hold_reason, legal_hold_by, legal_hold_at) in (0, 3)
    )
);

-- The end of each log. Rewritten by every batch, so most of each page is left free: new
-- versions of a row stay on its page, and vacuum comes early.
create table log_head (
    tenant_id uuid not null,
    seq bigint not null default 0,
    recorded_at timestamptz not null default 'epoch',
    settings_version integer not null default 1,
    constraint log_head_pkey primary key (tenant_id),
    constraint log_head_tenant foreign key (tenant_id) references tenant (id)
) with (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);
comment on column log_head.settings_version is
    'equals tenant.version: append() refuses what was checked under older settings';

-- The first entry of each log that has not expired, always the first of a UTC day.
create table log_floor (
    tenant_id uuid not null,
    floor_seq bigint not null default 1,
    constraint log_floor_pkey primary key (tenant_id),
    constraint log_floor_tenant foreign key (tenant_id) references tenant (id),
    constraint log_floor_seq check (floor_seq >= 1)
);

-- The first entry of each UTC day that has any.
create table log_day (
    tenant_id uuid not null,
    day date not null,
    first_seq bigint not null,
    constraint log_day_pkey primary key (tenant_id, day)
);

-- How far each consumer of a log has come, and who is at it.
create table log_cursor (
    tenant_id uuid not null,
    consumer text not null,
    recorded_at timestamptz not null default 'epoch',
    seq bigint not null default 0,
    leased_by uuid,
    leased_until timestamptz,
    constraint log_cursor_pkey primary key (tenant_id, consumer),
    constraint log_cursor_tenant foreign key (tenant_id) references tenant (id)
) with (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);

-- What each writer committed last, so that a lost answer can be settled: the batch and, request
-- by request, what became of it.
create table writer_mark (
    replica uuid not null,
    epoch bigint not null default 1,
    batch bigint not null default 0,
    outcomes smallint[] not null default '{}',
    first_seqs bigint[] not null default '{}',
    recorded_ats timestamptz[] not null default '{}',
    marked_at timestamptz not null default clock_timestamp(),
    constraint writer_mark_pkey primary key (replica)
) with (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);

-- Makes a tenant with an empty log; false when it is there already, whoever raced.
create function create_tenant(p_id uuid, p_name text, p_settings jsonb)
returns boolean
language plpgsql
volatile
as $$
begin
    insert into tenant (
        id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason,
        legal_hold_by, legal_hold_at, limits
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
        (p_settings -> 'limits')::json
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
revoke execute on function create_tenant from public;
grant execute on function create_tenant to audit_worker;

grant select on audit_meta, tenant, log_head, log_floor, log_day to audit_worker;
grant insert on tenant, log_head, log_floor to audit_worker;
grant select, insert, update, delete on log_cursor, writer_mark to audit_worker;

reset role;
