//! Searches: from the log, from the index, from both, and when the index fails.

mod basics;
mod completeness;
mod hostile;
mod outage;
mod profiles;

use domain::TenantId;
use serde_json::{Value, json};

use crate::support::app::{Answer, Caller, TestApp};

/// Records many entries at a time.
async fn record_all(app: &TestApp, tenant_id: TenantId, entries: &[Value]) {
    let caller = app.caller(tenant_id, "admin");
    for part in entries.chunks(1_000) {
        caller.post("/logs/bulk", &json!(part)).await.created();
    }
}

/// Entries that tell themselves apart: every third is about a `pear`, every other an `apple`.
fn fruit(n: usize) -> Value {
    let third = if n.is_multiple_of(3) { "pear" } else { "plum" };
    let other = if n.is_multiple_of(2) { "apple apple" } else { "cherry" };
    json!({
        "action": if n.is_multiple_of(5) { "VIEW" } else { "UPDATE" },
        "resource_type": "fruit",
        "resource_id": format!("{third}-{n}"),
        "severity": if n.is_multiple_of(4) { "ERROR" } else { "INFO" },
        "message": format!("{third} and {other} number {n}"),
        "metadata": { "basket": { "kind": third } },
    })
}

/// The entries' numbers.
fn seqs(answer: &Answer) -> Vec<i64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let data = answer.body["data"].as_array().unwrap();
    data.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

/// Asks until the answer is a whole one, by an index that was counted to hold so much: a search on a
/// busy machine may run out of time, and counts are good for a moment.
async fn whole(caller: &Caller<'_>, path: &str, indexed: Option<usize>) -> Answer {
    let mut last = None;
    for _ in 0..200 {
        let answer = caller.get(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let counted = indexed.is_none_or(|indexed| answer.body["index"]["indexed"] == indexed);
        if counted && answer.body["total"]["exact"] == true && answer.body["next_cursor"].is_null()
        {
            return answer;
        }
        last = Some((answer.body["index"].clone(), answer.body["total"].clone()));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no whole answer to {path} with {indexed:?} in the index: {last:?}");
}

/// What came of a walk, by pages.
#[derive(Default)]
struct Walked {
    seqs: Vec<i64>,
    sources: Vec<String>,
    /// Whether the number of all that match was known.
    is_exact: Vec<bool>,
}

/// Goes through all pages.
async fn walk(
    caller: &Caller<'_>,
    question: &str,
    mut limit: impl FnMut() -> usize,
    mut between: impl AsyncFnMut(),
) -> Walked {
    let (mut walked, mut cursor) = (Walked::default(), String::new());
    loop {
        let path = format!("/logs/search?{question}&limit={}{cursor}", limit());
        let answer = caller.get(&path).await;
        walked.seqs.extend(seqs(&answer));
        walked.sources.push(answer.body["source"].as_str().unwrap().to_owned());
        walked.is_exact.push(answer.body["total"]["exact"] == true);
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return walked,
        }
        between().await;
    }
}
