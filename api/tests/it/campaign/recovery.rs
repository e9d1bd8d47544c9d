//! How soon after the last fault all is as if there had been none.

use std::fmt;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;

use super::asking::{Asked, Door, Outcome};
use super::ledger::Ledger;
use super::stage::{ANSWER_TIMEOUT, REPLICAS, Stage, TENANTS, borrowed};
use super::writers;
use crate::support::command;

/// How long it is waited, so that what comes too late is told from what never comes.
const WAITED: Duration = Duration::from_mins(3);

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Counted from the end of the last fault.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Recovery {
    /// Each replica records and lists for each tenant.
    pub(super) served: Duration,
    /// Whoever sent again had an answer, and all that was begun has ended.
    pub(super) answered: Duration,
    /// The last entry that somebody watched for has come.
    pub(super) watched: Duration,
    /// The index holds the logs: by `verify-index`, and searches at each replica come from it.
    pub(super) indexed: Duration,
}

impl Recovery {
    pub(super) fn all(&self) -> Duration {
        self.served.max(self.answered).max(self.watched).max(self.indexed)
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { served, answered, watched, indexed } = self;
        let [served, answered, watched, indexed] =
            [served, answered, watched, indexed].map(Duration::as_secs_f32);
        write!(
            f,
            "served {served:.1} s, answered {answered:.1} s, watched {watched:.1} s, indexed {indexed:.1} s"
        )
    }
}

/// Records for each tenant at each replica, and lists it, until that is so.
pub(super) async fn served(stage: &Stage, ledger: &Ledger, ended: Instant) -> Duration {
    let door = Door::new(&stage.scene, 0);
    for replica in 0..REPLICAS {
        let base = &stage.scene.bases[replica];
        for tenant in 0..TENANTS {
            let canary = &door.tenant(tenant).canary;
            let key = format!("probe-{replica}-{tenant}");
            let marker = format!("{canary}-{key}");
            ledger.book().sent.insert(marker.clone());
            let draft = writers::draft(&marker, canary, false, 0);
            let (path, method) = ("/logs", Method::POST);
            let (key, body) = (Some(&*key), Some(&draft));
            let asked = Asked { tenant, role: "user", method, path, key, body };
            let made = until(&door, base, &asked, 201, ended).await;
            ledger.acknowledge(tenant, &made["id"], &marker);
            ledger.reached(tenant, &made["seq"]);
            let listed = Asked::get(tenant, "/logs?limit=1");
            let listed = until(&door, base, &listed, 200, ended).await;
            assert!(listed["head_seq"].as_i64() >= made["seq"].as_i64(), "an old list: {listed}");
        }
    }
    ended.elapsed()
}

async fn until(door: &Door, base: &str, asked: &Asked<'_>, status: u16, ended: Instant) -> Value {
    loop {
        if let Outcome::Answered(answer) = door.ask_at(base, asked, ANSWER_TIMEOUT).await {
            assert_eq!(answer.status, status, "{answer:?}");
            return answer.body;
        }
        assert!(ended.elapsed() < WAITED, "{base} does not serve tenant {} again", asked.tenant);
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the index is the log, as far as the service can tell.
pub(super) async fn indexed(stage: &Stage, ended: Instant) -> Result<Duration, String> {
    loop {
        let problem = match lagging(stage).await {
            Some(problem) => problem,
            None => match differing(stage).await {
                None => return Ok(ended.elapsed()),
                Some(problem) => problem,
            },
        };
        if ended.elapsed() > WAITED {
            return Err(problem);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A search that does not come from a complete index.
async fn lagging(stage: &Stage) -> Option<String> {
    let door = Door::new(&stage.scene, 0);
    for base in stage.scene.bases.iter() {
        for tenant in 0..TENANTS {
            let asked = Asked::get(tenant, "/logs/search?limit=1");
            let outcome = door.ask_at(base, &asked, ANSWER_TIMEOUT).await;
            let Outcome::Answered(answer) = outcome else {
                return Some(format!("no search at {base}: {outcome:?}"));
            };
            let (source, index) = (&answer.body["source"], &answer.body["index"]);
            if source != "opensearch" || index["complete"] != true {
                return Some(format!("tenant {tenant} at {base}: {source}, {index}"));
            }
        }
    }
    None
}

/// What `verify-index` finds, to which nothing is on its way any more.
async fn differing(stage: &Stage) -> Option<String> {
    let env = stage.env();
    let ended = command::run(&["verify-index", "--settling-s", "0"], &borrowed(&env)).await;
    (ended.code != Some(0)).then(|| format!("{} {}", ended.stdout, ended.stderr))
}
