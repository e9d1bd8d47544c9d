//! Indices of several shards, of which a tenant lies on some.

use domain::{EntryId, Filter, Severity, StoredEntry, TenantId};
use search::{
    Among, FacetField, Index, Population, Range, SearchAfter, SearchRequest, Shape, Sort,
};

use crate::support::{at, bring, entry, everything, fresh_index, seqs, tenant};

const TENANTS: u128 = 7;

/// Entries of each tenant: in two months, an `ERROR` among each ten.
const ENTRIES: i64 = 60;

async fn filled() -> Index {
    let index = fresh_index().await;
    index.set_up(Shape { shards: 6, ..Shape::default() }).await.unwrap();
    let late = |seq: i64| {
        let mut entry = entry(seq);
        let severity = if seq % 10 == 0 { Severity::Error } else { Severity::Info };
        if seq > ENTRIES / 2 {
            entry.place.recorded_at = at("2026-12-01T00:00:00Z").plus_millis(seq);
        }
        StoredEntry { severity, ..entry }
    };
    let entries: Vec<_> = (1..=ENTRIES).map(late).collect();
    for n in 1..=TENANTS {
        bring(&index, tenant(n), &entries).await;
    }
    index
}

fn range(tenant_id: TenantId, first_seq: i64, last_seq: i64) -> Range {
    Range { tenant_id, first_seq, last_seq }
}

#[tokio::test]
async fn a_tenant_on_several_shards_is_counted_searched_and_paged_as_on_one() {
    let index = filled().await;
    let filter = Filter::default();
    for n in 1..=TENANTS {
        let tenant_id = tenant(n);
        let counts = index.counts(tenant_id, &[(1, ENTRIES), (25, 34), (61, 99)]).await.unwrap();
        assert_eq!(counts, [60, 10, 0]);
        for sort in [Sort::Newest, Sort::Relevance] {
            let facets = &[FacetField::Severity];
            let mut request =
                SearchRequest { sort, limit: 7, facets, ..everything(tenant_id, &filter) };
            let mut all = Vec::new();
            loop {
                let found = index.search(request).await.unwrap();
                assert_eq!((found.total.count, found.total.is_exact), (60, true));
                let values = &found.facets[0].values;
                assert_eq!(values[..], [("0".to_owned(), 54), ("2".to_owned(), 6)]);
                all.extend(seqs(&found));
                let Some(last) = found.hits.last() else { break };
                let seq = last.place.seq.get();
                request.after = Some(SearchAfter { score: last.score, seq });
            }
            assert_eq!(all, (1..=ENTRIES).rev().collect::<Vec<_>>(), "{sort:?}");
        }
    }
}

#[tokio::test]
async fn on_several_shards_documents_are_listed_and_deleted_of_one_tenant_alone() {
    let index = filled().await;
    let (own, whole) = (tenant(1), range(tenant(1), 1, ENTRIES));
    let ids = index.ids(whole, Among::Searched, None).await.unwrap();
    let of = |id: &EntryId| id.place_in(own).unwrap().seq.get();
    assert_eq!(ids.iter().map(of).collect::<Vec<_>>(), (1..=ENTRIES).collect::<Vec<_>>());
    let found = index.documents(range(own, 20, 40), 100).await.unwrap();
    let found: Vec<_> = found.iter().map(|document| document.seq).collect();
    assert_eq!(found, (20..=40).collect::<Vec<_>>());

    assert_eq!(index.delete_below(own, 11).await.unwrap(), 10);
    assert_eq!(index.delete(own, &ids[10..13]).await.unwrap(), 3);
    assert_eq!(index.delete(tenant(2), &ids[13..15]).await.unwrap(), 0);
    assert_eq!(index.delete_hidden(whole, &ids[13..15]).await.unwrap(), 0);
    assert_eq!(index.counts(own, &[(1, ENTRIES)]).await.unwrap(), [47]);
    let of = |n: u128, documents| Population { tenant: Some(tenant(n).to_string()), documents };
    let expected: Vec<_> = (1..=TENANTS).map(|n| of(n, if n == 1 { 47 } else { 60 })).collect();
    assert_eq!(index.populations(None).await.unwrap(), expected);
    assert_eq!(index.populations(Some(&expected[4])).await.unwrap(), expected[5..]);
    assert_eq!(index.delete_population(Some(&tenant(3).to_string())).await.unwrap(), 60);
    assert_eq!(index.populations(None).await.unwrap().len(), 6);
}
