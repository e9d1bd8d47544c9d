//! The table of cases on the matcher.

use std::collections::BTreeMap;

use domain::Query;

use crate::search_cases::{Expected, cases, samples};

#[test]
fn the_matcher_finds_what_the_table_says() {
    let samples = samples();
    let cases = cases();
    assert!(cases.len() >= 200, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let found = match Query::parse(&case.query) {
            Err(invalid) => Expected::WrongAt(invalid.column),
            Ok(query) => {
                let entries = samples.iter().zip(1..);
                let entries = entries.map(|((name, sample), seq)| (name, sample.stored(seq)));
                let matching = entries.filter(|(_, entry)| query.matches(entry));
                let scored = matching.map(|(name, entry)| (name.clone(), query.score(&entry)));
                Expected::Found(scored.collect::<BTreeMap<_, _>>())
            }
        };
        if found != case.expected {
            wrong.push(format!(
                "{:?}\n  expected {}\n  found    {found}",
                case.query, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
