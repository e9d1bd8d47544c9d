//! `GET /logs`: pages that are exact, whatever the log, the filter and the limit.

use domain::TenantId;
use serde_json::Value;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::support::app::{Answer, Caller, TestApp};
use crate::support::history::{self, Past};

/// A fixed day of the past.
const DAY: OffsetDateTime = datetime!(2024-03-01 0:00 UTC);

/// A service with one tenant that has this past.
async fn with_past(entries: &[Past]) -> (TestApp, TenantId) {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    history::write(&mut admin, tenant_id, entries).await;
    (app, tenant_id)
}

fn day(n: i64) -> OffsetDateTime {
    DAY + Duration::days(n)
}

/// The same with ten entries, one a day.
async fn with_ten_days() -> (TestApp, TenantId) {
    let past: Vec<Past> = (0..10).map(|n| Past::at(day(n))).collect();
    with_past(&past).await
}

fn seqs(answer: &Answer) -> Vec<i64> {
    let data = answer.body["data"].as_array().unwrap_or_else(|| panic!("{answer:?}"));
    data.iter().map(|entry| entry["seq"].as_i64().unwrap()).collect()
}

fn next_cursor(answer: &Answer) -> Option<String> {
    answer.body["next_cursor"].as_str().map(str::to_owned)
}

