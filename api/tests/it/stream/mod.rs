//! Live streams: each entry once and in order, whatever happens to clients and service.

mod basics;
mod document;
mod ends;
mod events;
mod gaps;
mod refusals;
mod replicas;
mod slow;
mod tickets;

use serde_json::{Value, json};

use crate::support::app::Caller;

/// Records so many entries, whose message is their number from `first` on.
async fn record(caller: &Caller<'_>, first: i64, count: i64) {
    for n in first..first + count {
        caller.post_entry(json!({ "message": n.to_string() })).await.created();
    }
}

/// The same in one request.
async fn record_many(caller: &Caller<'_>, entries: Vec<Value>) {
    let answer = caller.post("/logs/bulk", &json!(entries)).await.created();
    assert!(answer.body["first_seq"].is_i64());
}
