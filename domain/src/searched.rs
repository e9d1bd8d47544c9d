//! What the index keeps of an entry to search in: words that are cut already, and pairs of path
//! and value.

use std::ops::ControlFlow;

use crate::StoredEntry;
use crate::values::{Part, Path};
use crate::words::{fold, pieces};

/// Pairs kept of one entry: the first ones of `metadata`, then of `after`, then of `before`.
pub const PAIRS_MAX: usize = 256;
/// Bytes of one pair; a longer one ends in `…` and can be found by its beginning.
pub const PAIR_BYTES_MAX: usize = 512;
/// What a pair that was cut ends in, so that it equals no pair that was not.
const CUT: &str = "…";

/// What of an entry can be searched.
///
/// Each text is words joined by single spaces, to be split there and nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchedText {
    /// The words of everything, a text for each value, so that no phrase reaches from one into
    /// the next: for the index's field `text`.
    pub text: Vec<String>,
    /// `path=value` of scalars in the three fields of JSON: for the field `kv`.
    pub kv: Vec<String>,
    /// The words of the message: for the field `message_words`.
    pub message: Option<String>,
    /// The words of the actor's name: for the field `user_name_words`.
    pub user_name: Option<String>,
    /// The words of the actor's program: for the field `user_agent_words`.
    pub user_agent: Option<String>,
}

impl SearchedText {
    /// What can be searched of an entry.
    pub fn of(entry: &StoredEntry<'_>) -> Self {
        let texts = entry.searched_texts().into_iter().filter_map(|(_, text)| text);
        let mut searched = Self {
            text: texts.filter_map(cut).collect(),
            kv: Vec::new(),
            message: entry.message.and_then(cut),
            user_name: entry.user_name.and_then(cut),
            user_agent: entry.user_agent.and_then(cut),
        };
        let _ = entry.visit_json::<()>(&mut |_, part| {
            if let Part::Key(text) | Part::Value(text) = part {
                searched.text.extend(cut(text));
            }
            ControlFlow::Continue(())
        });
        let _ = visit_pairs::<()>(entry, &mut |path, value| {
            searched.kv.push(pair(path, value));
            ControlFlow::Continue(())
        });
        searched
    }
}

/// The words of a text, unless it has none.
fn cut(text: &str) -> Option<String> {
    let mut words = String::new();
    for piece in pieces(text) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(&piece.folded());
    }
    (!words.is_empty()).then_some(words)
}

/// Goes over the values of an entry that are kept as pairs, until `visit` breaks it off.
pub(crate) fn visit_pairs<B>(
    entry: &StoredEntry<'_>,
    visit: &mut impl FnMut(&Path<'_>, &str) -> ControlFlow<B>,
) -> ControlFlow<Option<B>> {
    let mut count = 0;
    entry.visit_json(&mut |path, part| {
        let value = match part {
            Part::Key(_) => return ControlFlow::Continue(()),
            Part::Value(value) => value,
            Part::Null => "null",
        };
        count += 1;
        match visit(path, value) {
            ControlFlow::Break(found) => ControlFlow::Break(Some(found)),
            ControlFlow::Continue(()) if count == PAIRS_MAX => ControlFlow::Break(None),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        }
    })
}

/// A path and its value, as they are compared.
pub(crate) fn pair(path: &Path<'_>, value: &str) -> String {
    let mut text = pair_text(&path.to_string(), value);
    if text.len() > PAIR_BYTES_MAX {
        text.truncate(text.floor_char_boundary(PAIR_BYTES_MAX - CUT.len()));
        text.push_str(CUT);
    }
    text
}

/// The same, of any length.
pub(crate) fn pair_text(path: &str, value: &str) -> String {
    fold(&format!("{path}={value}"))
}
