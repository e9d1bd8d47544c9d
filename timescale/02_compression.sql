-- A tenant's entries of one chunk lie together, in the order of the log, at about a tenth of
-- their size. Two weeks keep the part that is still read at random uncompressed.
alter table audit_log set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'tenant_id',
    timescaledb.compress_orderby = 'recorded_at, seq'
);

select add_compression_policy('audit_log', interval '14 days', if_not_exists => true);
