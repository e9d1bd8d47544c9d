//! The strangest entries that the API accepts, out of a seed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use domain::Entry;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{Home, LONG, TENANT, accepted, batch, failures, message, place, within};

/// Keys that mean something to OpenSearch, or that it would rather not see, and some that look alike.
const KEYS: [&str; 28] = [
    "",
    " ",
    ".",
    "..",
    "a.b",
    ".a",
    "a.",
    "a..b",
    "_id",
    "_source",
    "_routing",
    "seq",
    "tenant_id",
    "text",
    "kv",
    "a",
    "A",
    "\\u00e4",
    "a\\u0308",
    "\\u0061\\u0000x",
    "*",
    "$ref",
    "@timestamp",
    "\\ufffe",
    "\\uffff",
    "\\\"",
    "\\n",
    "🦀",
];

const STRINGS: [&str; 18] = [
    "",
    " ",
    "plain words",
    "\\u0001\\u001f",
    "\\ufffe\\uffff",
    "\\ud83e\\udd80",
    "\\\\ud800",
    "\\ud800",
    "\\udc00x",
    "2026-11-21T00:00:00Z",
    "10.0.0.1",
    "ไทยไม่เว้นวรรค",
    "שלום\\u202e",
    "İΣς",
    "a\\tb\\nc",
    "\\u2028\\u2029",
    "{\\\"create\\\":{}}\\n{}",
    "Ａ１ｱﾞ",
];

const NUMBERS: [&str; 12] = [
    "0",
    "-0",
    "1",
    "-1",
    "1e400",
    "-1E-400",
    "1E+999999999",
    "0.1",
    "9223372036854775808",
    "18446744073709551616",
    "1.7976931348623157e309",
    "123456789012345678901234567890.123456789",
];

const ADDRESSES: [&str; 6] =
    ["10.0.0.1", "255.255.255.255", "::", "::ffff:1.2.3.4", "2001:db8::1", "fe80::1:0:0:1"];

fn string(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => format!("\"{}\"", "word ".repeat(rng.random_range(0..300))),
        1 => format!("\"{}\"", "x".repeat(rng.random_range(0..3_000))),
        2 => {
            let chars = (0..rng.random_range(0..20)).map(|_| rng.random::<char>());
            serde_json::to_string(&chars.collect::<String>()).unwrap()
        }
        _ => format!("\"{}\"", STRINGS.choose(rng).unwrap()),
    }
}

fn number(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => "7".repeat(128),
        1 => format!("0.{}", "3".repeat(126)),
        _ => (*NUMBERS.choose(rng).unwrap()).to_owned(),
    }
}

fn value(rng: &mut StdRng, depth: usize) -> String {
    let scalars_only = depth == 0;
    match rng.random_range(0..if scalars_only { 5 } else { 8 }) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => number(rng),
        3 | 4 => string(rng),
        5 => array(rng, depth),
        _ => object(rng, depth),
    }
}

fn array(rng: &mut StdRng, depth: usize) -> String {
    let values: Vec<_> = (0..rng.random_range(0..5)).map(|_| value(rng, depth - 1)).collect();
    format!("[{}]", values.join(","))
}

fn object(rng: &mut StdRng, depth: usize) -> String {
    // The same key twice is refused, so each comes once; those that only look alike may both come.
    let keys: BTreeSet<_> =
        (0..rng.random_range(0..6)).map(|_| *KEYS.choose(rng).unwrap()).collect();
    let mut text = "{".to_owned();
    for key in keys {
        let separator = if text.len() > 1 { "," } else { "" };
        let _ = write!(text, "{separator}\"{key}\":{}", value(rng, depth - 1));
    }
    text + "}"
}

/// As deep and as wide as it may be.
fn extreme(rng: &mut StdRng) -> String {
    match rng.random_range(0..3) {
        0 => format!("{}1{}", "[".repeat(16), "]".repeat(16)),
        1 => format!("{}1{}", "{\"\":".repeat(15), "}".repeat(15)),
        _ => {
            let members: Vec<_> = (0..1_500).map(|n| format!("\"k.{n}\":\"v{n}\"")).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn body(rng: &mut StdRng) -> String {
    let any = |rng: &mut StdRng| {
        let depth = rng.random_range(0..15);
        if rng.random_ratio(1, 10) { extreme(rng) } else { value(rng, depth) }
    };
    let (before, after) = (any(rng), any(rng));
    let metadata = object(rng, 6);
    let (user, message) = (string(rng), string(rng));
    format!(
        r#"{{"action":"a:b.c-1","resource_type":"ä\u0001 é","resource_id":{},"ip_address":"{}","user_id":{user},
            "message":{message},"before":{before},"after":{after},"metadata":{metadata}}}"#,
        string(rng),
        ADDRESSES.choose(rng).unwrap(),
    )
}

/// `AUDIT_TEST_SEED`, or another one each time; printed, so that a failure can be seen again.
fn seed() -> u64 {
    let given = std::env::var("AUDIT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("AUDIT_TEST_SEED={seed}");
    seed
}

#[tokio::test]
async fn arbitrary_entries_that_the_api_accepts_are_all_indexed_and_none_as_a_stub() {
    let wanted = if std::env::var_os("AUDIT_TEST_SOAK").is_some() { 20_000 } else { 400 };
    let mut rng = StdRng::seed_from_u64(seed());
    let home = Home::fresh().await;
    let mut expected = BTreeSet::new();
    let (mut seq, mut tried) = (1, 0);
    while expected.len() < wanted {
        let mut entries = Vec::new();
        while entries.len() < 40 {
            tried += 1;
            assert!(tried < 20 * wanted, "the API refuses too many of them");
            let Some(entry) = accepted(TENANT, place(seq), &body(&mut rng)) else { continue };
            seq += 1;
            entries.push(entry);
        }
        expected.extend(entries.iter().map(Entry::id));
        let bodies: Vec<_> = entries.chunks(7).map(message).collect();
        let response = home.indexer().handle(&batch(&bodies), within(LONG)).await;
        assert_eq!(failures(&response), [""; 0]);
    }
    assert_eq!(home.stubs().await, 0);
    let mut found = BTreeSet::new();
    while let ids = home.ids_after(TENANT, found.last().copied()).await
        && !ids.is_empty()
    {
        found.extend(ids);
    }
    assert_eq!(found, expected);
}
