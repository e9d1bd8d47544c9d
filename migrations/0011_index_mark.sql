set local role audit_owner;

-- Up to where the search index has been seen to hold all of a log, from its floor on: counted,
-- never taken from what was sent there. A hint only: whoever uses it counts again.
create table index_mark (
    tenant_id uuid not null,
    seq bigint not null,
    counted_at timestamptz not null default clock_timestamp(),
    constraint index_mark_pkey primary key (tenant_id),
    constraint index_mark_tenant foreign key (tenant_id) references tenant (id),
    constraint index_mark_seq check (seq >= 0)
) with (
    fillfactor = 20,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_cost_delay = 0
);

-- What a reader sees of it.
create view indexed_until as
select tenant_id, seq
from index_mark
where tenant_id = current_setting('audit.tenant_id')::uuid;

grant select, insert, update, delete on index_mark to audit_worker;
grant select on indexed_until to audit_reader;

reset role;
