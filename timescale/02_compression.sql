-- A tenant's entries of one chunk lie together, in the order of the log, at about a tenth of
-- their size. Two weeks keep the part that is still read at random uncompressed.
set local role audit_owner;

alter table audit_log set (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'tenant_id',
    timescaledb.compress_orderby = 'recorded_at, seq'
);

create or replace function compress_old_chunks(p_job integer, p_config jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
as $$
declare
    v_chunk regclass;
begin
    for v_chunk in
        select show_chunks('audit_log', older_than => (p_config ->> 'after')::interval)
    loop
        perform compress_chunk(v_chunk, if_not_compressed => true);
    end loop;
end
$$;
revoke execute on function compress_old_chunks from public;
grant execute on function compress_old_chunks to session_user;

reset role;

-- A job runs as a role that can log in, which the owner of the tables cannot: it belongs to whoever
-- migrates, and the function above is all that it may do as the owner.
select add_job('compress_old_chunks', '1 day', config => '{"after": "14 days"}')
where not exists (
    select from timescaledb_information.jobs where proc_name = 'compress_old_chunks'
);
