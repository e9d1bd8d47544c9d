//! Connections: what they are at, and those that were refused or cut.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::SEEN_WITHIN;
use crate::connections::{HEALTHZ, ask, connect, head};
use crate::support::eventually;
use crate::support::exposition::{Scrape, Watched};
use crate::support::socket::Socket;

fn at(state: &str) -> String {
    format!("audit_connections{{state=\"{state}\"}}")
}

fn cut(state: &str) -> String {
    format!("audit_connections_cut_total{{state=\"{state}\"}}")
}

/// Scrapes until one more connection is at this than before.
async fn one_more(watched: &Watched, before: &Scrape, state: &str) {
    let series = at(state);
    eventually(&series, SEEN_WITHIN, async || {
        watched.scrape().await.is(&series, before.get(&series) + 1.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_counted_by_what_they_are_at_until_they_end() {
    let watched = Watched::start(&["--connections-max", "77"]).await;
    let (base, tenant_id) = (&watched.app.base, watched.app.tenant().await);
    let before = watched.scrape().await;
    assert_eq!(before.find("audit_connections_limit"), Some(77.0));

    let mut silent = connect(base).await;
    one_more(&watched, &before, "head").await;
    assert!(ask(&mut silent, HEALTHZ).await.unwrap().starts_with("HTTP/1.1 200"));
    one_more(&watched, &before, "idle").await;

    let mut asked = connect(base).await;
    let post = head("POST", "/logs", tenant_id, "user");
    let post = format!("{post}content-type: application/json\r\ncontent-length: 100\r\n\r\n");
    asked.write_all(post.as_bytes()).await.unwrap();
    one_more(&watched, &before, "asked").await;

    let mut events = connect(base).await;
    let stream = head("GET", "/logs/stream", tenant_id, "auditor");
    let stream = format!("{stream}accept: text/event-stream\r\n\r\n");
    assert!(ask(&mut events, &stream).await.unwrap().starts_with("HTTP/1.1 200"));
    one_more(&watched, &before, "answering").await;

    let mut socket = Socket::open(base, tenant_id, "").await;
    socket.expect("hello").await;
    one_more(&watched, &before, "upgraded").await;

    drop((silent, asked, events, socket));
    eventually("all have ended", SEEN_WITHIN, async || {
        let after = watched.scrape().await;
        let states = ["head", "asked", "answering", "upgraded"].map(at);
        states.iter().all(|series| after.is(series, before.get(series)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_are_counted_by_what_they_were_at() {
    let watched = Watched::start(&["--head-timeout-s", "1", "--idle-timeout-s", "2"]).await;
    let before = watched.scrape().await;
    let _silent = connect(&watched.app.base).await;
    let mut idle = connect(&watched.app.base).await;
    ask(&mut idle, HEALTHZ).await.unwrap();
    eventually("both are cut", Duration::from_secs(20), async || {
        let after = watched.scrape().await;
        // Those that the test's own client keeps are cut, too.
        after.is(&cut("head"), before.get(&cut("head")) + 1.0)
            && after.get(&cut("idle")) > before.get(&cut("idle"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_not_let_in_are_counted_by_the_limit() {
    for (flag, limit, status, code) in [
        ("--connections-max", "service", "503", "overloaded"),
        ("--connections-address-max", "address", "429", "rate_limited"),
    ] {
        let watched = Watched::start(&[flag, "3"]).await;
        let before = watched.scrape().await;
        let (mut held, mut refused) = (Vec::new(), 0.0);
        for _ in 0..6 {
            let mut stream = connect(&watched.app.base).await;
            let answer = ask(&mut stream, HEALTHZ).await.unwrap();
            if answer.starts_with(&format!("HTTP/1.1 {status}")) {
                refused += 1.0;
            }
            held.push(stream);
        }
        assert!(refused >= 3.0, "{refused} were refused");
        let after = watched.scrape().await;
        let series = |limit| format!("audit_connections_refused_total{{limit=\"{limit}\"}}");
        for name in ["service", "address"] {
            let expected = if name == limit { refused } else { 0.0 };
            let moved = after.get(&series(name)) - before.get(&series(name));
            assert!((moved - expected).abs() < 1e-9, "{name}: {moved}, not {expected}");
        }
        // Those that were told are requests that were refused.
        let told = format!("audit_http_refusals_total{{code=\"{code}\"}}");
        assert!(after.is(&told, before.get(&told) + refused), "{told}");
    }
}
