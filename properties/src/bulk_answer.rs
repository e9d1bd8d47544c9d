//! What OpenSearch answers to a bulk request: nothing counts as done that is not said to be.

use search::{Document, Outcome};
use serde_json::Value;

use crate::sample::{owner, place, plain};

/// Documents that were sent, at most.
const SENT_MAX: usize = 4;

/// The first byte says how many documents were sent, the others are the answer.
pub(crate) fn bulk_answer(bytes: &[u8]) {
    let Some((count, answer)) = bytes.split_first() else { return };
    let count = usize::from(*count) % (SENT_MAX + 1);
    let sent: Vec<_> =
        (1..).take(count).map(|seq| Document::of(&plain(place(seq)), &owner())).collect();
    let Ok(outcomes) = Outcome::read(answer, &sent) else { return };
    assert_eq!(outcomes.len(), sent.len());
    // In fields that nobody reads may be what this parser refuses, such as half a character.
    let Ok(answer) = serde_json::from_str::<Value>(&String::from_utf8_lossy(answer)) else {
        return;
    };
    // Serde takes a list of values for an object, too, which OpenSearch does not send.
    let Some(items) = answer["items"].as_array() else { return };
    if items.iter().any(|item| !item.is_object()) {
        return;
    }
    assert_eq!(items.len(), sent.len());
    for ((item, document), outcome) in items.iter().zip(&sent).zip(outcomes) {
        assert_told(item, document, &outcome);
    }
}

fn assert_told(item: &Value, document: &Document, outcome: &Outcome) {
    let item = item.get("create").or(item.get("index")).expect("it is about a document");
    if item.is_array() {
        return;
    }
    assert_eq!(item["_id"], document.id().to_string());
    let status = item["status"].as_u64().expect("it has a status");
    let is_error = |error: &Value| error.is_object() || error.is_null();
    if !is_error(&item["error"]) {
        return;
    }
    let is_known = status == 409 && item["error"]["type"] == "version_conflict_engine_exception";
    let is_done = (200..300).contains(&status) && item["error"].is_null();
    match outcome {
        Outcome::Created => assert!(is_done && outcome.is_there()),
        Outcome::AlreadyThere => assert!(is_known && outcome.is_there()),
        Outcome::Later { status: told, reason } | Outcome::Refused { status: told, reason } => {
            assert!(!is_done && !is_known && !outcome.is_there());
            assert_eq!(u64::from(*told), status);
            assert_plain(reason);
        }
    }
    // Only what is wrong with the document itself is given up, never what a moment may change.
    if matches!(outcome, Outcome::Refused { .. }) {
        assert!(matches!(status, 400 | 413 | 422));
    }
}

/// A reason names kinds of errors; nothing of a document can be in it.
fn assert_plain(reason: &str) {
    assert!(reason.len() <= 400, "{} bytes", reason.len());
    assert!(reason.chars().all(|c| c.is_ascii_alphanumeric() || "_: ".contains(c)), "{reason}");
}
