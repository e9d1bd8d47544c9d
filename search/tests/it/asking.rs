//! Counts and searches.

use domain::{Filter, Severity, StoredEntry};
use search::{
    Among, FacetField, Fault, Index, Range, SearchAfter, SearchRequest, Sort, TOTAL_EXACT_MAX,
};

use crate::support::{
    TIMEOUT, bring, document, entry, everything, fresh_index, seqs, settings, tenant,
};

#[tokio::test]
async fn without_an_index_nothing_is_there_and_that_is_no_fault() {
    let index = Index::new(&settings()).unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 9), (2, 3)]).await.unwrap(), [0, 0]);
    let filter = Filter::default();
    let request = SearchRequest { facets: &[FacetField::Action], ..everything(tenant(1), &filter) };
    let found = index.search(request).await.unwrap();
    assert_eq!((found.hits.len(), found.total.count), (0, 0));
    assert!(found.facets[0].values.is_empty());
    let range = Range { tenant_id: tenant(1), first_seq: 1, last_seq: 9 };
    assert_eq!(index.ids(range, Among::Searched, None).await.unwrap(), []);
    assert_eq!(index.delete_below(tenant(1), 5).await.unwrap(), 0);
    assert_eq!(index.indices().await.unwrap(), []);
    index.refresh().await.unwrap();
}

#[tokio::test]
async fn a_search_sees_one_tenant_from_the_floor_to_the_last_number() {
    let index = fresh_index().await;
    let entries: Vec<_> = (1..=20).map(entry).collect();
    bring(&index, tenant(1), &entries).await;
    bring(&index, tenant(2), &entries[..5]).await;
    let filter = Filter::default();
    let request = SearchRequest { floor_seq: 3, last_seq: 6, ..everything(tenant(1), &filter) };
    let (found, counts) = index.search_and_count(request, &[(1, 20), (3, 6)]).await.unwrap();
    assert_eq!(seqs(&found), [6, 5, 4, 3]);
    assert_eq!((found.total.count, found.total.is_exact), (4, true));
    assert_eq!(counts, [20, 4]);
    let found = index.search(everything(tenant(2), &filter)).await.unwrap();
    assert_eq!(seqs(&found), [5, 4, 3, 2, 1]);
    assert_eq!(index.counts(tenant(3), &[(1, 99)]).await.unwrap(), [0]);
}

#[tokio::test]
async fn pages_follow_each_other_in_both_orders() {
    let index = fresh_index().await;
    let entries: Vec<_> = (1..=25).map(entry).collect();
    bring(&index, tenant(1), &entries).await;
    let filter = Filter::default();
    for sort in [Sort::Newest, Sort::Relevance] {
        let mut request = SearchRequest { sort, limit: 10, ..everything(tenant(1), &filter) };
        let mut all = Vec::new();
        loop {
            let found = index.search(request).await.unwrap();
            all.extend(seqs(&found));
            let Some(last) = found.hits.last() else { break };
            let seq = last.place.seq.get();
            request.after = Some(SearchAfter { score: last.score, seq });
        }
        assert_eq!(all, (1..=25).rev().collect::<Vec<_>>(), "{sort:?}");
    }
}

#[tokio::test]
async fn each_filter_lets_the_right_entries_pass() {
    let index = fresh_index().await;
    let odd = StoredEntry {
        user_id: "bob \"*\" é",
        session_id: Some("s-1"),
        request_id: Some("r-1"),
        action: "invoice.approved",
        resource_type: "order",
        resource_id: Some("inv-2024/0042"),
        severity: Severity::Error,
        ..entry(2)
    };
    bring(&index, tenant(1), &[entry(1), odd, entry(3)]).await;
    for (name, value, expected) in [
        ("user_id", "bob \"*\" é", &[2][..]),
        ("user_id", "bob *", &[]),
        ("user_id", "Alice", &[]),
        ("session_id", "s-1", &[2]),
        ("request_id", "r-1", &[2]),
        ("action", "UPDATE", &[3, 1]),
        ("resource_type", "order", &[2]),
        ("resource_id", "inv-2024/0042", &[2]),
        ("severity", "ERROR", &[2]),
        ("severity_min", "WARNING", &[2]),
        ("severity_min", "INFO", &[3, 2, 1]),
        ("severity_min", "CRITICAL", &[]),
        ("from", "2026-11-01T00:00:01Z", &[3, 2]),
        ("from", "2026-11-01T00:00:01.001Z", &[3]),
        ("to", "2026-11-01T00:00:01Z", &[1]),
    ] {
        let filter = Filter::read([(name, value)]).unwrap();
        let found = index.search(everything(tenant(1), &filter)).await.unwrap();
        assert_eq!(seqs(&found), expected, "{name}={value}");
    }
    let filter = Filter::read([("action", "UPDATE"), ("action", "x"), ("severity", "INFO")]);
    let found = index.search(everything(tenant(1), &filter.unwrap())).await.unwrap();
    assert_eq!(seqs(&found), [3, 1]);
}

