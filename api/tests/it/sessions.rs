//! What every session of the service is set to.

use api::store::{self, DbRole};
use sqlx::PgConnection;

use crate::support::database::TestDb;

#[tokio::test(flavor = "multi_thread")]
async fn no_session_waits_or_works_for_longer_than_five_seconds() {
    let db = TestDb::new().await;
    let options = store::connect_options(&db.url().into()).unwrap();
    for role in [DbRole::Reader, DbRole::Writer, DbRole::Worker] {
        let mut session = store::connect(&options, role).await.unwrap();
        for setting in [
            "lock_timeout",
            "statement_timeout",
            "idle_in_transaction_session_timeout",
            "tcp_user_timeout",
        ] {
            let ms = milliseconds(&mut session, setting).await;
            assert!((1..=5_000).contains(&ms), "{role:?}: {setting} is {ms} ms");
        }
        let durable: String =
            sqlx::query_scalar("show synchronous_commit").fetch_one(&mut session).await.unwrap();
        assert_eq!(durable, "on", "{role:?}");
    }
}

async fn milliseconds(session: &mut PgConnection, setting: &str) -> i64 {
    sqlx::query_scalar("select setting::bigint from pg_settings where name = $1 and unit = 'ms'")
        .bind(setting)
        .fetch_one(session)
        .await
        .unwrap()
}
