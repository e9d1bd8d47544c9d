//! Words in a row.

use crate::words::{Piece, pieces};

/// One or more words that stand one behind the other in one text.
#[derive(Debug, Clone)]
pub struct Phrase {
    words: Vec<String>,
    is_prefix: bool,
    /// For each word, how many of the first words are also the last ones up to it: where to go on
    /// when the next word is another one, so that no text is read twice.
    borders: Vec<usize>,
}

impl Phrase {
    /// Of folded words; there must be one.
    pub(super) fn new(words: Vec<String>, is_prefix: bool) -> Self {
        let borders = borders(&words);
        Self { words, is_prefix, borders }
    }

    /// The words, folded.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether the last word need only begin so.
    pub fn is_prefix(&self) -> bool {
        self.is_prefix
    }

    /// Whether a text has the words in a row.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let mut met = 0;
        pieces(text).any(|piece| {
            met = self.advance(met, &piece);
            met == self.words.len()
        })
    }

    /// Where a text has the words, as bytes from the first word's start to the last word's end;
    /// no two overlap.
    pub(crate) fn ranges_in(&self, text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut met = 0;
        let mut starts = std::collections::VecDeque::new();
        for piece in pieces(text) {
            met = self.advance(met, &piece);
            starts.push_back(piece.start);
            while starts.len() > met {
                starts.pop_front();
            }
            if met == self.words.len() {
                found.extend(starts.front().map(|start| (*start, piece.end())));
                met = 0;
                starts.clear();
            }
        }
        found
    }

    /// How many words are met with `piece`, when so many were before it.
    fn advance(&self, mut met: usize, piece: &Piece<'_>) -> usize {
        loop {
            if self.fits(met, piece) {
                return met + 1;
            }
            if met == 0 {
                return 0;
            }
            met = self.borders[met - 1];
        }
    }

    fn fits(&self, at: usize, piece: &Piece<'_>) -> bool {
        let word = &self.words[at];
        if self.is_prefix && at + 1 == self.words.len() {
            piece.begins(word)
        } else {
            piece.is(word)
        }
    }
}

impl PartialEq for Phrase {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words && self.is_prefix == other.is_prefix
    }
}

impl Eq for Phrase {}

fn borders(words: &[String]) -> Vec<usize> {
    let mut borders = vec![0; words.len()];
    for at in 1..words.len() {
        let mut met: usize = borders[at - 1];
        while met > 0 && words[met] != words[at] {
            met = borders[met - 1];
        }
        borders[at] = met + usize::from(words[met] == words[at]);
    }
    borders
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn phrase(text: &str, is_prefix: bool) -> Phrase {
        Phrase::new(text.split(' ').map(str::to_owned).collect(), is_prefix)
    }

    proptest! {
        /// Few different words, so that beginnings repeat and matches overlap.
        #[test]
        fn a_phrase_is_found_where_its_words_stand(
            asked in "[ab]{1,2}( [ab]{1,2}){0,4}",
            text in "[ab]{1,3}( [ab]{1,3}){0,14}",
            is_prefix: bool,
        ) {
            let asked_words: Vec<_> = asked.split(' ').collect();
            let words: Vec<_> = text.split(' ').collect();
            let (last, first) = asked_words.split_last().unwrap();
            let expected = words.windows(asked_words.len()).any(|window| {
                let (end, begin) = window.split_last().unwrap();
                begin == first && if is_prefix { end.starts_with(last) } else { end == last }
            });
            let phrase = phrase(&asked, is_prefix);
            prop_assert_eq!(phrase.is_in(&text), expected);
            let ranges = phrase.ranges_in(&text);
            prop_assert_eq!(!ranges.is_empty(), expected);
            for (start, end) in ranges {
                prop_assert_eq!(text[start..end].split(' ').count(), asked_words.len());
                prop_assert!(phrase.is_in(&text[start..end]));
            }
        }
    }
}
