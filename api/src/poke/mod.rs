//! What `audit-log poke` finds out about all that a service depends on. It looks, and changes nothing.

mod aws;
mod check;
mod completeness;
mod function;
mod postgres;
mod queue;
mod search;
mod text;

use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use url::Url;

pub use self::check::{Check, Status};
pub use self::text::lines;
use crate::config::{PokeArgs, WrongSettings};
use crate::store::Store;

/// How long one check may take, beside what it was told to wait.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

const NO_DATABASE: &str = "AUDIT_DATABASE_URL is not set: a service does not start without";
const NO_QUEUE: &str = "AUDIT_QUEUE_URL is not set: nothing is sent, and nothing is indexed";
const NO_SEARCH: &str = "AUDIT_SEARCH_URL is not set: searches read the log";

/// Looks at everything, one after the other, so that none makes another one slow.
pub async fn look(args: &PokeArgs) -> anyhow::Result<Vec<Check>> {
    let index = args.search.index().await.context(WrongSettings)?;
    let queue_url = args.queue.url().context(WrongSettings)?;
    let (mut checks, store) = look_at_postgres(args).await?;
    checks.extend(Box::pin(look_at_queue(args, queue_url)).await);
    match &index {
        None => checks.push(Check::off(search::PART, NO_SEARCH)),
        Some(index) => {
            checks.push(bounded(search::PART, search::check(index, store.as_ref())).await);
        }
    }
    checks.push(match (&store, &index) {
        (Some(store), Some(index)) => {
            let wait = Duration::from_secs(args.wait_s);
            let counting = completeness::check(store, index, wait);
            bounded_by(completeness::PART, wait + CHECK_TIMEOUT, counting).await
        }
        (None, _) => Check::off(completeness::PART, NO_DATABASE),
        (_, None) => Check::off(completeness::PART, NO_SEARCH),
    });
    Ok(checks)
}

async fn look_at_postgres(args: &PokeArgs) -> anyhow::Result<(Vec<Check>, Option<Store>)> {
    if !args.database.is_set() {
        return Ok((vec![Check::broken(postgres::PART, NO_DATABASE)], None));
    }
    let urls = args.database.urls().context(WrongSettings)?;
    let store = Store::new(&urls, 1).context(WrongSettings)?;
    let check = bounded(postgres::PART, postgres::check(&urls, &store)).await;
    Ok((vec![check], Some(store)))
}

async fn look_at_queue(args: &PokeArgs, url: Option<&Url>) -> Vec<Check> {
    let Some(url) = url else {
        return vec![Check::off(queue::PART, NO_QUEUE)];
    };
    let config = aws::config().await;
    // Each of its calls is bounded.
    let (check, settings) = queue::check(&config, url).await;
    let mut checks = vec![check];
    if let Some(settings) = settings {
        checks.push(bounded(queue::DEAD_PART, queue::check_dead(&config, &settings)).await);
        let looking = function::check(&config, &settings, &args.search.search_prefix);
        checks.push(bounded(function::PART, looking).await);
    }
    checks
}

async fn bounded(part: &'static str, check: impl Future<Output = Check>) -> Check {
    bounded_by(part, CHECK_TIMEOUT, check).await
}

async fn bounded_by(
    part: &'static str,
    limit: Duration,
    check: impl Future<Output = Check>,
) -> Check {
    tokio::time::timeout(limit, check)
        .await
        .unwrap_or_else(|_| Check::broken(part, format!("no answer within {} s", limit.as_secs())))
}
