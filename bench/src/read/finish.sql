-- What append() keeps beside the entries: where each log ends, and where its days begin.
with loaded as (
    select tenant_id, max(seq) as seq, max(recorded_at) as recorded_at
    from audit_log
    where tenant_id = any ($1)
    group by tenant_id
), headed as (
    update log_head h
    set seq = l.seq, recorded_at = l.recorded_at
    from loaded l
    where h.tenant_id = l.tenant_id
)
insert into log_day (tenant_id, day, first_seq)
select tenant_id, (recorded_at at time zone 'utc')::date, min(seq)
from audit_log
where tenant_id = any ($1)
group by 1, 2
