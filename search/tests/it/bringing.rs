//! Documents into the index.

use domain::{LogOwner, StoredEntry};
use search::{Among, Document, Index, Outcome, Range, Shape};

use crate::support::{TIMEOUT, at, bring, document, entry, fresh_index, raw, settings, tenant};

#[tokio::test]
async fn a_document_comes_once_however_often_it_is_brought() {
    let index = fresh_index().await;
    let documents = [document(tenant(1), &entry(1)), document(tenant(1), &entry(2))];
    let outcomes = index.bulk(&documents[..1], TIMEOUT).await.unwrap();
    assert_eq!(outcomes, [Outcome::Created]);
    let outcomes = index.bulk(&documents, TIMEOUT).await.unwrap();
    assert_eq!(outcomes, [Outcome::AlreadyThere, Outcome::Created]);
    index.refresh().await.unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 2), (1, 1), (3, 9)]).await.unwrap(), [2, 1, 0]);
}

#[tokio::test]
async fn entries_go_to_the_index_of_the_month_in_which_they_were_recorded() {
    let index = fresh_index().await;
    let with_time = |seq, text| {
        let mut entry = entry(seq);
        entry.place.recorded_at = at(text);
        entry
    };
    let entries = [
        with_time(1, "2026-11-30T23:59:59.999Z"),
        with_time(2, "2026-12-01T00:00:00.000Z"),
        with_time(3, "2026-12-01T00:00:00.000Z"),
    ];
    bring(&index, tenant(1), &entries).await;
    let indices = index.indices().await.unwrap();
    let months: Vec<_> = indices.iter().map(|index| index.name.month().to_string()).collect();
    assert_eq!(months, ["2026.11", "2026.12"]);
    assert!(indices.iter().all(|index| index.is_read && index.is_written));
    for (state, (range, count)) in indices.iter().zip([((1, 1), 1), ((2, 3), 2)]) {
        let range = Range { tenant_id: tenant(1), first_seq: range.0, last_seq: range.1 };
        let counts = index.count(&[range], Among::Index(&state.name), TIMEOUT).await.unwrap();
        assert_eq!(counts, [count]);
    }
}

#[tokio::test]
async fn eight_at_once_make_one_index_and_one_template() {
    let settings = settings();
    let bringing = (1..=8).map(|seq| {
        // No `set_up`: the template is missing as well.
        let index = Index::new(&settings).unwrap();
        tokio::spawn(async move {
            index.bulk(&[document(tenant(1), &entry(seq))], TIMEOUT).await.unwrap()
        })
    });
    for brought in bringing.collect::<Vec<_>>() {
        assert_eq!(brought.await.unwrap(), [Outcome::Created]);
    }
    let index = Index::new(&settings).unwrap();
    index.refresh().await.unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 8)]).await.unwrap(), [8]);
    assert_eq!(index.indices().await.unwrap().len(), 1);
    assert!(index.facts(TIMEOUT).await.unwrap().has_template);
}

#[tokio::test]
async fn an_index_that_lost_its_aliases_gets_them_back() {
    let index = fresh_index().await;
    bring(&index, tenant(1), &[entry(1)]).await;
    let name = index.indices().await.unwrap().remove(0).name;
    raw(reqwest::Method::DELETE, &format!("/{name}/_alias/*"), None).await;
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [0]);
    bring(&index, tenant(1), &[entry(2)]).await;
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [2]);
}

#[tokio::test]
async fn setting_up_again_changes_the_shape_of_later_months_only() {
    let index = fresh_index().await;
    bring(&index, tenant(1), &[entry(1)]).await;
    let shape = Shape { shards: 4, replicas: Some(0), ..Shape::default() };
    index.set_up(shape).await.unwrap();
    let mut later = entry(2);
    later.place.recorded_at = at("2026-12-01T00:00:00Z");
    bring(&index, tenant(1), &[later]).await;
    let mut shapes = Vec::new();
    for state in index.indices().await.unwrap() {
        let text = raw(
            reqwest::Method::GET,
            &format!("/{}/_settings?flat_settings=true", state.name),
            None,
        )
        .await;
        shapes.push((
            text.contains(r#""index.number_of_shards":"4""#),
            text.contains(r#""index.routing_partition_size":"2""#),
        ));
    }
    assert_eq!(shapes, [(false, false), (true, true)]);
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [2]);
}

#[tokio::test]
async fn a_refused_document_is_told_from_its_neighbours_and_fits_as_a_stub() {
    let index = fresh_index().await;
    let owner = LogOwner::of(tenant(1));
    // The API lets nothing through that OpenSearch refuses, so one is made by hand: not JSON.
    let broken = StoredEntry { metadata: Some(r#"{"a":1"#), message: Some("secret"), ..entry(2) };
    let documents = [
        document(tenant(1), &entry(1)),
        document(tenant(1), &broken),
        document(tenant(1), &entry(3)),
    ];
    let outcomes = index.bulk(&documents, TIMEOUT).await.unwrap();
    let [Outcome::Created, Outcome::Refused { status: 400, reason }, Outcome::Created] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert!(reason.starts_with("mapper_parsing_exception"), "{reason}");
    assert!(!reason.contains("secret"));
    let stub = Document::stub(&broken, &owner, reason);
    assert_eq!(index.bulk(&[stub], TIMEOUT).await.unwrap(), [Outcome::Created]);
    index.refresh().await.unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 3)]).await.unwrap(), [3]);
}

#[tokio::test]
async fn a_line_end_between_tokens_ends_no_document() {
    let index = fresh_index().await;
    let split = StoredEntry { metadata: Some("{\n\"a\":\r\n1}"), ..entry(1) };
    bring(&index, tenant(1), &[split, entry(2)]).await;
    assert_eq!(index.counts(tenant(1), &[(1, 2)]).await.unwrap(), [2]);
}
