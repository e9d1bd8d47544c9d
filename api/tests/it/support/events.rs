//! Server-sent events as a browser reads them.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::app::Caller;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One stream.
pub(crate) struct Events {
    pub(crate) headers: HeaderMap,
    answer: Response,
    text: String,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(caller: &Caller<'_>, query: &str) -> Self {
        let request = caller.request(Method::GET, &format!("/logs/stream{query}"));
        let answer = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        Self { headers, answer, text: String::new() }
    }

    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                return Some(parse(&event));
            }
            let chunk = timeout(PATIENCE, self.answer.chunk()).await.expect("something comes");
            let chunk = chunk.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("cut between events"));
        }
    }

    /// The next one, which is of this type.
    #[track_caller]
    pub(crate) fn expect(&mut self, kind: &str) -> impl Future<Output = Event> {
        let location = std::panic::Location::caller();
        async move {
            let event = self.next().await;
            let event = event.unwrap_or_else(|| panic!("{location}: the end, and no {kind}"));
            assert_eq!(event.kind, kind, "{location}: {event:?}");
            event
        }
    }
}

fn parse(text: &str) -> Event {
    let line = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let value = lines.next().unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!(lines.next().is_none(), "two of {name} in {text}");
        value.to_owned()
    };
    let data: Value = serde_json::from_str(&line("data: ")).unwrap();
    let event = Event { id: line("id: "), kind: line("event: "), data };
    assert_eq!(event.data["type"], event.kind);
    event
}