/// All numbers of all pages, and how many pages there were.
async fn walk(caller: &Caller<'_>, query: &str) -> (Vec<i64>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    let mut path = format!("/logs?{query}");
    loop {
        let answer = caller.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        all.extend(seqs(&answer));
        pages += 1;
        let Some(cursor) = next_cursor(&answer) else { return (all, pages) };
        path = format!("/logs?{query}&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_what_was_recorded_newest_first() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let (writer, reader) = (app.caller(tenant_id, "admin"), app.caller(tenant_id, "user"));
    let empty = reader.get("/logs").await;
    assert_eq!(empty.body["data"], Value::Array(vec![]));
    assert_eq!((&empty.body["head_seq"], &empty.body["floor_seq"]), (&0.into(), &1.into()));
    assert_eq!(
        (&empty.body["next_cursor"], &empty.body["scanned_to"]),
        (&Value::Null, &Value::Null)
    );
    let live = empty.body["live_cursor"].as_str().unwrap();
    for n in 0..3 {
        writer.record(&format!("ACT-{n}")).await;
    }
    let page = reader.get("/logs?limit=2").await;
    assert_eq!(seqs(&page), [3, 2]);
    assert_eq!(page.body["scanned_to"], 2);
    let one = reader.get(&format!("/logs/{}", page.body["data"][0]["id"].as_str().unwrap())).await;
    assert_eq!(one.body, page.body["data"][0], "a list and a look-up show the same entry");
    assert!(page.text.contains(&one.text), "in the same words");
    let link = page.headers["link"].to_str().unwrap();
    let next = link.strip_prefix("</api/v1").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let last = reader.get(next).await;
    assert_eq!((seqs(&last), next_cursor(&last)), (vec![1], None));
    assert!(!last.headers.contains_key("link"));
    let live = reader.get(&format!("/logs?order=asc&action=ACT-1&cursor={live}")).await;
    assert_eq!(seqs(&live), [2], "a live cursor goes with any filter, upwards");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_ends_at_the_head_that_the_first_one_saw() {
    let (app, tenant_id) = with_past(&[]).await;
    let caller = app.caller(tenant_id, "admin");
    for _ in 0..4 {
        caller.record("EARLY").await;
    }
    let first = caller.get("/logs?order=asc&limit=3").await;
    assert_eq!(seqs(&first), [1, 2, 3]);
    for _ in 0..4 {
        caller.record("LATE").await;
    }
    let cursor = next_cursor(&first).unwrap();
    let second = caller.get(&format!("/logs?order=asc&limit=100&cursor={cursor}")).await;
    assert_eq!((seqs(&second), next_cursor(&second)), (vec![4], None));
    assert_eq!(second.body["head_seq"], 4);
    let live = second.body["live_cursor"].as_str().unwrap();
    let behind = caller.get(&format!("/logs?order=asc&cursor={live}")).await;
    assert_eq!(seqs(&behind), [5, 6, 7, 8], "the live cursor follows without gap or repeat");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_go_with_their_tenant_filter_and_order_alone() {
    let (app, tenant_id) = with_past(&[]).await;
    let other_id = app.tenant().await;
    let (caller, other) = (app.caller(tenant_id, "auditor"), app.caller(other_id, "auditor"));
    let writer = app.caller(tenant_id, "admin");
    for _ in 0..5 {
        writer.record("VIEW").await;
        app.caller(other_id, "admin").record("VIEW").await;
    }
    let page = caller.get("/logs?limit=2&action=VIEW&action=DELETE").await;
    let cursor = next_cursor(&page).unwrap();
    let same = format!("/logs?action=DELETE&limit=1&action=VIEW&cursor={cursor}");
    assert_eq!(seqs(&caller.get(&same).await), [3], "limit and the order of values may change");
    other.get(&same).await.assert_problem(400, "invalid_cursor");
    let live = page.body["live_cursor"].as_str().unwrap();
    let changed =
        format!("{}{}", &cursor[..cursor.len() - 1], if cursor.ends_with('A') { 'B' } else { 'A' });
    for query in [
        format!("action=VIEW&cursor={cursor}"),
        format!("cursor={cursor}"),
        format!("action=VIEW&action=DELETE&order=asc&cursor={cursor}"),
        format!("action=VIEW&action=DELETE&cursor={changed}"),
        format!("cursor={live}"),
        "cursor=nonsense".to_owned(),
    ] {
        caller.get(&format!("/logs?{query}")).await.assert_problem(400, "invalid_cursor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_refused_by_name() {
    let (app, tenant_id) = with_past(&[]).await;
    let caller = app.caller(tenant_id, "auditor");
    for (query, name) in [
        ("offset=5", "offset"),
        ("q=text", "q"),
        ("action=", "action"),
        ("from=yesterday", "from"),
        ("from=2024-01-02T00:00:00Z&to=2024-01-01T00:00:00Z", "from"),
        ("severity=warn", "severity"),
        ("severity_min=ERROR&severity_min=INFO", "severity_min"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1&limit=2", "limit"),
        ("order=up", "order"),
        ("user_id=%00", "user_id"),
        ("user_id=%FF", "user_id"),
    ] {
        let answer = caller.get(&format!("/logs?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{name}`")), "{query}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rare_filter_gives_short_pages_that_say_where_they_are() {
    let app = TestApp::start().await;
    let tenant_id = app.tenant().await;
    let mut admin = app.db.admin().await;
    history::make_room(&mut admin).await;
    // Dense days, sparse ones, years without any, and a moment with more than a window takes.
    for (from, days, entries) in
        [(0, 2, 45_000), (400, 60, 100), (1_000, 1, 30_000), (1_010, 0, 45_000)]
    {
        let from = DAY + Duration::days(from) - Duration::days(3_000);
        let to = from + Duration::days(days);
        history::spread(&mut admin, tenant_id, entries, from, to).await;
    }
    let caller = app.caller(tenant_id, "auditor");
    let wanted: Vec<i64> = sqlx::query_scalar(
        "select seq from audit_log where tenant_id = $1 and user_id = 'user-77' order by seq",
    )
    .bind(tenant_id.as_uuid())
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert!(wanted.len() > 70);
    for limit in [1_000, 7] {
        let query = format!("user_id=user-77&limit={limit}");
        let (up, _) = walk(&caller, &format!("{query}&order=asc")).await;
        assert_eq!(up, wanted);
        let (mut down, _) = walk(&caller, &query).await;
        down.reverse();
        assert_eq!(down, wanted);
    }
    let none = walk(&caller, "user_id=nobody&order=asc").await;
    assert_eq!(none.0, Vec::<i64>::new());
    let last = caller.get("/logs?limit=1&order=asc&from=2030-01-01T00:00:00Z").await;
    assert_eq!((seqs(&last), next_cursor(&last)), (vec![], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_under_a_walk_is_said() {
    let (app, tenant_id) = with_ten_days().await;
    let caller = app.caller(tenant_id, "auditor");
    let up = next_cursor(&caller.get("/logs?order=asc&limit=2").await).unwrap();
    let down = next_cursor(&caller.get("/logs?limit=8").await).unwrap();
    let halfway = next_cursor(&caller.get("/logs?limit=3").await).unwrap();
    let mut admin = app.db.admin().await;
    history::move_floor(&mut admin, tenant_id, day(4).date()).await;

    let gone = caller.get(&format!("/logs?order=asc&cursor={up}")).await;
    gone.assert_problem(410, "cursor_expired");
    let oldest = gone.body["oldest_cursor"].as_str().unwrap();
    assert_eq!(
        seqs(&caller.get(&format!("/logs?order=asc&cursor={oldest}")).await),
        [5, 6, 7, 8, 9, 10]
    );
    caller.get(&format!("/logs?cursor={down}")).await.assert_problem(410, "cursor_expired");
    let rest = caller.get(&format!("/logs?cursor={halfway}")).await;
    assert_eq!((seqs(&rest), next_cursor(&rest)), (vec![7, 6, 5], None));
    assert_eq!(rest.body["floor_seq"], 5);
    assert_eq!(walk(&caller, "order=asc&limit=4").await.0, [5, 6, 7, 8, 9, 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_under_a_search_is_said_and_where_it_ends() {
    let (app, tenant_id) = with_ten_days().await;
    let caller = app.caller(tenant_id, "auditor");
    let newest = "/logs/search?sort=newest";
    let ranked = "/logs/search?sort=relevance";
    let mut begun = Vec::new();
    for search in [newest, ranked] {
        let first = caller.get(&format!("{search}&limit=6")).await;
        begun.push((search, next_cursor(&first).unwrap()));
    }
    let mut admin = app.db.admin().await;
    history::move_floor(&mut admin, tenant_id, day(7).date()).await;
    ends_where_it_says(&caller, &begun[0]).await;

    // All that they began with has expired.
    history::write(&mut admin, tenant_id, &[Past::at(day(10)), Past::at(day(11))]).await;
    history::move_floor(&mut admin, tenant_id, day(10).date()).await;
    for search in &begun {
        ends_where_it_says(&caller, search).await;
        assert_eq!(seqs(&caller.get(search.0).await), [12, 11], "{search:?}");
    }
}

async fn ends_where_it_says(caller: &Caller<'_>, (search, cursor): &(&str, String)) {
    let gone = caller.get(&format!("{search}&cursor={cursor}")).await;
    gone.assert_problem(410, "cursor_expired");
    let oldest = gone.body["oldest_cursor"].as_str().unwrap();
    let end = caller.get(&format!("{search}&cursor={oldest}")).await;
    assert_eq!((end.status.as_u16(), seqs(&end), next_cursor(&end)), (200, vec![], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_a_restore_has_undone_is_told() {
    let past: Vec<Past> = (0..6).map(|n| Past::at(DAY + Duration::hours(n))).collect();
    let (app, tenant_id) = with_past(&past).await;
    let caller = app.caller(tenant_id, "auditor");
    let early = caller.get("/logs?limit=1&order=asc").await;
    let page = caller.get("/logs?limit=1").await;
    let cursor = next_cursor(&page).unwrap();
    let live = page.body["live_cursor"].as_str().unwrap().to_owned();
    let mut admin = app.db.admin().await;
    // Back to the state after four entries, then on with other ones.
    for statement in [
        "delete from audit_log where seq > 4",
        "update log_head set seq = 4, recorded_at = '2024-03-01 03:00+00'",
    ] {
        crate::support::database::run(&mut admin, statement.to_owned()).await;
    }
    let paths = [format!("/logs?cursor={cursor}"), format!("/logs?order=asc&cursor={live}")];
    // Its place is still there, its end is not.
    let early = next_cursor(&early).unwrap();
    let early = format!("/logs?order=asc&cursor={early}");
    caller.get(&early).await.assert_problem(409, "history_changed");
    for path in &paths {
        caller.get(path).await.assert_problem(409, "history_changed");
    }
    let more: Vec<Past> = (10..14).map(|n| Past::at(DAY + Duration::hours(n))).collect();
    history::write(&mut admin, tenant_id, &more).await;
    caller.get(&early).await.assert_problem(409, "history_changed");
    for path in &paths {
        caller.get(path).await.assert_problem(409, "history_changed");
    }
}
