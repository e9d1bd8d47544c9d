set local role audit_owner;

-- What a handler may see: one tenant, the one named by the transaction's audit.tenant_id. A
-- query that forgets its tenant shows nothing, one without the setting fails.
--
-- Ordinary views on purpose: behind a security_barrier neither ORDER BY nor LIMIT reaches the
-- scan, and a page of 100 would read a thousand times the blocks.
create view entry as
select
    tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id,
    request_id, action, resource_type, resource_id, severity, message, ip_address, user_agent,
    before, after, metadata
from audit_log
where tenant_id = current_setting('audit.tenant_id')::uuid;

create view log_bound as
select h.tenant_id, h.seq as head_seq, h.recorded_at as head_recorded_at, f.floor_seq
from log_head h
join log_floor f using (tenant_id)
where h.tenant_id = current_setting('audit.tenant_id')::uuid;

create view tenant_setting as
select
    id, name, suspended, retention_days, masking, masked_keys, legal_hold_reason, legal_hold_by,
    legal_hold_at, limits, version, created_at
from tenant
where id = current_setting('audit.tenant_id')::uuid;

grant select on entry, log_bound, tenant_setting to audit_reader;

reset role;
