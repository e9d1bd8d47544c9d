//! Texts as they are compared: without case, and in one of the ways Unicode has to write them.

use unicode_normalization::UnicodeNormalization as _;

/// The form of a text that all texts share which a reader would call the same.
///
/// By way of upper case, so `ß` is `ss`, `ς` is `σ`, and the `i` of every language one letter. Around it compatible characters become one, as `Ａ` and `A` do.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let cased = text.nfkc().flat_map(without_case);
    let mut folded = String::with_capacity(text.len());
    for c in cased.filter(|c| !is_ignored(*c)).nfkc() {
        let is_dot_of_i = c == '\u{307}' && folded.ends_with('i');
        if !is_dot_of_i {
            folded.push(c);
        }
    }
    folded
}

/// How many units of UTF-16 a character can become at most, wherever it stands.
pub(super) fn folded_units(c: char) -> usize {
    let cased = c.nfkc().flat_map(without_case);
    cased.filter(|c| !is_ignored(*c)).nfkd().map(char::len_utf16).sum()
}

/// First to lower case, for the one capital that has no other: `ẞ`.
fn without_case(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase)
}

/// Characters that nobody sees: hyphens of a line's end, marks of direction, joiners, variants.
pub(super) fn is_ignored(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}
