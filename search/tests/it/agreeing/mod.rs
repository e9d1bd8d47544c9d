//! OpenSearch and the matcher find the same, with the same scores and in the same order.

mod dice;

use std::time::{Duration, Instant};

use domain::{Filter, LogOwner, Query, Seq, StoredEntry, TenantId};
use search::{
    Auth, Document, Fault, Index, IndexSettings, Outcome, PHRASE_PREFIX_WORDS_MAX, Prefix,
    SearchRequest, Shape, Sort,
};
use uuid::Uuid;

use crate::search_cases::{Expected, Sample, cases, samples};
use dice::Dice;

const TIMEOUT: Duration = Duration::from_secs(20);
const TENANT: TenantId = TenantId::new(Uuid::from_u128(7));

/// An index that nobody else has, and these entries in it.
async fn index_of(entries: &[StoredEntry<'_>]) -> Index {
    let url = std::env::var("AUDIT_TEST_SEARCH_URL").expect("run the tests by dev/test.sh");
    let settings = IndexSettings {
        url: url.parse().unwrap(),
        auth: Auth::None,
        prefix: Prefix::parse(&format!("q{}", Uuid::new_v4().simple())).unwrap(),
    };
    let index = Index::new(&settings).unwrap();
    index.set_up(Shape::default()).await.unwrap();
    let owner = LogOwner::of(TENANT);
    let documents: Vec<_> = entries.iter().map(|entry| Document::of(entry, &owner)).collect();
    let outcomes = index.bulk(&documents, TIMEOUT).await.unwrap();
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Created), "{outcomes:?}");
    index.refresh().await.unwrap();
    index
}

fn request<'a>(query: &'a Query, filter: &'a Filter) -> SearchRequest<'a> {
    SearchRequest {
        tenant_id: TENANT,
        floor_seq: 1,
        last_seq: Seq::MAX.get(),
        query: Some(query),
        filter,
        sort: Sort::Relevance,
        after: None,
        limit: 1_000,
        facets: &[],
        timeout: TIMEOUT,
    }
}

/// Numbers and scores, the best first.
async fn ranked(index: &Index, query: &Query) -> Vec<(i64, f32)> {
    let filter = Filter::default();
    let relevance = index.search(request(query, &filter)).await;
    let found = relevance.unwrap_or_else(|fault| panic!("{query}: {fault:?}"));
    // Without scores the same is found.
    let newest = SearchRequest { sort: Sort::Newest, ..request(query, &filter) };
    assert_eq!(index.search(newest).await.unwrap().total, found.total, "{query}");
    found.hits.into_iter().map(|hit| (hit.place.seq.get(), hit.score)).collect()
}

#[tokio::test]
async fn opensearch_finds_what_the_table_says() {
    let samples = samples();
    let entries: Vec<_> =
        samples.iter().zip(1..).map(|((_, sample), seq)| sample.stored(seq)).collect();
    let index = index_of(&entries).await;
    let name = |seq: i64| samples[usize::try_from(seq).unwrap() - 1].0.clone();
    let mut wrong = Vec::new();
    for case in cases() {
        let Ok(query) = Query::parse(&case.query) else { continue };
        let found = ranked(&index, &query).await;
        let found =
            Expected::Found(found.iter().map(|(seq, score)| (name(*seq), *score)).collect());
        if found != case.expected {
            let expected = case.expected;
            wrong.push(format!("{:?}\n  expected {expected}\n  found    {found}", case.query));
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_phrase_is_never_cut_short_at_a_beginning_that_many_words_share() {
    let words_max = usize::try_from(PHRASE_PREFIX_WORDS_MAX).unwrap();
    let values = |n: usize| (0..n).map(|n| format!("\"go p{n:04}\"")).collect::<Vec<_>>().join(",");
    for (words, is_refused) in [(words_max, false), (words_max + 1, true)] {
        let json = format!(r#"{{"metadata":{{"words":[{}]}}}}"#, values(words));
        let sample: Sample = serde_json::from_str(&json).unwrap();
        let index = index_of(&[sample.stored(1)]).await;
        let query = Query::parse("\"go p\"*").unwrap();
        let filter = Filter::default();
        let answer = index.search(request(&query, &filter)).await;
        match answer {
            Ok(found) => assert!(!is_refused && found.hits.len() == 1, "{words}: {found:?}"),
            Err(Fault::Refused { .. }) => assert!(is_refused, "{words}"),
            Err(other) => panic!("{words}: {other:?}"),
        }
    }
}

/// Time for random queries, unless it is a soak.
const TIME: Duration = Duration::from_secs(20);
/// Indices in a soak.
const ROUNDS: usize = 40;
const ENTRIES: i64 = 150;
const QUERIES: usize = 500;

#[tokio::test]
async fn opensearch_and_the_matcher_agree_on_random_entries_and_queries() {
    let named = std::env::var("AUDIT_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
    let is_soak = std::env::var_os("AUDIT_TEST_SOAK").is_some_and(|value| value == "1");
    let begun = Instant::now();
    let (mut asked, mut found) = (0, 0);
    for _ in 0..if named.is_some() { 1 } else { ROUNDS } {
        let seed: u64 = named.unwrap_or_else(rand::random);
        eprintln!("agreeing: to repeat it: AUDIT_TEST_SEED={seed}");
        let (more_asked, more_found) = compare(seed, begun, is_soak).await;
        asked += more_asked;
        found += more_found;
        if !is_soak && begun.elapsed() > TIME {
            break;
        }
    }
    eprintln!("agreeing: {asked} queries, {found} hits");
    assert!(found > asked, "hardly anything is found: {found} by {asked} queries");
}

async fn compare(seed: u64, begun: Instant, is_soak: bool) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let samples: Vec<_> = (0..ENTRIES).map(|_| dice.sample()).collect();
    let entries: Vec<_> = samples.iter().zip(1..).map(|(sample, seq)| sample.stored(seq)).collect();
    let index = index_of(&entries).await;
    let (mut asked, mut hits) = (0, 0);
    for _ in 0..QUERIES {
        let text = dice.query(&entries, 0);
        let Ok(query) = Query::parse(&text) else { continue };
        let mut expected: Vec<_> = entries
            .iter()
            .filter(|entry| query.matches(entry))
            .map(|entry| (entry.place.seq.get(), query.score(entry)))
            .collect();
        expected.sort_by(|one, other| other.1.total_cmp(&one.1).then(other.0.cmp(&one.0)));
        let found = ranked(&index, &query).await;
        assert_eq!(found, expected, "{text}\nseed {seed}");
        asked += 1;
        hits += found.len();
        if !is_soak && begun.elapsed() > TIME {
            break;
        }
    }
    (asked, hits)
}
