//! A month built anew behind the aliases.

use search::{Among, Month, Outcome, Range};

use crate::support::{TIMEOUT, bring, document, entry, fresh_index, tenant};

#[tokio::test]
async fn a_month_is_exchanged_for_another_without_a_hole_or_doubles() {
    let index = fresh_index().await;
    let month = Month::parse("2026.11").unwrap();
    bring(&index, tenant(1), &[entry(1), entry(2)]).await;
    let old = index.indices().await.unwrap().remove(0).name;
    let new = index.make_generation(month).await.unwrap();
    assert_eq!(new.to_string(), format!("{old}.2"));
    let documents: Vec<_> = (1..=2).map(|seq| document(tenant(1), &entry(seq))).collect();
    let outcomes = index.bulk_into(&new, &documents, TIMEOUT).await.unwrap();
    assert!(outcomes.iter().all(Outcome::is_there));
    index.refresh().await.unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [2], "searched in the old one");

    index.move_write(&new).await.unwrap();
    let outcomes = index.bulk(&[document(tenant(1), &entry(3))], TIMEOUT).await.unwrap();
    assert_eq!(outcomes, [Outcome::Created]);
    index.refresh().await.unwrap();
    let range = Range { tenant_id: tenant(1), first_seq: 1, last_seq: 9 };
    assert_eq!(index.count(&[range], Among::Index(&new), TIMEOUT).await.unwrap(), [3]);
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [2]);

    index.move_read(&new).await.unwrap();
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [3]);
    let states: Vec<_> = index.indices().await.unwrap();
    let roles: Vec<_> = states.iter().map(|state| (state.is_read, state.is_written)).collect();
    assert_eq!(roles, [(false, false), (true, true)]);
    index.delete_index(&old).await.unwrap();
    index.delete_index(&old).await.unwrap();
    assert_eq!(index.indices().await.unwrap().len(), 1);
    assert_eq!(index.counts(tenant(1), &[(1, 9)]).await.unwrap(), [3]);
    assert_eq!(index.make_generation(month).await.unwrap().generation(), 3);
}
