//! Reads a query:
//!
//! ```text
//! query  = all { "OR" all }
//! all    = part { [ "AND" ] part }
//! part   = [ "-" | "NOT" ] ( "(" query ")" | term )
//! term   = [ field ":" ] ( text | '"' text '"' ) [ "*" ]
//! ```
//!
//! It recurses at parentheses alone, which are bounded.

use super::field;
use super::tree::Clause;
use super::{InvalidQuery, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};

pub(super) struct Reader {
    chars: Vec<char>,
    at: usize,
    /// Parentheses that are open.
    depth: usize,
    terms: usize,
}

/// A value as it stands in a query.
pub(super) struct Value {
    pub(super) text: String,
    /// Whether a `*` follows.
    pub(super) is_prefix: bool,
    /// Where it begins.
    pub(super) at: usize,
}

type Read<T> = Result<T, InvalidQuery>;

pub(super) fn invalid<T>(at: usize, why: impl Into<String>) -> Read<T> {
    Err(InvalidQuery { column: at + 1, why: why.into() })
}

impl Reader {
    pub(super) fn new(text: &str) -> Self {
        Self { chars: text.chars().collect(), at: 0, depth: 0, terms: 0 }
    }

    pub(super) fn read(mut self) -> Read<Clause> {
        self.skip_space();
        if self.peek().is_none() {
            return invalid(0, "the query is empty: write a word, or leave `q` out");
        }
        let root = self.any()?;
        match self.peek() {
            None => Ok(root),
            Some(_) => invalid(self.at, NOT_OPEN),
        }
    }

    fn any(&mut self) -> Read<Clause> {
        let mut sides = vec![self.all()?];
        while self.take_word("OR") {
            sides.push(self.all()?);
        }
        Ok(Clause::any(sides))
    }

    fn all(&mut self) -> Read<Clause> {
        let mut parts = Vec::new();
        loop {
            self.skip_space();
            if self.ends() || self.is_word("OR") {
                break;
            }
            let at = self.at;
            if self.take_word("AND")
                && (parts.is_empty() || self.ends() || self.is_any_word(&["AND", "OR"]))
            {
                return invalid(at, one_sided("AND"));
            }
            parts.push(self.part()?);
        }
        if parts.is_empty() {
            return self.nothing_here();
        }
        Ok(Clause::all(parts))
    }

    fn nothing_here(&self) -> Read<Clause> {
        if self.is_word("OR") {
            return invalid(self.at, one_sided("OR"));
        }
        let behind: String = self.chars[..self.at].iter().collect();
        if behind.trim_end().ends_with("OR") {
            return invalid(behind.trim_end().chars().count() - 2, one_sided("OR"));
        }
        if self.depth == 0 {
            return invalid(self.at, NOT_OPEN);
        }
        invalid(self.at, "there is nothing in these parentheses: leave them out")
    }

    fn part(&mut self) -> Read<Clause> {
        let at = self.at;
        if self.take_word("NOT") {
            if self.ends() || self.is_any_word(&["AND", "OR", "NOT"]) || self.peek() == Some('-') {
                return invalid(at, NOTHING_TO_NEGATE);
            }
            return Ok(Clause::Not(Box::new(self.plain_part()?)));
        }
        if !self.take('-') {
            return self.plain_part();
        }
        match self.peek() {
            Some('-') => {
                invalid(at, "write one `-` to leave something out, or put the text in quotes")
            }
            Some(c) if !c.is_whitespace() && c != ')' => {
                if self.is_any_word(&["AND", "OR", "NOT"]) {
                    return invalid(at + 1, "put this word in quotes to look for it");
                }
                Ok(Clause::Not(Box::new(self.plain_part()?)))
            }
            _ => invalid(at, LONE_MINUS),
        }
    }

    fn plain_part(&mut self) -> Read<Clause> {
        let at = self.at;
        if !self.take('(') {
            return self.term();
        }
        if self.depth == QUERY_DEPTH_MAX {
            return invalid(at, format!("parentheses nest at most {QUERY_DEPTH_MAX} deep"));
        }
        self.depth += 1;
        let inner = self.any()?;
        self.depth -= 1;
        if self.take(')') { Ok(inner) } else { invalid(at, "this `(` has no `)`") }
    }

