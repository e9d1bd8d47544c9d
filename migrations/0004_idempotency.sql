set local role audit_owner;

-- Which request a key stood for. Looked up for 24 hours under the lock of the log's head, which
-- is what makes a key unique; whole partitions of six hours are dropped after 30, none is emptied.
create table idempotency_key (
    tenant_id uuid not null,
    -- Compared byte by byte: nobody reads keys in the order of a language.
    key text collate "C" not null,
    recorded_at timestamptz not null,
    fingerprint bytea not null,
    first_seq bigint not null,
    entries integer not null,
    refused text,
    constraint idempotency_key_pkey primary key (tenant_id, key, recorded_at)
) partition by range (recorded_at);

reset role;
