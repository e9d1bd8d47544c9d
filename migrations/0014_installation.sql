set local role audit_owner;

-- Which installation this is, told apart from all others: the search index says whose it is. A
-- restored database is the installation that it was; a copy that goes its own way needs a new id.
insert into audit_meta (name, value)
values ('installation', gen_random_uuid()::text)
on conflict on constraint audit_meta_pkey do nothing;

reset role;
