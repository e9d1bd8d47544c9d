-- Every entry of every log. `migrate` says by `audit.profile` whether TimescaleDB keeps it
-- (then timescale/ makes a hypertable of this plain table) or native range partitions do,
-- which the worker makes ahead of time.
set local role audit_owner;

do $$
declare
    v_profile text := current_setting('audit.profile');
begin
    if v_profile not in ('timescale', 'native') then
        raise exception 'audit.profile must be timescale or native, not %', v_profile;
    end if;
    execute $sql$
        create table audit_log (
            tenant_id uuid not null,
            recorded_at timestamptz not null,
            seq bigint not null,
            recorded_by text not null,
            occurred_at timestamptz not null,
            user_id text not null,
            user_name text,
            session_id text,
            request_id text,
            action text not null,
            resource_type text not null,
            resource_id text,
            severity smallint not null,
            message text,
            ip_address text,
            user_agent text,
            before json,
            after json,
            metadata json,
            constraint audit_log_pkey primary key (tenant_id, recorded_at, seq),
            constraint audit_log_seq check (seq between 1 and 1099511627775),
            constraint audit_log_recorded_by check (char_length(recorded_by) between 1 and 256),
            constraint audit_log_occurred_at check (
                occurred_at >= 'epoch' and occurred_at <= recorded_at + interval '10 minutes'
            ),
            constraint audit_log_user_id check (char_length(user_id) between 1 and 256),
            constraint audit_log_user_name check (char_length(user_name) between 1 and 256),
            constraint audit_log_session_id check (char_length(session_id) between 1 and 256),
            constraint audit_log_request_id check (char_length(request_id) between 1 and 256),
            -- A counted repetition in the pattern would cost twelve times as much.
            constraint audit_log_action check (
                octet_length(action) <= 64 and action ~ '^[A-Za-z0-9._:-]+$'
            ),
            constraint audit_log_resource_type check (char_length(resource_type) between 1 and 64),
            constraint audit_log_resource_id check (char_length(resource_id) <= 256),
            constraint audit_log_severity check (severity between 0 and 3),
            constraint audit_log_message check (octet_length(message) <= 8192),
            constraint audit_log_ip_address check (octet_length(ip_address) between 2 and 45),
            constraint audit_log_user_agent check (char_length(user_agent) <= 512),
            constraint audit_log_metadata check (json_typeof(metadata) = 'object')
        )
    $sql$ || case v_profile when 'native' then 'partition by range (recorded_at)' else '' end;
    insert into audit_meta (name, value) values ('profile', v_profile);
end
$$;

reset role;
