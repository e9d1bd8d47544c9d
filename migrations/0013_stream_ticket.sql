-- Tickets for streams of browsers, which can send no header with a WebSocket: good once, for
-- seconds. Only a ticket's SHA-256 is kept, so who reads this table can open nothing.
set local role audit_owner;

create table stream_ticket (
    digest bytea not null,
    tenant_id uuid not null,
    role text not null,
    user_id text not null,
    user_name text,
    proof_ends_at timestamptz,
    expires_at timestamptz not null,
    constraint stream_ticket_pkey primary key (digest),
    constraint stream_ticket_tenant foreign key (tenant_id) references tenant (id),
    constraint stream_ticket_digest check (octet_length(digest) = 32),
    constraint stream_ticket_role check (role in ('admin', 'auditor'))
);
comment on column stream_ticket.proof_ends_at is
    'when the proof that the ticket was made for ends; null where it does not';

-- For those of one tenant, which are counted.
create index stream_ticket_tenant_id on stream_ticket (tenant_id, expires_at);

grant select, insert, delete on stream_ticket to audit_worker;

reset role;
