//! What keeps entries out of the index, told from the entries themselves.

use search::{Auth, Index, IndexSettings, Prefix, Range, Shape};
use serde_json::json;
use uuid::Uuid;

use crate::support::{bring, entry, raw, tenant, url};

#[tokio::test]
async fn an_entry_that_has_arrived_is_not_taken_for_what_hides_it() {
    let prefix = format!("t{}", Uuid::new_v4().simple());
    let settings = IndexSettings {
        url: url().parse().unwrap(),
        auth: Auth::None,
        prefix: Prefix::parse(&prefix).unwrap(),
    };
    let index = Index::new(&settings).unwrap();
    index.set_up(Shape::default()).await.unwrap();
    let (own, other) = (tenant(1), tenant(2));
    bring(&index, own, &[1, 2, 3].map(entry)).await;
    let ids = [1, 2, 3, 4].map(|seq| domain::EntryId::of(entry(seq).place, own));
    let hiding = json!({ "tenant_id": other.to_string(), "seq": 4 }).to_string();
    let path = format!("/{}-2026.11/_doc/{}?routing={other}&refresh=true", prefix, ids[3]);
    let put = raw(reqwest::Method::PUT, &path, Some(&hiding)).await;
    assert!(put.contains("\"created\""), "{put}");

    let range = Range { tenant_id: own, first_seq: 1, last_seq: 4 };
    assert_eq!(index.delete_hidden(range, &ids).await.unwrap(), 1);
    assert_eq!(index.delete_hidden(range, &ids).await.unwrap(), 0);
    let left = index.documents(range, 10).await.unwrap();
    assert_eq!(left.iter().map(|document| document.seq).collect::<Vec<_>>(), [1, 2, 3]);
}
