-- Makes the log a hypertable. May run any number of times.
set local role audit_owner;

select create_hypertable(
    'audit_log',
    by_range('recorded_at', current_setting('audit.partition_days')::integer * interval '1 day'),
    create_default_indexes => false,
    if_not_exists => true
);

-- A new number changes the chunks to come, not those that are there.
select add_dimension('audit_log', by_hash('tenant_id', 4), if_not_exists => true);
select set_chunk_time_interval(
    'audit_log',
    current_setting('audit.partition_days')::integer * interval '1 day',
    dimension_name => 'recorded_at'
);

reset role;
