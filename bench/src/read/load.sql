-- Believable entries, the $1st to the $2nd of $5, spread evenly over $4 days from $3 on. $6 holds four
-- tenants: each eleventh entry is of one of the last three in turn, all others are the first's.
--
-- In the order of time, as the service would have written them; no log has a gap.
insert into audit_log (
    tenant_id, recorded_at, seq, recorded_by, occurred_at, user_id, user_name, session_id,
    request_id, action, resource_type, resource_id, severity, message, ip_address, user_agent,
    before, after, metadata
)
select
    case when w.is_other then w.others[1 + (n / 11 - 1) % 3] else w.own end,
    w.at,
    w.seq,
    'svc-billing',
    w.at - make_interval(secs => (r & 1023) / 1000.0),
    'u-' || (r >> 8 & 4095),
    'User u-' || (r >> 8 & 4095),
    's-' || lpad(to_hex(r2), 16, '0'),
    -- As good as random, and found again by its number.
    lpad(to_hex(r2), 16, '0') || lpad(to_hex(n), 16, '0'),
    (array['UPDATE', 'CREATE', 'invoice.approved', 'VIEW', 'DELETE'])[1 + (r >> 20 & 65535) % 5],
    (array['invoice', 'customer'])[1 + (r >> 36 & 255) % 2],
    -- One in 100,000 is what a rare filter looks for.
    case
        when not w.is_other and w.seq % 100000 = 50000 then 'the-needle'
        else 'inv-' || lpad((r >> 20 & 16777215)::text, 8, '0')
    end,
    case when r >> 40 & 255 = 0 then 3 when r >> 40 & 15 = 1 then 2 when r >> 40 & 7 = 2 then 1 else 0 end,
    'invoice ' || (r >> 20 & 16777215) || ' changed by u-' || (r >> 8 & 4095),
    '203.0.113.' || (r >> 4 & 255),
    'billing/4.11 (bench)',
    case when r >> 50 & 1 = 0 then format(
        '{"state":"draft","amount":"%s.%s","approved_by":null}', r >> 44 & 65535, 10 + (r & 63)
    )::json end,
    format(
        '{"state":"sent","amount":"%s.%s","approved_by":"u-%s"}',
        r >> 44 & 65535, 10 + (r & 63), r >> 8 & 4095
    )::json,
    format(
        '{"region":"eu-central-1","trace":"%s","attempt":1,"tags":["billing","web"]}', to_hex(r2)
    )::json
from generate_series($1::bigint, $2::bigint) n
cross join lateral (
    select hashint8extended(n, 1) & 9223372036854775807, hashint8extended(n, 2)
) random (r, r2)
cross join lateral (
    select
        n % 11 = 0,
        case when n % 11 = 0 then (n / 11 - 1) / 3 + 1 else n - n / 11 end,
        $3::timestamptz + make_interval(days => $4) * (n::float8 / $5),
        $6::uuid[]
) x (is_other, seq, at, ids)
cross join lateral (
    select is_other, seq, date_trunc('milliseconds', at) as at, ids[1] as own, ids[2:] as others
) w
