set local role audit_owner;

-- Changes a tenant's settings together with the entry that records it. p_settings is the whole
-- new state, p_settings_version the version it was made from: append() refuses an older one
-- (outcome 5), so `before` and `after` in the entry are exact whoever raced.
create function change_tenant(
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
        masking = (p_settings ->> 'masking')::boolean,
        masked_keys = array(select jsonb_array_elements_text(p_settings -> 'masked_keys')),
        legal_hold_reason = p_settings -> 'legal_hold' ->> 'reason',
        legal_hold_by = p_settings -> 'legal_hold' ->> 'by',
        legal_hold_at = (p_settings -> 'legal_hold' ->> 'at')::timestamptz,
        limits = (p_settings -> 'limits')::json,
        version = t.version + 1
    where t.id = p_tenant;

    update log_head h
    set settings_version = h.settings_version + 1
    where h.tenant_id = p_tenant;

    return v_outcome;
end
$$;

revoke execute on function change_tenant from public;
grant execute on function change_tenant to audit_worker;

reset role;
