-- Who may do what. The service never works as the owner of its tables:
--   audit_owner   owns everything, logs in nowhere;
--   audit_writer  may call append() and nothing else;
--   audit_reader  may select from views that show one tenant and nothing else;
--   audit_worker  keeps the tables in order, and becomes audit_owner for partition work only.
-- Roles belong to the whole cluster, so another database may be making the same ones right now.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['audit_owner', 'audit_writer', 'audit_reader', 'audit_worker'] loop
        begin
            if not exists (select from pg_roles where rolname = v_role) then
                execute format('create role %I nologin noinherit', v_role);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

-- The one who migrates acts as the owner below, and `serve` may be given the same login.
do $$
declare
    v_role text;
begin
    foreach v_role in array array['audit_owner', 'audit_writer', 'audit_reader', 'audit_worker'] loop
        begin
            if not (select rolsuper from pg_roles where rolname = current_user)
                and not exists (
                    select
                    from pg_auth_members m
                    join pg_roles r on r.oid = m.roleid and r.rolname = v_role
                    join pg_roles u on u.oid = m.member and u.rolname = current_user
                    where to_jsonb(m) ->> 'set_option' is distinct from 'false'
                )
            then
                execute format('grant %I to current_user', v_role);
            end if;
        exception
            when unique_violation then null;
        end;
    end loop;
    if not pg_has_role('audit_worker', 'audit_owner', 'member') then
        grant audit_owner to audit_worker;
    end if;
exception
    when unique_violation then null;
end
$$;

-- By default everybody may make temporary tables, and in old versions tables in public.
do $$
begin
    execute format('revoke temporary, create on database %I from public', current_database());
end
$$;

revoke all on schema public from public;
grant usage, create on schema public to audit_owner;
grant usage on schema public to audit_writer, audit_reader, audit_worker;
