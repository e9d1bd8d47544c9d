//! Whatever is asked, nobody finds, counts or sees what is another tenant's.

use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::record_all;
use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::index::{TestIndex, entries};
use crate::support::seeds::{seed, soak};

/// Questions in all.
const QUESTIONS: usize = 10_000;

/// How long they are asked, when it is not a soak.
const TIME: Duration = Duration::from_secs(25);

/// Entries of each tenant.
const ENTRIES: usize = 20;

/// What every entry of the other tenant holds, and none of the own.
const SECRET: &str = "planted4711secret";

/// Pieces of questions: of the query language, of Lucene, of JSON, of URLs.
const PIECES: [&str; 48] = [
    "*",
    "?",
    "*:*",
    "_exists_:tenant_id",
    "tenant_id:",
    "_id:",
    "_routing:",
    "_index:",
    "audit-logs-*",
    "seq:[1 TO *]",
    "seq:>0",
    "OR",
    "AND",
    "NOT",
    "||",
    "&&",
    "!",
    "-",
    "+",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "^9",
    "~2",
    "/.*/",
    "\\",
    "\"",
    "'",
    "\"}}]}",
    "{\"match_all\":{}}",
    "\n{\"index\":\"*\"}\n",
    "{\"query\":{\"match_all\":{}}}\n",
    "\u{0}",
    "\u{202e}",
    "%00",
    "%0a",
    "..",
    "_all",
    ",",
    ":",
    "p*",
    "planted*",
    "metadata.",
    "metadata.mark:",
    "user_id:",
];

const NAMES: [&str; 12] = [
    "q",
    "q",
    "q",
    "q",
    "user_id",
    "session_id",
    "request_id",
    "action",
    "resource_type",
    "resource_id",
    "cursor",
    "facets",
];

struct Tenants {
    own: TenantId,
    other: TenantId,
    /// Words of the other's: its id, ids of its entries, its secret.
    theirs: Vec<String>,
    cursors: Vec<String>,
}

async fn tenants(app: &TestApp, index: &TestIndex) -> Tenants {
    let (own, other) = (app.tenant().await, app.tenant().await);
    // So many searches would be told in the log before the test is over.
    let mut admin = app.db.admin().await;
    let quiet = sqlx::query("update tenant set record_reads = false").execute(&mut admin).await;
    assert_eq!(quiet.unwrap().rows_affected(), 2);
    let mut theirs = vec![SECRET.to_owned(), other.to_string()];
    let mut cursors = Vec::new();
    for (tenant_id, mark) in [(own, "mine"), (other, SECRET)] {
        let entry = json!({
            "action": "VIEW", "resource_type": "thing", "user_id": mark, "resource_id": mark,
            "session_id": mark, "message": format!("{mark} common"), "metadata": { "mark": mark },
        });
        record_all(app, tenant_id, &vec![entry; ENTRIES]).await;
        let all = entries(app, tenant_id).await;
        index.bring(tenant_id, &all[..ENTRIES - 3]).await;
        if tenant_id == other {
            theirs.extend(all.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()));
        }
        for sort in ["newest", "relevance"] {
            let first = app.caller(tenant_id, "user");
            let first = first.get(&format!("/logs/search?q=common&limit=2&sort={sort}")).await;
            cursors.push(first.body["next_cursor"].as_str().unwrap().to_owned());
        }
    }
    Tenants { own, other, theirs, cursors }
}

fn question(random: &mut StdRng, tenants: &Tenants) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for _ in 0..random.random_range(1..4) {
        let name = NAMES.choose(random).unwrap();
        let mut value = String::new();
        for _ in 0..random.random_range(1..6) {
            match random.random_range(0..6) {
                0 => value.push_str(tenants.theirs.choose(random).unwrap()),
                1 => value.push(' '),
                _ => value.push_str(PIECES.choose(random).unwrap()),
            }
        }
        if *name == "cursor" {
            value.clone_from(tenants.cursors.choose(random).unwrap());
            if random.random_bool(0.3) {
                let at = random.random_range(0..value.len());
                value.replace_range(at..=at, "A");
            }
        }
        query.append_pair(name, &value);
    }
    for (name, values) in [
        ("sort", &["newest", "relevance"][..]),
        ("facets", &["user_id", "action,user_id,resource_type,severity"]),
        ("highlight", &["true"]),
        ("routing", &["*"]),
        ("tenant_id", &["*"]),
    ] {
        let odds = if matches!(name, "routing" | "tenant_id") { 0.02 } else { 0.5 };
        if random.random_bool(odds) {
            query.append_pair(name, values.choose(random).unwrap());
        }
    }
    query.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_hostile_questions_find_and_count_nothing_of_others() {
    let index = TestIndex::new().await;
    let app = TestApp::start_with(TestDb::unrepaired().await, &index.flags()).await;
    let tenants = tenants(&app, &index).await;
    let caller = app.caller(tenants.own, "user");
    let mut random = StdRng::seed_from_u64(seed("hostile searches"));
    let (begun, mut asked, mut answered) = (Instant::now(), 0, 0);
    while asked < QUESTIONS && (soak() || begun.elapsed() < TIME) {
        asked += 1;
        let query = question(&mut random, &tenants);
        let answer = caller.get(&format!("/logs/search?{query}")).await;
        let status = answer.status.as_u16();
        assert!(matches!(status, 200 | 400 | 409), "{query}: {answer:?}");
        if status != 200 {
            continue;
        }
        answered += 1;
        let foreign =
            answer.text.contains(SECRET) || answer.text.contains(&tenants.other.to_string());
        assert!(!foreign, "{query}: {answer:?}");
        let data = answer.body["data"].as_array().unwrap();
        assert!(data.iter().all(|it| it["tenant_id"] == tenants.own.to_string()), "{query}");
        let total = answer.body["total"]["value"].as_u64().unwrap();
        assert!(total <= ENTRIES as u64, "{query}: {answer:?}");
        assert_eq!(answer.body["head_seq"], ENTRIES as u64, "{query}");
        for (field, values) in answer.body["facets"].as_object().into_iter().flatten() {
            let counts = values.as_array().unwrap().iter().map(|it| it["count"].as_u64().unwrap());
            assert!(counts.sum::<u64>() <= ENTRIES as u64, "{query}: {field} {values}");
        }
        if let Some(expected) = answer.body["index"]["expected"].as_u64() {
            assert_eq!(expected, ENTRIES as u64, "{query}");
            assert_eq!(answer.body["index"]["indexed"], ENTRIES as u64 - 3, "{query}");
        }
    }
    eprintln!("{asked} questions, {answered} of them answered, in {:?}", begun.elapsed());
    assert!(answered > asked / 20, "{answered} of {asked}: the questions are all broken");
}
