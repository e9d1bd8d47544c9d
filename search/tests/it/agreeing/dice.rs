//! Random entries and queries, of few words so that they meet, and of strange ones.

use domain::StoredEntry;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};

use crate::search_cases::Sample;

/// Words and what looks like some.
const WORDS: [&str; 44] = [
    "a",
    "b",
    "ab",
    "aB",
    "abc",
    "A",
    "10",
    "10.1",
    "1",
    "0010",
    "x1",
    "inv-1/2",
    "a.b@c",
    "it's",
    "straße",
    "STRASSE",
    "ß",
    "é",
    "e\u{301}",
    "İ",
    "i",
    "ı",
    "Σας",
    "ΣΑΣ",
    "東京",
    "京",
    "データ",
    "ﾃﾞ",
    "เข้า",
    "שלום",
    "صلى",
    "\u{fdfa}",
    "🚀",
    "👍🏽",
    "👍",
    "👩\u{200d}💻",
    "🇩🇪🇫🇷",
    "\u{301}",
    "a\u{ad}b",
    "AND",
    "OR",
    "½",
    "①",
    "\u{fffe}",
];
const BETWEEN: [&str; 14] =
    [" ", " ", " ", " ", "-", "/", ".", "", ", ", "\n", "\u{200f}", ":", "\"", "\\ * ( )"];
const FIELDS: [&str; 10] = [
    "user_id",
    "resource_id",
    "resource_type",
    "session_id",
    "request_id",
    "recorded_by",
    "action",
    "message",
    "user_name",
    "user_agent",
];
const ADDRESSES: [&str; 6] =
    ["10.0.0.1", "10.0.1.2", "192.168.0.1", "::1", "2001:db8::1", "2001:db8:1::2"];
const KEYS: [&str; 8] = ["a", "b", "a.b", "", "K e y", "größe", "\"", "=:"];

