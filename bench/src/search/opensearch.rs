//! OpenSearch asked without the service: by the least HTTP that will do, on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::http::{Connection, Request};

/// Between two looks at how many documents there are.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A connection, and the prefix of the indices that it is about.
#[derive(Debug)]
pub(super) struct OpenSearch {
    pub(super) connection: Connection,
    prefix: String,
}

/// A request with a body in JSON, ready to be sent.
pub(super) fn request(method: &str, path: &str, body: &Value) -> Request {
    let body = body.to_string();
    Request::foreign(method, path, "Content-Type: application/json\r\n", body.as_bytes())
}

impl OpenSearch {
    pub(super) async fn connect(address: SocketAddr, prefix: &str) -> anyhow::Result<Self> {
        let connection = Connection::open(address).await.context("OpenSearch cannot be reached")?;
        Ok(Self { connection, prefix: prefix.to_owned() })
    }

    /// How many documents a search can find.
    pub(super) async fn count(&mut self) -> anyhow::Result<i64> {
        let request = request("GET", &format!("/{}/_count", self.prefix), &json!({}));
        // No index of that name yet, or it is just being made.
        if matches!(self.connection.exchange(&request).await?, 404 | 503) {
            return Ok(0);
        }
        let answer: Value = serde_json::from_slice(self.connection.body())?;
        let count = answer["count"].as_i64().filter(|_| answer["_shards"]["failed"] == 0);
        count.with_context(|| format!("not a whole count: {}", self.connection.shown()))
    }

    /// Waits until a search can find so many.
    pub(super) async fn until_counted(
        &mut self,
        documents: i64,
        within: Duration,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut told = begun;
        loop {
            let count = self.count().await?;
            if count == documents {
                return Ok(());
            }
            let seconds = begun.elapsed().as_secs();
            ensure!(count < documents, "{count} documents, more than {documents} entries");
            ensure!(begun.elapsed() < within, "after {seconds} s {count} of {documents} are there");
            if told.elapsed() > Duration::from_secs(10) {
                eprintln!("after {seconds} s {count} of {documents} documents");
                told = Instant::now();
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Which of these ids a search can find.
    pub(super) async fn find(&mut self, ids: &[String]) -> anyhow::Result<Vec<String>> {
        let body = json!({
            "size": ids.len(),
            "_source": false,
            "track_total_hits": false,
            "query": {"ids": {"values": ids}},
        });
        let request = request("POST", &format!("/{}/_search", self.prefix), &body);
        let mut answer: Value = serde_json::from_slice(self.connection.get(&request).await?)?;
        let hits = answer["hits"]["hits"].as_array_mut().context("a search without hits")?;
        let ids = hits.iter_mut().map(|hit| match hit["_id"].take() {
            Value::String(id) => Ok(id),
            _ => anyhow::bail!("a hit without an id"),
        });
        ids.collect()
    }

    /// How long a document may wait until a search can find it.
    pub(super) async fn refresh_interval(&mut self) -> anyhow::Result<Duration> {
        let path =
            format!("/{}/_settings/index.refresh_interval?include_defaults=true", self.prefix);
        let request = request("GET", &path, &json!({}));
        let answer: Value = serde_json::from_slice(self.connection.get(&request).await?)?;
        let index = answer.as_object().and_then(|all| all.values().next()).context("no index")?;
        let told = ["settings", "defaults"]
            .iter()
            .find_map(|kind| index[kind]["index"]["refresh_interval"].as_str());
        let told = told.context("an index without a refresh interval")?;
        duration(told).with_context(|| format!("not an interval: {told}"))
    }
}

/// `1s`, `500ms`, `1m`.
fn duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let number = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_mins(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn opensearchs_times_are_understood() {
        assert_eq!(duration("1s"), Some(Duration::from_secs(1)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("-1"), None);
    }
}
