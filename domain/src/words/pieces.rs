//! Texts cut into pieces, each of them one word, without a copy.

use std::borrow::Cow;

use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation as _;

use super::WORD_UNITS_MAX;
use super::fold::{fold, folded_units, is_ignored};

/// No piece of so few bytes folds to more than [`WORD_UNITS_MAX`] units: three bytes become 18 at most.
const SHORT_BYTES_MAX: usize = WORD_UNITS_MAX / 18 * 3;

/// A word where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'t> {
    text: &'t str,
    /// Its first byte in the text.
    pub(crate) start: usize,
    kind: Kind,
}

/// How much it takes to compare a piece: most are compared to find that they are another word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ascii,
    /// Each character folds by itself, to one that [`plain`] knows.
    Plain,
    Other,
}

impl<'t> Piece<'t> {
    /// The byte behind its last.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// The word, as it is compared.
    pub(crate) fn folded(&self) -> Cow<'t, str> {
        if self.kind == Kind::Ascii && !self.text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Borrowed(self.text);
        }
        let mut folded = fold(self.text);
        folded.retain(|c| !c.is_whitespace());
        Cow::Owned(folded)
    }

    /// Whether it is this word, which is folded.
    pub(crate) fn is(&self, word: &str) -> bool {
        match self.kind {
            Kind::Ascii => self.text.eq_ignore_ascii_case(word),
            Kind::Plain => self.text.chars().filter_map(plain).eq(word.chars()),
            Kind::Other => self.may_begin_as(word) && self.folded() == word,
        }
    }

    /// Whether it begins with this part of a word, which is folded.
    pub(crate) fn begins(&self, part: &str) -> bool {
        match self.kind {
            Kind::Ascii => {
                let head = self.text.as_bytes().get(..part.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(part.as_bytes()))
            }
            Kind::Plain => {
                let mut chars = self.text.chars().filter_map(plain);
                part.chars().all(|c| chars.next() == Some(c))
            }
            Kind::Other => self.may_begin_as(part) && self.folded().starts_with(part),
        }
    }

    /// Whether the first character leaves it open that it is this word: spares folding most words.
    fn may_begin_as(&self, word: &str) -> bool {
        let mut chars = self.text.chars();
        let first = chars.next().and_then(plain);
        let stands_alone = chars.next().is_none_or(|next| next == 'ß' || plain(next).is_some());
        !stands_alone || first.is_none() || word.is_empty() || first == word.chars().next()
    }
}

/// The words of a text, where they stand.
pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { text, at: 0, found: Vec::new().into_iter() }
}

/// The words of a text, one after the other.
#[derive(Debug)]
pub(crate) struct Pieces<'t> {
    text: &'t str,
    at: usize,
    /// Pieces of the last stretch that is not ASCII.
    found: std::vec::IntoIter<Piece<'t>>,
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        loop {
            if let Some(piece) = self.found.next() {
                return Some(piece);
            }
            let (start, end, is_ascii) = self.stretch()?;
            if is_ascii {
                let end = end.min(start + WORD_UNITS_MAX);
                self.at = end;
                return Some(Piece { text: &self.text[start..end], start, kind: Kind::Ascii });
            }
            self.at = end;
            let text = &self.text[start..end];
            if text.len() <= SHORT_BYTES_MAX && text.chars().all(is_plain_letter) {
                return Some(piece(text, start));
            }
            self.found = cut(text, start).into_iter();
        }
    }
}

/// What a byte is to [`Pieces::stretch`].
const SIGN: u8 = 0;
const LETTER: u8 = 1;
const BEYOND_ASCII: u8 = 2;
const CLASSES: [u8; 256] = {
    let mut classes = [BEYOND_ASCII; 256];
    let mut byte: u8 = 0;
    while byte.is_ascii() {
        classes[byte as usize] = if byte.is_ascii_alphanumeric() { LETTER } else { SIGN };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

impl Pieces<'_> {
    /// The next stretch between signs of ASCII, which never stand in a word.
    fn stretch(&self) -> Option<(usize, usize, bool)> {
        let rest = &self.text.as_bytes()[self.at..];
        let start = rest.iter().position(|byte| class(*byte) != SIGN)?;
        let mut seen = SIGN;
        let len = rest[start..].iter().take_while(|byte| {
            seen |= class(**byte);
            class(**byte) != SIGN
        });
        let end = start + len.count();
        Some((self.at + start, self.at + end, seen & BEYOND_ASCII == 0))
    }
}

/// The words of a stretch, by Unicode's rules and ours.
fn cut(stretch: &str, at: usize) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for (start, segment) in stretch.split_word_bound_indices() {
        let mut run = start;
        for part in segment.split_inclusive(|c| !stands_in_words(c)) {
            let word = part.trim_end_matches(|c| !stands_in_words(c));
            if word.contains(makes_words) {
                cut_run(word, at + run, &mut pieces);
            }
            run += part.len();
        }
    }
    pieces
}

