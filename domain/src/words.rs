//! Where words begin and end, and when two of them are the same: the one place that decides it,
//! for the index, for queries and for the matcher. What OpenSearch gets is cut already; its own
//! tokeniser would cut otherwise.
//!
//! A word is a run of letters and digits, so an id, an address or a path is several words in a
//! row, which are searched for as a phrase. Scripts that write without spaces are cut between
//! characters, by Unicode's rules (UAX #29). An emoji is a word, whatever it is made of; other
//! signs separate words.
//!
//! What is changed here changes what the index must hold: every entry has to be indexed again.

mod fold;
mod pieces;

use std::borrow::Cow;

pub(crate) use self::fold::fold;
pub(crate) use self::pieces::{Piece, pieces};

/// The longest word, in units of UTF-16, which is how OpenSearch counts: what is longer is cut
/// into several.
pub const WORD_UNITS_MAX: usize = 255;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'t> {
    /// As it is compared: without case, and in one of the ways to write it.
    pub text: Cow<'t, str>,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

/// The words of a text.
///
/// ```
/// let words: Vec<_> = domain::words("Re: INV-2024/0042, Straße 👍🏽").map(|word| word.text).collect();
/// assert_eq!(words, ["re", "inv", "2024", "0042", "strasse", "👍🏽"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    pieces(text).map(|piece| Word { text: piece.folded(), start: piece.start, end: piece.end() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization as _;

    use super::*;

    fn cut(text: &str) -> Vec<String> {
        words(text).map(|word| word.text.into_owned()).collect()
    }

    /// The index holds words that were cut so: a change here needs every entry indexed again.
    #[test]
    fn words_are_cut_as_the_index_has_them() {
        for (text, expected) in [
            ("", ""),
            (" \t-/*\"", ""),
            ("inv-2024/0042", "inv 2024 0042"),
            ("Anna.Smith+x@Example.com", "anna smith x example com"),
            ("192.168.0.1 fe80::1", "192 168 0 1 fe80 1"),
            ("user_id=v2; 3,14", "user id v2 3 14"),
            ("don't l’été O'Brien", "don t l été o brien"),
            ("STRASSE Straße STRAẞE", "strasse strasse strasse"),
            ("ΟΔΟΣ οδός Σ", "οδοσ οδόσ σ"),
            ("İstanbul ISTANBUL ıstanbul", "istanbul istanbul istanbul"),
            ("ＡＢＣ１２ ﬁn ½ ㎏ №5 ℃", "abc12 fin 1⁄2 kg no 5 °c"),
            ("cafe\u{301} café", "café café"),
            ("請求書を確認", "請 求 書 を 確 認"),
            ("データ ﾃﾞｰﾀ", "デ ー タ デ ー タ"),
            ("ไทย", "ไ ท ย"),
            ("שלום עולם צה״ל", "שלום עולם צה ל"),
            ("مرحبا\u{200f} بالعالم", "مرحبا بالعالم"),
            ("한국어 텍스트", "한국어 텍스트"),
            ("Auf\u{ad}lage", "auflage"),
            ("👍🏽👍 👨‍👩‍👧 🇩🇪🇫🇷 ❤️ ❤", "👍🏽 👍 👨👩👧 🇩🇪 🇫🇷 ❤ ❤"),
            ("1️⃣ #️⃣ → ✅", "1\u{20e3} → ✅"),
            ("a\u{1}b\u{fffe}c\u{85}d", "a b c d"),
            ("\u{fdfa}", "صلىاللهعليهوسلم"),
        ] {
            assert_eq!(cut(text).join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn long_words_are_cut_where_they_get_too_long() {
        let long = "x".repeat(2 * WORD_UNITS_MAX + 1);
        let lengths = |text: &str| words(text).map(|word| word.text.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&long), [255, 255, 1]);
        assert_eq!(lengths(&long[..255]), [255]);
        assert!(words(&"𝒜é".repeat(400)).all(|word| word.text.chars().count() <= 170));
        let marks = format!("a{}", "\u{301}".repeat(1_000));
        assert!(words(&marks).all(|word| word.text.chars().count() <= WORD_UNITS_MAX));
    }

    fn texts() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-zA-Z0-9 ._'-]{1,8}",
            "[\u{e0}-\u{2af}]{1,4}",
            "[a-zA-ZÀ-ÿА-яЁё0-9\u{301}\u{ad}]{1,8}",
            "[一-三あ-ん가-갏\u{1100}-\u{11ff}\u{3099}]{1,5}",
            "[\u{300}-\u{36f}\u{3040}-\u{30ff}\u{ff60}-\u{ffa0}]{1,6}",
            "[\u{ad}\u{200b}-\u{200f}\u{fe0f}\u{1f1e6}-\u{1f1ff}\u{1f3fb}-\u{1f3ff}\u{1f468}]{1,6}",
            "[\u{e00}-\u{e7f}\u{590}-\u{6ff}\u{fb50}-\u{fdff}]{1,6}",
            Just("x\u{fdfa}".repeat(20)),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_word_is_short_and_has_neither_space_nor_nothing(text in texts()) {
            let mut behind = 0;
            for word in words(&text) {
                prop_assert!(!word.text.is_empty());
                prop_assert!(!word.text.contains(char::is_whitespace), "{:?}", word);
                prop_assert!(word.text.encode_utf16().count() <= WORD_UNITS_MAX);
                prop_assert!(behind <= word.start && word.start < word.end);
                prop_assert!(text.get(word.start..word.end).is_some());
                behind = word.end;
            }
        }

        #[test]
        fn composed_and_decomposed_text_have_the_same_words(text in "[a-zà-ÿ \u{300}-\u{304}がプ각]{0,20}") {
            prop_assert_eq!(cut(&text.nfc().to_string()), cut(&text.nfd().to_string()));
        }

        #[test]
        fn case_makes_no_difference(text in "[a-zA-ZäöüßéÀ-ÿα-ωΑ-Ωа-яА-Я0-9 ]{0,20}") {
            prop_assert_eq!(cut(&text), cut(&text.to_uppercase()));
            prop_assert_eq!(cut(&text), cut(&text.to_lowercase()));
        }

        /// What stands before or behind a space has nothing to do with the word.
        #[test]
        fn words_of_parts_are_the_words_of_the_whole(one in texts(), other in texts()) {
            let whole = format!("{one} {other}");
            prop_assert_eq!(cut(&whole), [cut(&one), cut(&other)].concat());
        }

        #[test]
        fn a_piece_is_compared_as_its_word_says(text in texts()) {
            for (piece, word) in pieces(&text).zip(words(&text)) {
                prop_assert!(piece.is(&word.text) && piece.begins(&word.text));
                let shorter = &word.text[..word.text.floor_char_boundary(word.text.len() - 1)];
                prop_assert!(piece.begins(shorter) && !piece.is(shorter));
            }
        }
    }
}