pub(super) struct Dice(StdRng);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    fn pick<T: Copy>(&mut self, some: &[T]) -> T {
        *some.choose(&mut self.0).unwrap()
    }

    fn text(&mut self, words_max: usize) -> String {
        let mut text = String::new();
        for _ in 0..self.0.random_range(1..=words_max) {
            text.push_str(self.pick(&WORDS));
            text.push_str(self.pick(&BETWEEN));
        }
        if self.one_in(40) {
            text.push_str(&"ab".repeat(self.0.random_range(100..400)));
        }
        text.trim_end().to_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.0.random_range(0..if depth > 3 { 6 } else { 9 }) {
            0 => json!(self.0.random_range(0..12)),
            1 => self.pick(&[json!(true), json!(false), json!(1.5)].each_ref()).clone(),
            2 => Value::Null,
            3..=5 => json!(self.text(4)),
            6 => (0..self.0.random_range(0..4)).map(|_| self.value(depth + 1)).collect(),
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let members = (0..self.0.random_range(0..5))
            .map(|_| (self.pick(&KEYS).to_owned(), self.value(depth + 1)));
        Value::Object(members.collect::<Map<_, _>>())
    }

    pub(super) fn sample(&mut self) -> Sample {
        let mut fields = Map::new();
        for field in FIELDS {
            if !self.one_in(3) {
                let words_max = if field == "message" { 12 } else { 2 };
                fields.insert(field.to_owned(), json!(self.text(words_max)));
            }
        }
        if self.one_in(2) {
            fields.insert("ip_address".to_owned(), json!(self.pick(&ADDRESSES)));
        }
        let severity = self.pick(&["INFO", "WARNING", "ERROR", "CRITICAL"]);
        fields.insert("severity".to_owned(), json!(severity));
        for field in ["before", "after"] {
            if self.one_in(2) {
                fields.insert(field.to_owned(), self.value(1));
            }
        }
        fields.insert("metadata".to_owned(), self.object(1));
        serde_json::from_str(&Value::Object(fields).to_string()).unwrap()
    }

    pub(super) fn query(&mut self, entries: &[StoredEntry<'_>], depth: usize) -> String {
        let mut text = String::new();
        for at in 0..self.0.random_range(1..4) {
            if at > 0 {
                text.push_str(self.pick(&[" ", " ", " AND ", " OR "]));
            }
            if self.one_in(6) {
                text.push('-');
            }
            if depth < 3 && self.one_in(5) {
                let inner = self.query(entries, depth + 1);
                text.extend(["(", &inner, ")"]);
            } else {
                text.push_str(&self.term(entries));
            }
        }
        text
    }

    fn term(&mut self, entries: &[StoredEntry<'_>]) -> String {
        let entry = self.pick(entries);
        match self.0.random_range(0..12) {
            0..=4 => {
                let asked = self.asked(&entry);
                self.written(&asked)
            }
            5..=8 => {
                let field = self.pick(&FIELDS);
                let text = if self.one_in(4) { self.text(1) } else { of(&entry, field).to_owned() };
                let value = self.written(&text);
                format!("{field}:{value}")
            }
            9 => self.path(&entry),
            10 => {
                let address = self.pick(&ADDRESSES);
                let bits = self.pick(&["", "/0", "/8", "/23", "/32"]);
                format!("ip_address:{address}{bits}")
            }
            _ => self
                .pick(&["severity:error", "seq:7", "ip_address:*", "after:*", "session_id:*"])
                .to_owned(),
        }
    }

    /// Words of an entry, or any.
    fn asked(&mut self, entry: &StoredEntry<'_>) -> String {
        let text = match self.0.random_range(0..5) {
            0 => self.text(2),
            1 => of(entry, self.pick(&FIELDS)).to_owned(),
            2 => entry.metadata.unwrap_or_default().to_owned(),
            _ => entry.message.unwrap_or_default().to_owned(),
        };
        let chars: Vec<_> = text.chars().collect();
        let from = self.0.random_range(0..=chars.len());
        let len = self.pick(&[1, 2, 5, 10, 300]);
        chars[from..].iter().take(len).collect()
    }

    /// A value inside JSON, or its beginning.
    fn path(&mut self, entry: &StoredEntry<'_>) -> String {
        let (mut path, json) = self
            .pick(
                &[
                    ("metadata".to_owned(), entry.metadata),
                    ("before".to_owned(), entry.before),
                    ("after".to_owned(), entry.after),
                ]
                .each_ref(),
            )
            .clone();
        let mut value: Value = serde_json::from_str(json.unwrap_or("null")).unwrap();
        while let Some((key, inner)) = self.inner(&value) {
            if let Some(key) = key {
                path.push('.');
                path.push_str(&quoted(&key));
            }
            value = inner;
        }
        let text = match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let value = self.written(&text);
        format!("{path}:{value}")
    }

    fn inner(&mut self, value: &Value) -> Option<(Option<String>, Value)> {
        match value {
            Value::Array(items) => Some((None, items.choose(&mut self.0)?.clone())),
            Value::Object(members) => {
                let (key, value) =
                    members.iter().nth(self.0.random_range(0..members.len().max(1)))?;
                Some((Some(key.clone()), value.clone()))
            }
            _ => None,
        }
    }

    /// In quotes, perhaps only its beginning.
    fn written(&mut self, text: &str) -> String {
        if self.one_in(3) {
            let chars = text.chars().count();
            let begin: String = text.chars().take(self.0.random_range(0..=chars)).collect();
            return quoted(&begin) + "*";
        }
        if self.one_in(8) { text.to_owned() } else { quoted(text) }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn of<'a>(entry: &StoredEntry<'a>, field: &str) -> &'a str {
    let text = match field {
        "user_id" => Some(entry.user_id),
        "resource_id" => entry.resource_id,
        "resource_type" => Some(entry.resource_type),
        "session_id" => entry.session_id,
        "request_id" => entry.request_id,
        "recorded_by" => Some(entry.recorded_by),
        "action" => Some(entry.action),
        "message" => entry.message,
        "user_name" => entry.user_name,
        _ => entry.user_agent,
    };
    text.unwrap_or("none")
}
