-- Believable entries of one day. The arrays $1 to $4 hold a row for each tenant: its id, its first and
-- its last number of this day, and how many it has in all. They lie evenly over $6 days from $5 on.
--
-- What is searched for, in parts of all entries: a city's name in 1/16, a kind of paper in 1/8, the two
-- words `credit note` beside each other in 1/8, the word `needlework` in 1/2,000.
insert into audit_log (
    tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id,
    request_id, action, resource_type, resource_id, severity, message, ip_address, user_agent,
    before, after, metadata
)
select
    tenant_id,
    at,
    seq,
    'svc-billing',
    at - make_interval(secs => (r & 1023) / 1000.0),
    'u-' || (r >> 8 & 1023),
    'User u-' || (r >> 8 & 1023),
    's-' || lpad(to_hex(r2), 16, '0'),
    lpad(to_hex(r2), 16, '0') || lpad(to_hex(seq), 16, '0'),
    (array['UPDATE', 'CREATE', 'invoice.approved', 'VIEW', 'DELETE'])[1 + (r >> 20 & 65535) % 5],
    (array['invoice', 'customer', 'contract', 'account'])[1 + (r >> 36 & 3)],
    'inv-' || lpad((r >> 20 & 16777215)::text, 8, '0'),
    case when r >> 40 & 255 = 0 then 3 when r >> 40 & 15 = 1 then 2 when r >> 40 & 7 = 2 then 1 else 0 end,
    format(
        '%s %s for %s in %s%s',
        (array['invoice', 'credit note', 'refund', 'reminder', 'offer', 'contract', 'receipt', 'order'])
            [1 + (r2 & 7)],
        (array['changed', 'approved', 'rejected', 'sent', 'paid', 'disputed', 'archived', 'reopened'])
            [1 + (r2 >> 3 & 7)],
        'customer ' || (r >> 20 & 65535),
        (array[
            'Berlin', 'Lisbon', 'Osaka', 'Nairobi', 'Lima', 'Oslo', 'Hanoi', 'Quito', 'Turin', 'Accra',
            'Perth', 'Cork', 'Basel', 'Tunis', 'Porto', 'Leeds'
        ])[1 + (r2 >> 6 & 15)],
        case when (r2 >> 10 & 1048575) % 2000 = 0 then ' with needlework' else '' end
    ),
    '203.0.113.' || (r >> 4 & 255),
    'billing/4.11 (bench)',
    case when r >> 50 & 1 = 0 then format(
        '{"state":"draft","amount":"%s.%s","approved_by":null}', r >> 44 & 65535, 10 + (r & 63)
    )::json end,
    format(
        '{"state":"sent","amount":"%s.%s","approved_by":"u-%s"}',
        r >> 44 & 65535, 10 + (r & 63), r >> 8 & 1023
    )::json,
    format(
        '{"region":"eu-central-1","trace":"%s","attempt":1,"tags":["billing","web"]}', to_hex(r2)
    )::json
from (
    select
        t.tenant_id,
        seq,
        date_trunc(
            'milliseconds', $5::timestamptz + make_interval(days => $6) * (seq::float8 / t.entries)
        ) as at,
        hashint8extended(t.number * 1000000000 + seq, 1) & 9223372036854775807 as r,
        hashint8extended(t.number * 1000000000 + seq, 2) & 9223372036854775807 as r2
    from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
        with ordinality t (tenant_id, first_seq, last_seq, entries, number)
    cross join lateral generate_series(t.first_seq, t.last_seq) seq
    -- As the service would have written them.
    order by at
) entry
