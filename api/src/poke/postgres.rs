//! PostgreSQL: who answers, and whether what the service will insist on is so.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::Connection as _;
use tokio::time::Instant;

use super::check::Check;
use crate::config::DatabaseUrls;
use crate::store::migrations::Profile;
use crate::store::{Store, log_in, partitions, preflight, probing};

pub(super) const PART: &str = "postgres";

/// With a clock farther off than this, writes are refused.
const CLOCK_OFF_MAX_S: f64 = 300.0;

/// Below this, a clock is right.
const CLOCK_OFF_NOTED_S: f64 = 1.0;

/// Looks at the database behind a store.
pub(super) async fn check(urls: &DatabaseUrls, store: &Store) -> Check {
    let mut check = Check::new(PART);
    if let Err(error) = look(&mut check, urls, store).await {
        check.fault(format!("{error:#}"));
    }
    check
}

async fn look(check: &mut Check, urls: &DatabaseUrls, store: &Store) -> anyhow::Result<()> {
    let mut login = log_in(&urls.worker).await?;
    let asked_at = Instant::now();
    let server = probing::server(&mut login).await?;
    check.took(asked_at.elapsed());
    check.fact(format!("PostgreSQL {}", server.version));
    judge_clock(check, server.clock_s);
    judge_schema(check, probing::schema(&mut login).await?);
    login.close().await?;

    let found = preflight::inspect(urls, store).await?;
    judge_profile(check, found.profile, server.timescale.as_deref());
    if found.unsafe_settings.is_empty() {
        check.fact("commits are durable");
    } else {
        let settings = found.unsafe_settings.join(", ");
        check.fault(format!("it may lose what it has committed ({settings})"));
    }
    if !partitions::reach(&store.worker, found.profile).await? {
        check.fault("partitions for fewer than two days are left: the service's upkeep makes them");
    }
    Ok(())
}

fn judge_clock(check: &mut Check, clock_s: f64) {
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let off = (ours - clock_s).abs();
    if off > CLOCK_OFF_MAX_S {
        check.fault(format!(
            "its clock and this machine's are {off:.0} s apart: writes are refused"
        ));
    } else if off > CLOCK_OFF_NOTED_S {
        check.warn(format!("its clock and this machine's are {off:.1} s apart"));
    }
}

fn judge_schema(check: &mut Check, schema: Option<(usize, usize)>) {
    match schema {
        Some((applied, total)) if applied < total => {
            check.fault(format!("{applied} of {total} migrations: run audit-log migrate"));
        }
        Some((applied, total)) if applied > total => {
            check.warn(format!("{applied} migrations: the schema is newer than this program"));
        }
        Some((applied, _)) => check.fact(format!("{applied} migrations")),
        None => check.fact("migrations not visible to this login"),
    }
}

fn judge_profile(check: &mut Check, profile: Profile, timescale: Option<&str>) {
    check.fact(match (profile, timescale) {
        (Profile::Native, _) => "profile native".to_owned(),
        (Profile::Timescale, Some(version)) => format!("profile timescale, TimescaleDB {version}"),
        (Profile::Timescale, None) => "profile timescale".to_owned(),
    });
    if profile == Profile::Timescale && timescale.is_none() {
        check.fault("the extension timescaledb is not in this database");
    }
}
