//! What of an entry is searched: its texts, and the keys and values inside its JSON.

use std::fmt;
use std::ops::ControlFlow;

use crate::StoredEntry;
use crate::json::{Json, Kind};
use crate::json_text::JsonText;
use crate::walk::Walk;

/// The way to a value inside a field that holds JSON: the field, then keys. Elements of a list
/// are where the list is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    key: &'p str,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.key)
    }
}

/// Something inside JSON that can be searched for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'v> {
    /// A key of the object that the path leads to.
    Key(&'v str),
    /// A text, number, `true` or `false`.
    Value(&'v str),
    /// No word of it is searched, but it is a value.
    Null,
}

impl<'a> StoredEntry<'a> {
    /// The fields that hold plain text to search in, by name; the ones that say most come first.
    pub(crate) fn searched_texts(&self) -> [(&'static str, Option<&'a str>); 11] {
        [
            ("message", self.message),
            ("user_name", self.user_name),
            ("user_id", Some(self.user_id)),
            ("resource_id", self.resource_id),
            ("resource_type", Some(self.resource_type)),
            ("action", Some(self.action)),
            ("request_id", self.request_id),
            ("session_id", self.session_id),
            ("recorded_by", Some(self.recorded_by)),
            ("ip_address", self.ip_address),
            ("user_agent", self.user_agent),
        ]
    }

    /// Goes over everything inside the fields that hold JSON, until `visit` breaks it off.
    pub(crate) fn visit_json<B>(
        &self,
        visit: &mut impl FnMut(&Path<'_>, Part<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let fields = [("metadata", self.metadata), ("after", self.after), ("before", self.before)];
        for (key, json) in fields {
            let Some(json) = json else { continue };
            let mut walk = Walk::over(Json::part(json));
            visit_value(&mut walk, &Path { parent: None, key }, 1, visit)?;
        }
        ControlFlow::Continue(())
    }
}

/// Recurses, but no deeper than the log's JSON is.
fn visit_value<B>(
    walk: &mut Walk<'_>,
    path: &Path<'_>,
    depth: usize,
    visit: &mut impl FnMut(&Path<'_>, Part<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    match walk.peek() {
        Some(b'{' | b'[') if depth > JsonText::DEPTH_MAX => {
            walk.value();
            ControlFlow::Continue(())
        }
        Some(b'{') => visit_members(walk, path, depth, visit),
        Some(b'[') => visit_elements(walk, path, depth, visit),
        Some(b'"') => visit(path, Part::Value(&walk.string().decode_lossy())),
        _ => {
            let scalar = walk.scalar();
            match scalar.kind() {
                Kind::Null => visit(path, Part::Null),
                _ => visit(path, Part::Value(scalar.as_str())),
            }
        }
    }
}

fn visit_members<B>(
    walk: &mut Walk<'_>,
    path: &Path<'_>,
    depth: usize,
    visit: &mut impl FnMut(&Path<'_>, Part<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk.take(b'{');
    walk.skip_separator();
    while !walk.take(b'}') && walk.peek().is_some() {
        let key = walk.string().decode_lossy();
        visit(path, Part::Key(&key))?;
        walk.skip_separator();
        let member = Path { parent: Some(path), key: &key };
        visit_value(walk, &member, depth + 1, visit)?;
        walk.skip_separator();
    }
    ControlFlow::Continue(())
}

fn visit_elements<B>(
    walk: &mut Walk<'_>,
    path: &Path<'_>,
    depth: usize,
    visit: &mut impl FnMut(&Path<'_>, Part<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    walk.take(b'[');
    walk.skip_separator();
    while !walk.take(b']') && walk.peek().is_some() {
        visit_value(walk, path, depth + 1, visit)?;
        walk.skip_separator();
    }
    ControlFlow::Continue(())
}
