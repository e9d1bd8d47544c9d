//! Text of others on a terminal: nothing in it is an order to the terminal, and nothing is hidden.
//!
//! Whoever can record an entry chooses its words: escape sequences that rewrite the screen, a
//! carriage return that covers what stands before it, marks that turn the direction of reading.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with all escaped, as Rust writes it, that is not seen as itself; `\` is `\\`.
pub fn plain(text: &str) -> Cow<'_, str> {
    replaced(text, |c| c == '\\' || is_hidden(c), |c, out| out.extend(c.escape_debug()))
}

/// JSON text of the same value, in which all is escaped that is not seen as itself.
pub fn plain_json(text: &str) -> Cow<'_, str> {
    replaced(text, is_hidden, |c, out| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    })
}

fn replaced(
    text: &str,
    is_replaced: impl Fn(char) -> bool,
    replace: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.contains(&is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_replaced(c) {
            replace(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Controls, marks of direction, invisible and unassigned characters, and spaces that are no space.
fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        '\0'..='\u{9f}' => true,
        // Behind a letter a combining mark is seen as itself, so there must be one.
        _ => {
            let mut after_letter = [b'a', 0, 0, 0, 0];
            let len = c.encode_utf8(&mut after_letter[1..]).len();
            str::from_utf8(&after_letter[..=len])
                .map_or(true, |text| text.escape_debug().nth(2).is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn orders_to_a_terminal_are_shown_and_not_obeyed() {
        for (text, shown) in [
            ("\u{1b}[2J\u{7}", r"\u{1b}[2J\u{7}"),
            ("a\rb\nc\td", r"a\rb\nc\td"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            ("\u{202e}gnp.exe\u{2066}", r"\u{202e}gnp.exe\u{2066}"),
            ("ad\u{200b}min\u{feff}\u{ad}", r"ad\u{200b}min\u{feff}\u{ad}"),
            ("\u{2028}\u{2029}\u{a0}\u{e0041}", r"\u{2028}\u{2029}\u{a0}\u{e0041}"),
            (r"\u{1b}", r"\\u{1b}"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn what_is_seen_stays_as_it_is() {
        for text in ["", "it's \"fine\"", "Zoë 日本 🦀 ไทยที่ e\u{301} हिन्दी", "<b>&amp;</b>"]
        {
            assert_eq!(plain(text), text);
            assert_eq!(plain_json(text), text);
        }
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left_and_two_texts_never_look_the_same(a: String, b: String) {
            let (shown_a, shown_b) = (plain(&a), plain(&b));
            prop_assert!(!shown_a.contains(is_hidden));
            prop_assert!(!shown_a.chars().any(char::is_control));
            prop_assert_eq!(a == b, shown_a == shown_b);
        }

        #[test]
        fn json_keeps_its_value(text: String) {
            let json = serde_json::to_string(&text).unwrap_or_default();
            let shown = plain_json(&json);
            prop_assert!(!shown.contains(is_hidden));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).ok(), Some(text));
        }
    }
}