/// Cuts between Katakana, which Unicode keeps together: so parts of a compound are found, as they
/// are of one in other scripts without spaces. And cuts what is too long.
fn cut_run<'t>(run: &'t str, at: usize, pieces: &mut Vec<Piece<'t>>) {
    let is_short = run.len() <= SHORT_BYTES_MAX;
    let (mut start, mut units, mut makes_word) = (0, 0, false);
    for (here, c) in run.char_indices() {
        let more = if is_short { 0 } else { folded_units(c) };
        if makes_word && (is_katakana(c) || units + more > WORD_UNITS_MAX) {
            pieces.push(piece(&run[start..here], at + start));
            (start, units) = (here, 0);
        }
        units += more;
        makes_word |= makes_words(c);
    }
    pieces.push(piece(&run[start..], at + start));
}

fn piece(text: &str, start: usize) -> Piece<'_> {
    let kind = if text.is_ascii() {
        Kind::Ascii
    } else if text.chars().all(|c| plain(c).is_some()) {
        Kind::Plain
    } else {
        Kind::Other
    };
    Piece { text, start, kind }
}

/// What a character folds to, of those whose neighbours never change that.
fn plain(c: char) -> Option<char> {
    match c {
        'A'..='Z' => Some(c.to_ascii_lowercase()),
        'À'..='Ö' | 'Ø'..='Þ' | 'А'..='Я' => char::from_u32(c as u32 + 32),
        '0'..='9'
        | 'a'..='z'
        | 'à'..='ö'
        | 'ø'..='þ'
        | 'а'..='я'
        | 'あ'..='ん'
        | '\u{4e00}'..='\u{9fff}'
        | '가'..='힣' => Some(c),
        _ => None,
    }
}

/// Whether it is of those that Unicode's rules never cut between.
fn is_plain_letter(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || c == 'ß'
        || (c < '\u{4e00}' && !('あ'..='ん').contains(&c) && plain(c).is_some())
}

/// Whether there is a word where this stands.
fn makes_words(c: char) -> bool {
    c.is_alphanumeric() || is_pictograph(c)
}

fn stands_in_words(c: char) -> bool {
    makes_words(c) || is_combining_mark(c) || is_ignored(c) || is_tag(c)
}

/// Emoji, the letters of flags, the tones of skin, and signs that stand for words, as `№` does.
fn is_pictograph(c: char) -> bool {
    matches!(
        c,
        '©' | '®'
            | '‼'
            | '⁉'
            | '\u{2100}'..='\u{214f}'
            | '\u{2190}'..='\u{21ff}'
            | '\u{2300}'..='\u{23ff}'
            | '\u{25a0}'..='\u{27bf}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{3030}'
            | '\u{303d}'
            | '\u{3200}'..='\u{33ff}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// What tells the flags of regions apart.
fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0020}'..='\u{e007f}')
}

fn is_katakana(c: char) -> bool {
    matches!(
        c,
        '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9d}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_is_known_as_it_folds() {
        for c in '\0'..=char::MAX {
            assert!(folded_units(c) * 3 <= 18 * c.len_utf8(), "{c:?}");
            if let Some(plain) = plain(c) {
                assert_eq!(fold(&c.to_string()), plain.to_string(), "{c:?}");
                assert!(makes_words(c), "{c:?}");
            }
        }
    }

    #[test]
    fn a_stretch_of_plain_letters_is_one_word() {
        let letters: Vec<char> = ('\0'..='\u{ffff}').filter(|c| is_plain_letter(*c)).collect();
        for one in &letters {
            for other in [&'a', &'7', &'é', &'Я', one] {
                assert_eq!(cut(&format!("{one}{other}{one}"), 0).len(), 1, "{one}{other}");
            }
        }
    }
}
