//! As much of `PromQL` as it takes to say which metrics and labels an expression names. It knows less
//! than Prometheus: what it cannot read is an error.

use std::collections::BTreeSet;

/// What an expression names.
#[derive(Debug, Default)]
pub(super) struct Expression {
    pub(super) metrics: Vec<Used>,
    /// Labels of `by`, `without`, `on` and `ignoring`.
    pub(super) grouped_by: BTreeSet<String>,
}

/// A metric, and labels that it is selected by.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) metric: String,
    pub(super) labels: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text,
    Number,
    /// A range, with its brackets.
    Range,
    Sign(char),
}

const FUNCTIONS: [&str; 11] = [
    "sum",
    "max",
    "min",
    "avg",
    "count",
    "rate",
    "increase",
    "histogram_quantile",
    "time",
    "abs",
    "clamp_min",
];
const GROUPINGS: [&str; 4] = ["by", "without", "on", "ignoring"];
const OPERATORS: [&str; 4] = ["and", "or", "unless", "bool"];

/// Reads an expression.
pub(super) fn used(expression: &str) -> Result<Expression, String> {
    let tokens = tokens(expression)?;
    let mut found = Expression::default();
    let (mut depth, mut at) = (0_i32, 0);
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth -= 1,
            Token::Word(word) if GROUPINGS.contains(&word.as_str()) => {
                at = labels(&tokens, at, &mut found.grouped_by)?;
            }
            Token::Word(word) if OPERATORS.contains(&word.as_str()) => {}
            Token::Word(word) if FUNCTIONS.contains(&word.as_str()) => {
                let next = tokens.get(at);
                let is_grouping =
                    matches!(next, Some(Token::Word(word)) if GROUPINGS.contains(&word.as_str()));
                if !is_grouping && next != Some(&Token::Sign('(')) {
                    return Err(format!("{word} is called without a bracket"));
                }
            }
            Token::Word(metric) => {
                let mut selected = BTreeSet::new();
                at = selector(&tokens, at, &mut selected)?;
                found.metrics.push(Used { metric: metric.clone(), labels: selected });
            }
            Token::Range
                if !matches!(
                    tokens.get(at.wrapping_sub(2)),
                    Some(Token::Word(_) | Token::Sign('}'))
                ) =>
            {
                return Err("a range of nothing".to_owned());
            }
            _ => {}
        }
        if depth < 0 {
            return Err("a bracket too many".to_owned());
        }
    }
    if depth == 0 { Ok(found) } else { Err("a bracket is not closed".to_owned()) }
}

/// `(one, other)`
fn labels(tokens: &[Token], mut at: usize, into: &mut BTreeSet<String>) -> Result<usize, String> {
    if tokens.get(at) != Some(&Token::Sign('(')) {
        return Err("labels without a bracket".to_owned());
    }
    loop {
        at += 1;
        match tokens.get(at) {
            Some(Token::Word(label)) => drop(into.insert(label.clone())),
            Some(Token::Sign(',')) => {}
            Some(Token::Sign(')')) => return Ok(at + 1),
            other => return Err(format!("{other:?} among labels")),
        }
    }
}

/// `{label="value", …}`, if there is one.
fn selector(tokens: &[Token], mut at: usize, into: &mut BTreeSet<String>) -> Result<usize, String> {
    if tokens.get(at) != Some(&Token::Sign('{')) {
        return Ok(at);
    }
    at += 1;
    while tokens.get(at) != Some(&Token::Sign('}')) {
        let Some(Token::Word(label)) = tokens.get(at) else {
            return Err(format!("{:?} is no label", tokens.get(at)));
        };
        into.insert(label.clone());
        at += 1;
        while matches!(tokens.get(at), Some(Token::Sign('=' | '!' | '~'))) {
            at += 1;
        }
        if tokens.get(at) != Some(&Token::Text) {
            return Err(format!("{label} is held against no text"));
        }
        at += 1;
        if tokens.get(at) == Some(&Token::Sign(',')) {
            at += 1;
        }
    }
    Ok(at + 1)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let len = len.unwrap_or(rest.len());
                (Token::Word(rest[..len].to_owned()), len)
            }
            '0'..='9' => {
                let len = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'));
                (Token::Number, len.unwrap_or(rest.len()))
            }
            '"' => {
                let len = rest[1..].find('"').ok_or("a text that does not end")? + 2;
                (Token::Text, len)
            }
            '[' => {
                let len = rest.find(']').ok_or("a range that does not end")? + 1;
                let (number, unit) = rest[1..len - 1].split_at(len - 3);
                if number.parse::<u32>().is_err() || !["s", "m", "h", "d"].contains(&unit) {
                    return Err(format!("{} is no range", &rest[..len]));
                }
                (Token::Range, len)
            }
            '(' | ')' | '{' | '}' | ',' | '=' | '!' | '~' | '<' | '>' | '+' | '-' | '*' | '/' => {
                (Token::Sign(first), 1)
            }
            other => return Err(format!("{other} stands there")),
        };
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Ok(tokens)
}

#[test]
fn what_an_expression_names_is_found_and_what_is_none_refused() {
    let read = used("sum by (le, a) (rate(x_bucket{b=\"1\",c!~\"2\"}[5m])) / 2 > up").unwrap();
    let metrics: Vec<_> = read.metrics.iter().map(|used| used.metric.as_str()).collect();
    assert_eq!(metrics, ["x_bucket", "up"]);
    assert_eq!(read.metrics[0].labels, ["b", "c"].map(str::to_owned).into());
    assert_eq!(read.grouped_by, ["le", "a"].map(str::to_owned).into());
    for wrong in
        ["sum(x", "sum)x(", "x{a}", "x{a=b}", "rate x", "[5m]", "x[5]", "x{a=\"b}", "x ; y"]
    {
        assert!(used(wrong).is_err(), "{wrong}");
    }
}