#[tokio::test]
async fn facets_count_what_was_found_and_name_a_severity_by_its_rank() {
    let index = fresh_index().await;
    let grave = StoredEntry { severity: Severity::Critical, user_id: "bob", ..entry(3) };
    bring(&index, tenant(1), &[entry(1), entry(2), grave]).await;
    bring(&index, tenant(2), &[entry(1)]).await;
    let facets =
        [FacetField::Severity, FacetField::UserId, FacetField::Action, FacetField::ResourceType];
    let filter = Filter::default();
    let request = SearchRequest { facets: &facets, limit: 1, ..everything(tenant(1), &filter) };
    let found = index.search(request).await.unwrap();
    let values: Vec<_> = found.facets.into_iter().map(|facet| facet.values).collect();
    let pair = |value: &str, count| (value.to_owned(), count);
    assert_eq!(values[0], [pair("0", 2), pair("3", 1)]);
    assert_eq!(values[1], [pair("alice", 2), pair("bob", 1)]);
    assert_eq!(values[2], [pair("UPDATE", 3)]);
    assert_eq!(values[3], [pair("invoice", 3)]);
}

#[tokio::test]
async fn a_total_is_exact_up_to_its_limit_and_says_when_not() {
    let index = fresh_index().await;
    let entries: Vec<_> = (1..=10_050).map(entry).collect();
    bring(&index, tenant(1), &entries).await;
    let filter = Filter::default();
    let request = SearchRequest { last_seq: 10_000, limit: 3, ..everything(tenant(1), &filter) };
    let total = index.search(request).await.unwrap().total;
    assert_eq!((total.count, total.is_exact), (TOTAL_EXACT_MAX, true));
    let request = SearchRequest { last_seq: 10_050, ..request };
    let (found, counts) = index.search_and_count(request, &[(1, 10_050)]).await.unwrap();
    assert_eq!((found.total.count, found.total.is_exact), (TOTAL_EXACT_MAX, false));
    assert_eq!(counts, [10_050]);
    assert_eq!(seqs(&found), [10_050, 10_049, 10_048]);
}

#[tokio::test]
async fn ids_come_in_order_and_a_number_used_twice_comes_twice() {
    let index = fresh_index().await;
    let mut entries: Vec<_> = (1..=5_003).map(entry).collect();
    let mut twice = entry(5_000);
    twice.place.recorded_at = twice.place.recorded_at.plus_millis(7);
    entries.push(twice);
    bring(&index, tenant(1), &entries).await;
    let range = Range { tenant_id: tenant(1), first_seq: 2, last_seq: 5_002 };
    let mut all = index.ids(range, Among::Searched, None).await.unwrap();
    assert_eq!(all.len(), 5_000);
    let rest = index.ids(range, Among::Searched, all.last().copied()).await.unwrap();
    all.extend(&rest);
    let seqs: Vec<_> = all.iter().map(|id| id.place_in(tenant(1)).unwrap().seq.get()).collect();
    let mut expected: Vec<_> = (2..=5_002).chain([5_000]).collect();
    expected.sort_unstable();
    assert_eq!(seqs, expected);
    assert!(
        all.windows(2).all(|two| two[0] < two[1])
            || all.is_sorted_by_key(|id| id.place_in(tenant(1)).unwrap().seq)
    );

    let foreign = document(tenant(1), &twice).id();
    assert_eq!(index.delete(tenant(2), &[foreign]).await.unwrap(), 0);
    assert_eq!(index.delete(tenant(1), &[foreign]).await.unwrap(), 1);
    assert_eq!(index.counts(tenant(1), &[(1, 9_999)]).await.unwrap(), [5_003]);
}

#[tokio::test]
async fn what_lies_below_a_floor_is_deleted_of_that_tenant_alone() {
    let index = fresh_index().await;
    let entries: Vec<_> = (1..=30).map(entry).collect();
    bring(&index, tenant(1), &entries).await;
    bring(&index, tenant(2), &entries).await;
    assert_eq!(index.delete_below(tenant(1), 11).await.unwrap(), 10);
    assert_eq!(index.delete_below(tenant(1), 11).await.unwrap(), 0);
    assert_eq!(index.counts(tenant(1), &[(1, 10), (11, 30)]).await.unwrap(), [0, 20]);
    assert_eq!(index.counts(tenant(2), &[(1, 30)]).await.unwrap(), [30]);
}

#[tokio::test]
async fn nobody_there_is_a_fault_that_may_pass() {
    let mut settings = settings();
    settings.url = "http://127.0.0.1:1/".parse().unwrap();
    let fault = Index::new(&settings).unwrap().counts(tenant(1), &[(1, 1)]).await.unwrap_err();
    assert!(matches!(fault, Fault::Unreachable(_)), "{fault:?}");
    assert!(fault.is_passing());
    let range = Range { tenant_id: tenant(1), first_seq: 1, last_seq: 1 };
    let index = fresh_index().await;
    assert_eq!(index.count(&[range], Among::Searched, TIMEOUT).await.unwrap(), [0]);
}
