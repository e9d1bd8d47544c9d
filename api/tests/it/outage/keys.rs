//! One idempotency key twice at once: on one replica, in one batch, on two.

use std::collections::HashSet;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use super::{Stage, head, turn};
use crate::support::app::{Answer, send};

/// Requests with the same key at once.
const AT_ONCE: usize = 8;

/// How often that is tried.
const ROUNDS: i64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn one_key_at_once_on_two_replicas_is_written_once_and_answered_alike() {
    let _turn = turn().await;
    let stage = Stage::on_shared(2).await;
    let tenant_id = stage.tenants(1).await[0];
    let single = json!({ "action": "UPDATE", "resource_type": "thing", "after": { "n": 1.50 } });
    let bulk = json!([single, single, single]);
    let mut written = 0;
    for round in 0..ROUNDS {
        let (path, body, entries) =
            if round % 2 == 0 { ("/logs", &single, 1) } else { ("/logs/bulk", &bulk, 3) };
        let mut asking = JoinSet::new();
        for n in 0..AT_ONCE {
            let service = &stage.services[n % 2];
            let request = super::request_with(service, tenant_id, path, body);
            asking.spawn(send(request.header("idempotency-key", format!("key-{round}"))));
        }
        let answers: Vec<Answer> = asking.join_all().await;
        let refused: Vec<_> =
            answers.iter().filter(|answer| answer.status != StatusCode::CREATED).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let different: HashSet<_> = answers.iter().map(|answer| &answer.text).collect();
        assert_eq!(different.len(), 1, "{different:#?}");
        let is_first = |answer: &&Answer| !answer.headers.contains_key("idempotency-replayed");
        assert_eq!(answers.iter().filter(is_first).count(), 1, "{answers:#?}");
        written += entries;
    }
    let mut admin = stage.admin().await;
    assert_eq!(head(&mut admin, tenant_id).await, written);
}
