set local role audit_owner;

-- A tenant is made with all that was asked for: the first version of this function dropped a
-- suspension and a legal hold without a word.
create or replace function create_tenant(p_id uuid, p_name text, p_settings jsonb)
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

reset role;
