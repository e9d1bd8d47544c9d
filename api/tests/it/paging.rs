//! Pages of the store, on both profiles: whole, filtered, both ways, over empty days.
//!
//! One session that changes its role, because the TimescaleDB of the tests has one connection.

use api::config::ProfileChoice;
use api::store::pages::{self, Wanted};
use api::store::range::From;
use api::store::{connect_options, migrations, tenants};
use api::tenants::default_settings;
use domain::{Filter, LogOwner, Order, TenantId};
use secrecy::SecretString;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use crate::support::database::TestDb;
use crate::support::history::{self, Past};
use crate::support::timescale::Timescale;

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_exact_on_native_partitions() {
    let db = TestDb::empty().await;
    read_all(db.url().into(), ProfileChoice::Native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_exact_on_timescale() {
    let timescale = Timescale::start().await;
    read_all(timescale.url(), ProfileChoice::Timescale).await;
}

async fn read_all(url: SecretString, profile: ProfileChoice) {
    let mut session = PgConnection::connect_with(&connect_options(&url).unwrap()).await.unwrap();
    migrations::migrate(&mut session, profile, 7).await.unwrap();
    let tenant_id = TenantId::new(Uuid::now_v7());
    become_role(&mut session, "audit_worker").await;
    let settings = default_settings("test".to_owned(), 7);
    assert!(tenants::create(&mut session, tenant_id, &settings).await.unwrap());
    become_role(&mut session, "audit_owner").await;
    if profile == ProfileChoice::Native {
        history::make_room(&mut session).await;
    }
    let begins = datetime!(2024-01-01 0:00 UTC);
    // Two entries on each of ten days, a year without any, then ten days again.
    let past: Vec<Past> = (0..40)
        .map(|n| {
            let gap = Duration::days(if n < 20 { 0 } else { 365 });
            let at = begins + gap + Duration::days(n / 2) + Duration::minutes(n % 2);
            Past { user_id: format!("user-{}", n % 3), ..Past::at(at) }
        })
        .collect();
    history::write(&mut session, tenant_id, &past).await;
    history::move_floor(&mut session, tenant_id, begins.date() + Duration::days(2)).await;

    become_role(&mut session, "audit_reader").await;
    let set = format!("set audit.tenant_id = '{tenant_id}'");
    session.execute(AssertSqlSafe(set)).await.unwrap();
    for limit in [1, 7, 1_000] {
        for (filter, expected) in [
            (Filter::default(), (5..=40).collect::<Vec<_>>()),
            (filter(&[("user_id", "user-1")]), (5..=40).filter(|seq| seq % 3 == 2).collect()),
            (filter(&[("from", "2024-06-01T00:00:00Z")]), (21..=40).collect()),
            (filter(&[("to", "2024-01-05T00:00:00Z")]), (5..=8).collect()),
        ] {
            let up = walk(&mut session, tenant_id, &filter, Order::Asc, limit).await;
            assert_eq!(up, expected, "{filter:?}");
            let mut down = walk(&mut session, tenant_id, &filter, Order::Desc, limit).await;
            down.reverse();
            assert_eq!(down, expected, "{filter:?}");
        }
    }
}

fn filter(pairs: &[(&str, &str)]) -> Filter {
    Filter::read(pairs.iter().copied()).unwrap()
}

async fn walk(
    session: &mut PgConnection,
    tenant_id: TenantId,
    filter: &Filter,
    order: Order,
    limit: usize,
) -> Vec<i64> {
    let owner = LogOwner::of(tenant_id);
    let (mut seqs, mut from) = (Vec::new(), From::start(order));
    loop {
        let wanted = Wanted { owner: &owner, filter, from, limit };
        let page = pages::read(session, tenant_id, wanted).await.unwrap().unwrap();
        let data = format!("[{}]", String::from_utf8(page.data).unwrap());
        let entries: Vec<Value> = serde_json::from_str(&data).unwrap();
        seqs.extend(entries.iter().map(|entry| entry["seq"].as_i64().unwrap()));
        if page.next.is_none() {
            return seqs;
        }
        from = From { after: page.next, until: page.until, ..from };
    }
}

async fn become_role(session: &mut PgConnection, role: &str) {
    let statement = format!("reset role; set role {role}");
    session.execute(AssertSqlSafe(statement)).await.unwrap();
}
