//! Cases of searching that the matcher and a real OpenSearch must answer alike: the tests of
//! `domain` and of `search` both include this file.
//!
//! `cases.json` holds pairs of a query and the entries it finds, each with its score; `!7` is an
//! error in column 7, and a text alone a heading. `entries.json` holds the entries, numbered from
//! 1 in their order; what is too long for a file is made here.

use std::collections::BTreeMap;

use domain::{Place, Seq, Severity, StoredEntry, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

/// An entry of the table, with its own name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sample {
    recorded_by: Option<String>,
    user_id: Option<String>,
    pub(crate) user_name: Option<String>,
    session_id: Option<String>,
    request_id: Option<String>,
    action: Option<String>,
    resource_type: Option<String>,
    resource_id: Option<String>,
    severity: Option<String>,
    pub(crate) message: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    pub(crate) metadata: Option<Box<RawValue>>,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) query: String,
    pub(crate) expected: Expected,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Expected {
    /// Names of entries and their scores.
    Found(BTreeMap<String, f32>),
    /// The query is wrong in this column.
    WrongAt(usize),
}

impl Sample {
    /// The entry as it lies in the log, under this number.
    pub(crate) fn stored(&self, seq: i64) -> StoredEntry<'_> {
        let recorded_at = Timestamp::from_millis(1_795_000_000_000 + seq);
        let severity = self.severity.as_deref().unwrap_or("INFO");
        StoredEntry {
            place: Place { recorded_at, seq: Seq::new(seq).unwrap() },
            recorded_by: self.recorded_by.as_deref().unwrap_or("svc"),
            occurred_at: recorded_at,
            user_id: self.user_id.as_deref().unwrap_or("u1"),
            user_name: self.user_name.as_deref(),
            session_id: self.session_id.as_deref(),
            request_id: self.request_id.as_deref(),
            action: self.action.as_deref().unwrap_or("UPDATE"),
            resource_type: self.resource_type.as_deref().unwrap_or("thing"),
            resource_id: self.resource_id.as_deref(),
            severity: Severity::parse(severity).unwrap(),
            message: self.message.as_deref(),
            ip_address: self.ip_address.as_deref(),
            user_agent: self.user_agent.as_deref(),
            before: self.before.as_deref().map(RawValue::get),
            after: self.after.as_deref().map(RawValue::get),
            metadata: self.metadata.as_deref().map(RawValue::get),
        }
    }

    fn of_metadata(metadata: String) -> Self {
        Self { metadata: Some(RawValue::from_string(metadata).unwrap()), ..Self::default() }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongAt(column) => write!(f, "!{column}"),
            Self::Found(found) => {
                found.iter().try_for_each(|(name, score)| write!(f, "{name}={score} "))
            }
        }
    }
}

/// The entries of the table and their names; an entry's number is its index and one.
pub(crate) fn samples() -> Vec<(String, Sample)> {
    /// Keeps the order of the file.
    struct InOrder(Vec<(String, Sample)>);
    impl<'de> Deserialize<'de> for InOrder {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = InOrder;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("entries by name")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<InOrder, A::Error> {
                    let mut entries = Vec::new();
                    while let Some(entry) = map.next_entry()? {
                        entries.push(entry);
                    }
                    Ok(InOrder(entries))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    let InOrder(mut samples) = serde_json::from_str(include_str!("entries.json")).unwrap();
    samples.extend(long_ones().map(|(name, sample)| (name.to_owned(), sample)));
    samples
}

/// As large as an entry can be: in one text, in many keys, in one word.
fn long_ones() -> [(&'static str, Sample); 3] {
    let words: Vec<_> = (0..8_500).map(|n| format!("w{n}")).collect();
    let large = format!(r#"{{"blob":"{}","last":"lastword"}}"#, words.join(" "));
    let keys: Vec<_> = (0..300).map(|n| format!(r#""k{n}":"v{n}""#)).collect();
    let many = format!(r#"{{"long":"{}",{}}}"#, "z".repeat(2_000), keys.join(","));
    let one_word = Sample { message: Some("a".repeat(600) + "bc"), ..Sample::default() };
    [
        ("large", Sample::of_metadata(large)),
        ("many", Sample::of_metadata(many)),
        ("wordy", one_word),
    ]
}

/// The lines of the table.
pub(crate) fn cases() -> Vec<Case> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Line {
        Case(String, String),
        Heading(#[expect(dead_code, reason = "for people")] String),
    }
    let lines: Vec<Line> = serde_json::from_str(include_str!("cases.json")).unwrap();
    let case = |line| match line {
        Line::Case(query, expected) => Some(Case { query, expected: expect(&expected) }),
        Line::Heading(_) => None,
    };
    lines.into_iter().filter_map(case).collect()
}

fn expect(text: &str) -> Expected {
    if let Some(column) = text.strip_prefix('!') {
        return Expected::WrongAt(column.parse().unwrap());
    }
    let found = text.split_whitespace().map(|item| {
        let (name, score) = item.split_once('=').unwrap();
        (name.to_owned(), score.parse().unwrap())
    });
    Expected::Found(found.collect())
}
