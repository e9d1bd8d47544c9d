//! What clients ask for, and what they must get, said twice: as parameters, and by hand.

use serde_json::{Value, json};

/// Words of messages; none begins like another.
pub(crate) const WORDS: [&str; 5] = ["refund", "denied", "login", "paid", "export"];

/// A filter, and whether an entry passes it.
pub(crate) struct Wish {
    pub(crate) query: &'static str,
    pub(crate) wants: fn(&Value) -> bool,
}

pub(crate) const WISHES: &[Wish] = &[
    Wish { query: "", wants: |_| true },
    Wish {
        query: "severity=ERROR&severity=CRITICAL",
        wants: |e| is(e, "severity", &["ERROR", "CRITICAL"]),
    },
    Wish { query: "q=refund", wants: |e| says(e, "refund") },
    Wish { query: "include_self=true", wants: |_| true },
    Wish {
        query: "user_id=alice&action=UPDATE&action=DELETE",
        wants: |e| is(e, "user_id", &["alice"]) && is(e, "action", &["UPDATE", "DELETE"]),
    },
    Wish { query: "q=refund%20-denied", wants: |e| says(e, "refund") && !says(e, "denied") },
    Wish {
        query: "q=severity:ERROR%20user_id:bob",
        wants: |e| is(e, "severity", &["ERROR"]) && is(e, "user_id", &["bob"]),
    },
    Wish { query: "severity_min=WARNING", wants: |e| !is(e, "severity", &["INFO"]) },
    Wish { query: "q=%22login%20denied%22", wants: |e| message(e).contains("login denied") },
    Wish {
        query: "resource_type=account&q=pai*",
        wants: |e| is(e, "resource_type", &["account"]) && says(e, "paid"),
    },
    Wish { query: "request_id=of-nobody", wants: |_| false },
];

impl Wish {
    /// Whether an entry is to come.
    pub(crate) fn lets_pass(&self, entry: &Value) -> bool {
        let own = is(entry, "resource_type", &["audit_log"]);
        if own { self.query == "include_self=true" } else { (self.wants)(entry) }
    }
}

/// An entry that some wishes want.
pub(crate) fn entry(dice: u64) -> Value {
    let one_of = |words: &[&str], shift: u64| {
        let at = (dice >> shift) % words.len() as u64;
        words[usize::try_from(at).unwrap_or_default()].to_owned()
    };
    // One in eight is long: slow readers shall have something to be slow with.
    let padding =
        if (dice >> 40).is_multiple_of(8) { " long".repeat(1_000) } else { String::new() };
    json!({
        "action": one_of(&["CREATE", "UPDATE", "DELETE", "VIEW"], 0),
        "severity": one_of(&["INFO", "WARNING", "ERROR", "CRITICAL"], 3),
        "user_id": one_of(&["alice", "bob", "carol"], 6),
        "resource_type": one_of(&["invoice", "account"], 10),
        "resource_id": format!("r-{}", dice >> 48),
        "message": format!("{} {}{padding}", one_of(&WORDS, 13), one_of(&WORDS, 20)),
        "metadata": { "dice": dice },
    })
}

fn is(entry: &Value, field: &str, values: &[&str]) -> bool {
    entry[field].as_str().is_some_and(|value| values.contains(&value))
}

fn says(entry: &Value, word: &str) -> bool {
    message(entry).split(' ').any(|said| said == word)
}

fn message(entry: &Value) -> &str {
    entry["message"].as_str().unwrap_or_default()
}
