//! The scanner that makes compact text of JSON.
//!
//! It copies spans of the text and leaves out the white space between, so
//! nothing is rounded or reordered. On the way it checks every limit and puts
//! [`MASK`] where a secret stood. What is masked is checked like the rest.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use crate::card;
use crate::json::{Json, Kind};
use crate::json_text::JsonText;
use crate::masking::{MASK, Masking};
use crate::problem::{Echo, FieldCode, Problems};
use crate::text::is_longer_than;
use crate::walk::Walk;

/// One pass over a value: reads tokens, writes what is stored of them.
///
/// It recurses, but never deeper than [`JsonText::DEPTH_MAX`].
pub(crate) struct Scanner<'a, 'c> {
    walk: Walk<'a>,
    json: &'a str,
    /// What is written so far …
    out: String,
    /// … of everything before this position.
    copied: usize,
    /// The first keys of the objects that are open, one after the other.
    keys: Vec<Cow<'a, str>>,
    masking: &'c Masking,
    problems: &'c mut Problems,
}

impl<'a, 'c> Scanner<'a, 'c> {
    pub(crate) fn new(json: Json<'a>, masking: &'c Masking, problems: &'c mut Problems) -> Self {
        Self {
            walk: Walk::over(json),
            json: json.as_str(),
            out: String::with_capacity(json.as_str().len()),
            copied: 0,
            keys: Vec::new(),
            masking,
            problems,
        }
    }

    /// What is stored of the value of `field`, unless problems were noted.
    pub(crate) fn scan(mut self, field: &str) -> String {
        self.value(&Path::root(field), 1);
        self.copy_up_to(self.walk.at());
        self.out
    }

    fn value(&mut self, path: &Path<'_>, depth: usize) {
        if depth > JsonText::DEPTH_MAX {
            self.walk.value();
            let detail = format_args!("nest at most {} levels", JsonText::DEPTH_MAX);
            self.problems.note(path, FieldCode::TooDeep, detail);
            return;
        }
        match self.walk.peek() {
            Some(b'{') => self.object(path, depth),
            Some(b'[') => self.array(path, depth),
            Some(b'"') => self.string(path),
            _ => self.scalar(path),
        }
    }

    fn object(&mut self, path: &Path<'_>, depth: usize) {
        let mut keys = KeySet::after(self.keys.len());
        self.open(b'{');
        while !self.close(b'}') {
            let key = self.walk.string().decode();
            let path = path.member(&key);
            self.key(&key, &path);
            self.separator(b':');
            if self.masking.covers(&key) {
                self.masked(&path, depth + 1);
            } else {
                self.value(&path, depth + 1);
            }
            if !keys.insert(&mut self.keys, key.clone()) {
                self.problems.note(path, FieldCode::DuplicateKey, "give each key once");
            }
            self.separator(b',');
        }
        self.keys.truncate(keys.start);
    }

    fn array(&mut self, path: &Path<'_>, depth: usize) {
        let mut index = 0;
        self.open(b'[');
        while !self.close(b']') {
            self.value(&path.item(index), depth + 1);
            self.separator(b',');
            index += 1;
        }
    }

    fn key(&mut self, key: &str, path: &Path<'_>) {
        if is_longer_than(key, JsonText::KEY_CHARS_MAX) {
            let detail = format_args!("use at most {} characters", JsonText::KEY_CHARS_MAX);
            self.problems.note(path, FieldCode::KeyTooLong, detail);
        }
        if memchr::memchr(0, key.as_bytes()).is_some() {
            self.problems.note(path, FieldCode::NulCharacter, "remove the NUL character");
        }
    }

    fn string(&mut self, path: &Path<'_>) {
        let start = self.walk.at();
        let token = self.walk.string();
        if holds_nul(token) {
            self.problems.note(path, FieldCode::NulCharacter, "remove the NUL character");
        }
        if !card::may_hold_one(token.as_str()) {
            return;
        }
        if let Some(text) = self.masking.text(&token.decode()) {
            self.copy_up_to(start);
            self.out.push_str(&encoded(&text));
            self.copied = self.walk.at();
        }
    }

    fn scalar(&mut self, path: &Path<'_>) {
        let token = self.walk.scalar();
        let is_too_long = token.as_str().len() > JsonText::NUMBER_CHARS_MAX;
        if is_too_long && token.kind() == Kind::Number {
            let detail = format_args!("use at most {} digits", JsonText::NUMBER_CHARS_MAX);
            self.problems.note(path, FieldCode::NumberTooLong, detail);
        }
    }

    /// Checks a value like any other, but writes the mask.
    fn masked(&mut self, path: &Path<'_>, depth: usize) {
        self.copy_up_to(self.walk.at());
        let before = self.out.len();
        self.value(path, depth);
        self.out.truncate(before);
        self.out.push_str(&encoded(MASK));
        self.copied = self.walk.at();
    }

    fn open(&mut self, bracket: u8) {
        self.walk.take(bracket);
        self.skip_space();
    }

    /// Whether an array or object ends here. All of them end with the text.
    fn close(&mut self, bracket: u8) -> bool {
        self.walk.take(bracket) || self.walk.peek().is_none()
    }

    fn separator(&mut self, byte: u8) {
        self.skip_space();
        self.walk.take(byte);
        self.skip_space();
    }

    fn skip_space(&mut self) {
        let start = self.walk.at();
        self.walk.skip_space();
        if self.walk.at() > start {
            self.copy_up_to(start);
            self.copied = self.walk.at();
        }
    }

    fn copy_up_to(&mut self, end: usize) {
        self.out.push_str(&self.json[self.copied..end]);
        self.copied = end;
    }
}

fn holds_nul(token: Json<'_>) -> bool {
    // The search also finds an escaped backslash before `u0000`; decoding tells them apart.
    token.has_escape() && token.as_str().contains(r"\u0000") && token.decode().contains('\0')
}

fn encoded(text: &str) -> String {
    serde_json::to_string(text).expect("every text is a JSON string")
}

/// The keys of one object, to find one that comes twice.
///
/// The first few lie on a stack that all objects share, which costs most of
/// them no allocation. The rest are hashed, so that a hostile object with very
/// many keys costs time in proportion.
struct KeySet<'a> {
    start: usize,
    rest: HashSet<Cow<'a, str>>,
}

impl<'a> KeySet<'a> {
    const FEW: usize = 16;

    fn after(start: usize) -> Self {
        Self { start, rest: HashSet::new() }
    }

    /// Whether the key is new.
    fn insert(&mut self, stack: &mut Vec<Cow<'a, str>>, key: Cow<'a, str>) -> bool {
        let few = &stack[self.start..];
        if few.contains(&key) {
            return false;
        }
        if few.len() < Self::FEW {
            stack.push(key);
            return true;
        }
        self.rest.insert(key)
    }
}

/// The way to a value, on the stack of the scanner: made into text only for a problem.
struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

enum Step<'p> {
    Name(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    fn root(field: &'p str) -> Self {
        Self { parent: None, step: Step::Name(field) }
    }

    fn member(&'p self, key: &'p str) -> Self {
        Self { parent: Some(self), step: Step::Name(key) }
    }

    fn item(&'p self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        match self.step {
            Step::Name(name) => Echo::name(name).fmt(f),
            Step::Index(index) => index.fmt(f),
        }
    }
}
