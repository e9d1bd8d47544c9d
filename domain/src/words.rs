//! Where words begin and end: the one place that decides it, for the index, for queries and for
//! the matcher. What OpenSearch gets is cut already; its own tokeniser would cut otherwise.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word<'t> {
    /// In lower case.
    pub text: Cow<'t, str>,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
}

/// The words of a text, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    text.unicode_word_indices().map(|(start, word)| Word {
        text: Cow::Owned(word.to_lowercase()),
        start,
        end: start + word.len(),
    })
}
