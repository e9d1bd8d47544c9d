set local role audit_owner;

-- Where the unexpired part of a log begins: the start of a UTC day. Everything recorded before it
-- has expired, so a statement can leave its partitions alone.
alter table log_floor
    add column floor_at timestamptz not null default 'epoch',
    add constraint log_floor_floor_at check (
        floor_at = date_trunc('day', floor_at at time zone 'utc') at time zone 'utc'
    );

create or replace view log_bound as
select
    h.tenant_id, h.seq as head_seq, h.recorded_at as head_recorded_at, f.floor_seq, f.floor_at
from log_head h
join log_floor f using (tenant_id)
where h.tenant_id = current_setting('audit.tenant_id')::uuid;

-- The days of a log, to skip empty ones and to count whole ones by subtraction.
create view entry_day as
select tenant_id, day, first_seq
from log_day
where tenant_id = current_setting('audit.tenant_id')::uuid;

grant select on entry_day to audit_reader;

reset role;
