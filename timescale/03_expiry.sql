-- Chunks whose every entry has expired are dropped, whole slices of time at once. What is expired
-- the worker decides, as on the other profile; this sees the same list of what may go. There is
-- no retention policy, which would know no tenant.
set local role audit_owner;

create or replace function drop_expired_chunks(p_job integer, p_config jsonb)
returns void
language plpgsql
security definer
set search_path = pg_catalog, public, pg_temp
-- Whoever reads a chunk is not waited for, and nobody waits behind us: the next run tries again.
set lock_timeout = '200ms'
as $$
declare
    v_slice record;
begin
    for v_slice in
        select c.range_start, c.range_end
        from timescaledb_information.chunks c
        where c.hypertable_schema = 'public' and c.hypertable_name = 'audit_log'
        group by c.range_start, c.range_end
        order by c.range_start
    loop
        if erasable(v_slice.range_start, v_slice.range_end) then
            begin
                perform drop_chunks(
                    'audit_log',
                    older_than => v_slice.range_end,
                    newer_than => v_slice.range_start
                );
            exception
                when lock_not_available then null;
            end;
        end if;
    end loop;
end
$$;
revoke execute on function drop_expired_chunks from public;
grant execute on function drop_expired_chunks to session_user;

reset role;

select add_job('drop_expired_chunks', '1 hour')
where not exists (
    select from timescaledb_information.jobs where proc_name = 'drop_expired_chunks'
);
