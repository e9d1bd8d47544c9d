set local role audit_owner;

-- How far a rebuilding of the search index has come, so that it goes on there after a kill. Empty
-- when none is under way.
create table index_rebuild (
    step text not null,
    done text not null,
    noted_at timestamptz not null default clock_timestamp(),
    constraint index_rebuild_pkey primary key (step)
);
comment on column index_rebuild.step is 'a month, or a range of a log that is written over';
comment on column index_rebuild.done is 'the index that was built, or the last number written';

grant select, insert, update, delete on index_rebuild to audit_worker;

reset role;
