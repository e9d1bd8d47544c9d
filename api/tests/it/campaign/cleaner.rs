//! The admin of the tenant whose entries expire: again and again a few days more, in two steps.

use rand::rngs::SmallRng;
use reqwest::Method;
use time::OffsetDateTime;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::asking::{Asked, Door, Outcome};
use super::plan::some;
use super::stage::{ANSWER_TIMEOUT, EXPIRING};

/// Up to how many days ago entries go, one step after the other.
const DAYS_AGO: [i64; 6] = [24, 21, 18, 15, 12, 9];

const REST_MS: std::ops::Range<u64> = 500..2_500;

/// See the module.
pub(super) struct Cleaner {
    pub(super) door: Door,
    pub(super) rng: SmallRng,
}

impl Cleaner {
    pub(super) async fn clean(mut self, stop: CancellationToken) {
        for ago in DAYS_AGO {
            let rest = sleep(some(&mut self.rng, REST_MS));
            if stop.run_until_cancelled(rest).await.is_none() {
                return;
            }
            self.clean_up(ago).await;
        }
    }

    /// Whether it comes to pass or not: the log is to be right in either case.
    async fn clean_up(&mut self, ago: i64) {
        let day = (OffsetDateTime::now_utc() - time::Duration::days(ago)).date();
        let path = format!("/logs/cleanup?older_than={day}T00:00:00Z");
        let Some(announced) = self.ask(&format!("{path}&dry_run=true")).await else { return };
        let token = announced["confirm"].as_str().unwrap_or_default();
        self.ask(&format!("{path}&confirm={token}")).await;
    }

    async fn ask(&mut self, path: &str) -> Option<serde_json::Value> {
        let asked = Asked { role: "admin", method: Method::DELETE, ..Asked::get(EXPIRING, path) };
        match self.door.ask(&asked, ANSWER_TIMEOUT).await {
            Outcome::Answered(answer) => {
                // Retention may have been quicker, so that nothing or another range is left.
                let as_it_may = matches!(answer.status.as_u16(), 200 | 409);
                assert!(as_it_may, "{path}: no fault explains {answer:?}");
                (answer.status == 200).then_some(answer.body)
            }
            Outcome::Later(_) | Outcome::Nothing => None,
        }
    }
}
