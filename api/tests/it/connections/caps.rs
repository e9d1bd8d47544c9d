//! How many connections there are, and how large a head may be.

use std::time::Duration;

use super::{HEALTHZ, ask, connect};
use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::eventually;
use crate::support::socket::Socket;

/// The answer to a request on a new connection.
async fn answer(base: &str) -> String {
    ask(&mut connect(base).await, HEALTHZ).await.unwrap_or_default()
}

async fn until_let_in(base: &str) {
    eventually("there is room again", Duration::from_secs(10), async || {
        answer(base).await.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_connections_as_allowed_and_the_next_is_told() {
    for (flags, status, code) in [
        (["--connections-max", "3"], "503", "overloaded"),
        (["--connections-address-max", "3"], "429", "rate_limited"),
    ] {
        let app = TestApp::start_with(TestDb::new().await, &flags).await;
        let tenant_id = app.tenant().await;
        until_let_in(&app.base).await;
        // Streams are connections, too, after their upgrade as well.
        let stream = Socket::open(&app.base, tenant_id, "").await;
        let mut held = [connect(&app.base).await, connect(&app.base).await];
        for stream in &mut held {
            assert!(ask(stream, HEALTHZ).await.unwrap().starts_with("HTTP/1.1 200"));
        }
        let refused = answer(&app.base).await;
        assert!(refused.starts_with(&format!("HTTP/1.1 {status}")), "{refused}");
        assert!(refused.contains("retry-after: 1"), "{refused}");
        assert!(refused.contains(&format!("\"code\":\"{code}\"")), "{refused}");
        assert!(refused.contains("x-request-id: "), "{refused}");
        let named = HEALTHZ.replace("\r\n\r\n", "\r\nx-request-id: req-of-mine\r\n\r\n");
        let refused = ask(&mut connect(&app.base).await, &named).await.unwrap();
        assert!(refused.starts_with(&format!("HTTP/1.1 {status}")), "{refused}");
        assert!(refused.contains("x-request-id: req-of-mine\r\n"), "{refused}");
        for stream in &mut held {
            assert!(ask(stream, HEALTHZ).await.unwrap().starts_with("HTTP/1.1 200"));
        }
        drop(stream);
        until_let_in(&app.base).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_a_size_and_a_number_of_headers() {
    let app = TestApp::shared().await;
    let with = |headers: String| format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    let many = |count: usize| with("x-filler: 1\r\n".repeat(count));
    let large = |bytes: usize| with(format!("x-filler: {}\r\n", "x".repeat(bytes)));
    for (request, status) in [
        (many(99), "200"),
        (many(100), "431"),
        (large(60 << 10), "200"),
        (large(64 << 10), "431"),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000)), "4"),
    ] {
        let answer = ask(&mut connect(&app.base).await, &request).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
}
