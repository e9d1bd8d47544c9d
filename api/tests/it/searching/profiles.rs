//! What a search and the repair read of the log, on both profiles: by places, by words, by walks.
//!
//! One session that changes its role, because the TimescaleDB of the tests has one connection.

use std::ops::ControlFlow;

use api::config::ProfileChoice;
use api::store::places::{self, Recent};
use api::store::range::{self, From};
use api::store::{Plans, bounds, connect_options, indexing, matches, migrations, tenants};
use api::tenants::default_settings;
use domain::{Asked, Filter, Order, Place, Selection, Seq, TenantId, Timestamp};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use time::Duration;
use time::macros::datetime;
use uuid::Uuid;

use crate::support::database::TestDb;
use crate::support::history::{self, Past};
use crate::support::timescale::Timescale;

/// The first number that has not expired, and the last.
const KEPT: (i64, i64) = (7, 60);

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_by_places_words_and_walks_on_native_partitions() {
    let db = TestDb::empty().await;
    find_all(db.url().into(), ProfileChoice::Native).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_found_by_places_words_and_walks_on_timescale() {
    let timescale = Timescale::start().await;
    find_all(timescale.url(), ProfileChoice::Timescale).await;
}

async fn find_all(url: SecretString, profile: ProfileChoice) {
    let mut session = PgConnection::connect_with(&connect_options(&url).unwrap()).await.unwrap();
    let tenant_id = filled(&mut session, profile).await;
    become_role(&mut session, "audit_reader").await;
    let set = format!("set audit.tenant_id = '{tenant_id}'");
    session.execute(AssertSqlSafe(set)).await.unwrap();
    let listed = by_numbers(&mut session, tenant_id, (1, 1_000)).await;
    assert_eq!(numbers(&listed), (KEPT.0..=KEPT.1).collect::<Vec<_>>());
    let some = by_numbers(&mut session, tenant_id, (17, 44)).await;
    assert_eq!(some, listed[10..38]);
    by_places(&mut session, tenant_id, &listed).await;
    by_words(&mut session, tenant_id).await;
    by_walks(&mut session, tenant_id, &listed).await;
    by_recent_places(&mut session, tenant_id, &listed[24..], profile).await;
}

/// Three entries a day for ten days, a year without any, then ten days again; the first expired.
async fn filled(session: &mut PgConnection, profile: ProfileChoice) -> TenantId {
    migrations::migrate(session, profile, 7).await.unwrap();
    let tenant_id = TenantId::new(Uuid::now_v7());
    become_role(session, "audit_worker").await;
    let settings = default_settings("test".to_owned(), 7);
    assert!(tenants::create(&mut *session, tenant_id, &settings).await.unwrap());
    become_role(session, "audit_owner").await;
    if profile == ProfileChoice::Native {
        history::make_room(session).await;
    }
    let begins = datetime!(2024-01-01 0:00 UTC);
    let past: Vec<Past> = (0..KEPT.1)
        .map(|n| {
            let gap = Duration::days(if n < 30 { 0 } else { 365 });
            let at = begins + gap + Duration::days(n / 3) + Duration::minutes(n % 3);
            let resource_id = Some(format!("thing-{}", n % 4));
            Past { user_id: format!("user-{}", n % 3), resource_id, ..Past::at(at) }
        })
        .collect();
    history::write(session, tenant_id, &past).await;
    history::move_floor(session, tenant_id, begins.date() + Duration::days(2)).await;
    if profile == ProfileChoice::Timescale {
        become_role(session, "none").await;
        compress(session).await;
    }
    tenant_id
}

/// As the policy does in time: most of the log lies in chunks that are compressed.
async fn compress(session: &mut PgConnection) {
    let job = "select job_id from timescaledb_information.jobs
        where proc_name = 'compress_old_chunks'";
    let job: i32 = sqlx::query_scalar(job).fetch_one(&mut *session).await.unwrap();
    sqlx::query("call run_job($1)").bind(job).execute(session).await.unwrap();
}

fn numbers(places: &[Place]) -> Vec<i64> {
    places.iter().map(|place| place.seq.get()).collect()
}

/// As the comparison with the index reads them.
async fn by_numbers(db: &mut PgConnection, tenant_id: TenantId, range: (i64, i64)) -> Vec<Place> {
    let mut all: Vec<Place> = Vec::new();
    let mut next = range.0;
    loop {
        let before = all.last().copied();
        let read = indexing::places(&mut *db, tenant_id, (next, range.1), before).await.unwrap();
        let Some(last) = read.last() else { return all };
        next = last.seq.get() + 1;
        all.extend(read);
    }
}

/// As a search reads what the index has named.
async fn by_places(db: &mut PgConnection, tenant_id: TenantId, listed: &[Place]) {
    let place =
        |ms, seq| Place { recorded_at: Timestamp::from_millis(ms), seq: Seq::new(seq).unwrap() };
    let first_ms = 1_704_067_200_000;
    // Two that have expired, one of another time, one beyond the head.
    let mut asked = vec![place(first_ms, 1), place(first_ms + 60_000, 2), place(first_ms, 30)];
    asked.push(place(listed[53].recorded_at.as_millis(), 61));
    asked.extend(listed.iter().rev().step_by(2));
    let recent = Recent::of(&asked, datetime!(2025-01-12 0:00 UTC));
    assert_eq!(recent.plans(), Plans::Fresh, "a year lies between");
    let found = read(db, tenant_id, &asked, recent).await;
    let expected: Vec<Place> = listed.iter().skip(1).step_by(2).copied().collect();
    assert_eq!(found, expected);
}

/// The same where all are recent, by a plan that is kept: it must see what comes later.
async fn by_recent_places(
    db: &mut PgConnection,
    tenant_id: TenantId,
    listed: &[Place],
    profile: ProfileChoice,
) {
    let now = datetime!(2025-01-12 0:00 UTC);
    let recent = Recent::of(listed, now);
    assert_eq!(recent.plans(), Plans::Kept);
    db.execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    for _ in 0..2 {
        assert_eq!(read(db, tenant_id, listed, recent).await, listed);
    }
    assert_eq!(read(db, tenant_id, &listed[3..5], recent).await, listed[3..5]);

    become_role(db, "audit_owner").await;
    let later = datetime!(2100-01-05 0:00 UTC);
    if profile == ProfileChoice::Native {
        let partition = "create table audit_log_later partition of audit_log
            for values from ('2100-01-04 00:00Z') to ('2100-01-11 00:00Z')";
        db.execute(partition).await.unwrap();
    }
    history::write(db, tenant_id, &[Past::at(later)]).await;
    become_role(db, "audit_reader").await;
    let later = Timestamp::from_millis(later.unix_timestamp() * 1_000);
    let added = Place { recorded_at: later, seq: Seq::new(KEPT.1 + 1).unwrap() };
    let all = [listed, &[added]].concat();
    assert_eq!(Recent::of(&all, now), recent, "the same statement");
    assert_eq!(read(db, tenant_id, &all, recent).await, all);
}

async fn read(
    db: &mut PgConnection,
    tenant_id: TenantId,
    asked: &[Place],
    recent: Recent,
) -> Vec<Place> {
    let mut found = Vec::new();
    let bounds = places::read(db, tenant_id, asked, recent, |entry| found.push(entry.place)).await;
    assert_eq!(bounds.unwrap().floor_seq, KEPT.0);
    found.sort_unstable();
    found
}

/// As a search reads what the index does not hold.
async fn by_words(db: &mut PgConnection, tenant_id: TenantId) {
    let asked = |q: &str, pairs: &[(&str, &str)]| Selection {
        q: Some(Asked::parse(q).unwrap()),
        filter: Filter::read(pairs.iter().copied()).unwrap(),
    };
    let kept = || (KEPT.0..=KEPT.1).rev();
    for (selection, expected) in [
        (asked("resource_id:thing-3", &[]), kept().filter(|seq| seq % 4 == 0).collect::<Vec<_>>()),
        (
            asked("thing-3", &[("user_id", "user-0")]),
            kept().filter(|seq| seq % 4 == 0 && seq % 3 == 1).collect(),
        ),
        (
            asked("-resource_id:thing-3", &[("from", "2024-06-01T00:00:00Z")]),
            kept().filter(|seq| *seq > 30 && seq % 4 != 0).collect(),
        ),
        (asked("nothing", &[]), Vec::new()),
    ] {
        let start = From::start(Order::Desc);
        let found = range::find(&mut *db, tenant_id, &selection.filter, start).await.unwrap();
        let range = found.unwrap();
        let mut seqs = Vec::new();
        let reach = matches::Reach { entries: matches::LOOKED_AT_MAX, lasts: None };
        let looked = matches::look(&mut *db, tenant_id, &selection, &range, reach, |entry| {
            seqs.push(entry.place.seq.get());
            ControlFlow::Continue(())
        });
        let looked = looked.await.unwrap();
        assert!(looked.is_done && !looked.has_moved, "{looked:?}");
        assert_eq!(seqs, expected, "{selection:?}");
    }
}

/// As entries are read to be sent again.
async fn by_walks(db: &mut PgConnection, tenant_id: TenantId, listed: &[Place]) {
    assert_eq!(bounds::get(&mut *db, tenant_id).await.unwrap().head_seq(), KEPT.1);
    for (range, expected) in [((1, 1_000), listed), ((28, 33), &listed[21..27])] {
        let mut walk = indexing::walk(&mut *db, tenant_id, range).await.unwrap().unwrap();
        let mut found = Vec::new();
        while !walk.is_done() {
            walk.step_by_copy(&mut *db, 7, |entry| {
                found.push(entry.place);
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
        }
        assert_eq!(found, expected);
    }
}

async fn become_role(session: &mut PgConnection, role: &str) {
    let statement = format!("reset role; set role {role}");
    session.execute(AssertSqlSafe(statement)).await.unwrap();
}
