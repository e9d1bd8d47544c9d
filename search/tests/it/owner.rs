//! Whose the indices of a prefix are.

use domain::Filter;
use search::{Fault, Index, Shape};

use crate::support::{at, bring, entry, everything, fresh_index, raw, seqs, settings, tenant};

fn assert_foreign(answer: Result<(), Fault>, owner: &str) {
    let Err(Fault::Foreign { installation }) = answer else { panic!("{answer:?}") };
    assert_eq!(installation, owner);
}

/// The same index, as an installation uses it.
fn of(index: &Index, installation: &str) -> Index {
    index.clone().of_installation(installation)
}

#[tokio::test]
async fn what_an_installation_has_made_is_refused_to_another_and_stays_as_it_is() {
    let index = Index::new(&settings()).unwrap();
    let (one, other) = (of(&index, "one"), of(&index, "other"));
    one.set_up(Shape::default()).await.unwrap();
    bring(&index, tenant(1), &[entry(1), entry(2)]).await;
    one.claim().await.unwrap();
    let shape = Shape { shards: 3, ..Shape::default() };
    assert_foreign(other.check_owner().await, "one");
    assert_foreign(other.claim().await, "one");
    assert_foreign(other.set_up(shape).await, "one");
    let mut later = entry(3);
    later.place.recorded_at = at("2026-12-01T00:00:00Z");
    bring(&index, tenant(1), &[later]).await;
    for state in index.indices().await.unwrap() {
        let path = format!("/{}?flat_settings=true", state.name);
        let text = raw(reqwest::Method::GET, &path, None).await;
        assert!(text.contains(r#""index.number_of_shards":"1""#), "{text}");
        assert!(text.contains(r#""_meta":{"installation":"one"}"#), "{text}");
    }
    // It may set up again, as with each new version, and goes on owning it.
    one.set_up(shape).await.unwrap();
    index.set_up(shape).await.unwrap();
    assert_foreign(other.check_owner().await, "one");
    for state in index.indices().await.unwrap() {
        index.delete_index(&state.name).await.unwrap();
    }
    assert_foreign(other.claim().await, "one");
}

#[tokio::test]
async fn what_is_nobodys_belongs_to_who_comes_first() {
    let index = fresh_index().await;
    bring(&index, tenant(1), &[entry(1), entry(2)]).await;
    let (one, other) = (of(&index, "one"), of(&index, "other"));
    other.check_owner().await.unwrap();
    one.claim().await.unwrap();
    one.claim().await.unwrap();
    assert_foreign(other.claim().await, "one");
    // The index says so, too, and is searched as before.
    let name = index.indices().await.unwrap().remove(0).name.to_string();
    let prefix = name.split("-v").next().unwrap();
    raw(reqwest::Method::DELETE, &format!("/_index_template/{prefix}-v*"), None).await;
    assert_foreign(other.claim().await, "one");
    bring(&index, tenant(1), &[entry(3)]).await;
    let filter = Filter::default();
    let found = index.search(everything(tenant(1), &filter)).await.unwrap();
    assert_eq!(seqs(&found), [3, 2, 1]);
}

#[tokio::test]
async fn an_installation_may_take_over_what_another_has_left() {
    let index = Index::new(&settings()).unwrap();
    let (one, other) = (of(&index, "one"), of(&index, "other"));
    one.take_over().await.unwrap();
    one.set_up(Shape::default()).await.unwrap();
    bring(&index, tenant(1), &[entry(1)]).await;
    other.take_over().await.unwrap();
    other.claim().await.unwrap();
    assert_foreign(one.claim().await, "other");
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [1]);
}