    fn term(&mut self) -> Read<Clause> {
        let at = self.at;
        self.terms += 1;
        if self.terms > QUERY_TERMS_MAX {
            return invalid(
                at,
                format!("a query has at most {QUERY_TERMS_MAX} terms: ask for less"),
            );
        }
        if let Some(name) = self.field_name()? {
            if self.peek() == Some('(') {
                return invalid(self.at, ONE_VALUE);
            }
            let value = self.value()?;
            return field::term(&name, &value, at);
        }
        let value = self.value()?;
        field::words(&value)
    }

    /// The name before a `:`, if there is one and it is meant as one.
    fn field_name(&mut self) -> Read<Option<field::Name>> {
        let at = self.at;
        let mut name = field::Name::default();
        while let Some(c) = self.peek() {
            if c == '"' && name.may_be_quoted_here() {
                name.push_quoted(&self.quoted()?);
            } else if name.may_go_on_with(c) {
                name.push(c);
                self.at += 1;
            } else {
                break;
            }
        }
        if self.take(':') && !name.is_empty() {
            if name.is_known() {
                return Ok(Some(name));
            }
            if !self.looks_like_text(at) {
                return invalid(at, name.advice());
            }
        }
        self.at = at;
        Ok(None)
    }

    /// Whether what stands around a `:` is an address of some kind and no field.
    fn looks_like_text(&self, at: usize) -> bool {
        let rest = &self.chars[self.at..];
        let end = self.chars[at..].iter().position(|c| c.is_whitespace() || "()\"*".contains(*c));
        let whole = &self.chars[at..end.map_or(self.chars.len(), |end| at + end)];
        let is_hex = |c: &char| c.is_ascii_hexdigit() || ":.".contains(*c);
        rest.starts_with(&['/', '/']) || (whole.iter().all(is_hex) && whole.contains(&':'))
    }

    fn value(&mut self) -> Read<Value> {
        let at = self.at;
        if self.peek() == Some('"') {
            let text = self.quoted()?;
            return Ok(Value { text, is_prefix: self.take('*'), at });
        }
        let text = self.bare();
        let is_prefix = self.take('*');
        if is_prefix && !self.ends_here() {
            return invalid(
                self.at - 1,
                "`*` stands at the end of a word only; in quotes it is a sign",
            );
        }
        Ok(Value { text, is_prefix, at })
    }

    /// Up to the next space, `*` or quote, or a `)` that closes nothing in here.
    fn bare(&mut self) -> String {
        let start = self.at;
        let mut open = 0;
        while let Some(c) = self.peek() {
            let closes = c == ')' && open == 0;
            if c.is_whitespace() || c == '*' || c == '"' || closes {
                break;
            }
            open += usize::from(c == '(');
            open -= usize::from(c == ')' && open > 0);
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn quoted(&mut self) -> Read<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += 1;
            match (c, self.peek()) {
                ('"', _) => return Ok(text),
                ('\\', Some(escaped @ ('"' | '\\'))) => {
                    text.push(escaped);
                    self.at += 1;
                }
                _ => text.push(c),
            }
        }
        invalid(start, "this `\"` has no second one; write `\\\"` inside quotes to look for it")
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Whether the query or a pair of parentheses ends here.
    fn ends(&self) -> bool {
        matches!(self.peek(), None | Some(')'))
    }

    /// Whether a value ends here.
    fn ends_here(&self) -> bool {
        self.peek().is_none_or(|c| c.is_whitespace() || c == ')')
    }

    fn is_word(&self, word: &str) -> bool {
        let rest = &self.chars[self.at..];
        let begins = word.chars().zip(rest).filter(|(c, here)| c == *here).count() == word.len();
        begins && rest.get(word.len()).is_none_or(|c| c.is_whitespace() || "()".contains(*c))
    }

    fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.at += word.len();
            self.skip_space();
        }
        found
    }
}

const LONE_MINUS: &str =
    "a `-` alone leaves nothing out: write it right before a word, or leave it out";

const NOT_OPEN: &str = "no `(` is open here: leave the `)` out, or put it in quotes";
const ONE_VALUE: &str =
    "a field has one value: write `(field:this OR field:that)`, or put the text in quotes";
const NOTHING_TO_NEGATE: &str =
    "`NOT` needs something behind it; the word itself is written in quotes";

fn one_sided(word: &str) -> String {
    format!("`{word}` needs something on both sides; the word itself is written in quotes")
}
