//! Somebody holds the end of a log and does not move: the other tenants go on.

use std::time::{Duration, Instant};

use domain::TenantId;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sqlx::{Connection as _, PgConnection};

use super::ledger::Told;
use super::{OTHERS_GO_ON, RECOVERY, Stage, for_seeds, turn};
use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::process::{Frozen, Pid};

/// How long a foreign session holds a head.
const HELD_FOR: Duration = Duration::from_secs(8);

/// How long a backend stands still.
const STOPPED_FOR: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_session_that_holds_a_head_stops_that_tenant_alone() {
    let _turn = turn().await;
    let stage = Stage::on_shared(3).await;
    for_seeds("frozen foreign session", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(6).await;
        let held = *tenants.choose(&mut rng).unwrap();
        let others: Vec<_> = tenants.iter().copied().filter(|one| *one != held).collect();
        let load = stage.load(seed, &tenants).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;

        let mut foreign = stage.admin().await;
        let mut holding = foreign.begin().await.unwrap();
        hold(&mut holding, held).await;
        let from = Instant::now();
        tokio::time::sleep(HELD_FOR).await;
        let to = Instant::now();
        assert!(load.count("log_busy", |of| of == held, from) > 0, "nobody was told");
        // What was committed before is answered a moment later.
        let answered = from + Duration::from_secs(1);
        assert_eq!(load.count(Told::CREATED, |of| of == held, answered), 0, "a held head moved");
        holding.rollback().await.unwrap();

        eventually("the held tenant is served again", RECOVERY, async || {
            load.count(Told::CREATED, |of| of == held, to) > 0
        })
        .await;
        go_on(&stage, load, &others, from, to).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_stopped_with_heads_in_its_hands_stops_those_tenants_alone() {
    let _turn = turn().await;
    let cluster = Cluster::start();
    let stage = Stage::on_cluster(&cluster, 3).await;
    for_seeds("stopped backend", async |seed| {
        let mut rng = SmallRng::seed_from_u64(seed);
        let tenants = stage.tenants(8).await;
        let load = stage.load(seed, &tenants).await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;

        let mut admin = stage.admin().await;
        let in_append = rng.random_bool(0.7);
        let stopped = if in_append {
            stop_in_append(&stage, &mut admin, &tenants, &mut rng).await
        } else {
            stop_idle(&mut admin).await
        };
        let from = Instant::now();
        let others = free_heads(&mut admin, &tenants).await;
        eprintln!("  stopped in append: {in_append}; {} heads held", tenants.len() - others.len());
        assert!(!others.is_empty(), "seed {seed}: all heads are held, nothing is left to show");
        tokio::time::sleep(STOPPED_FOR).await;
        let to = Instant::now();
        drop(stopped);

        eventually("all tenants are served again", RECOVERY, async || {
            tenants.iter().all(|one| load.count(Told::CREATED, |of| of == *one, to) > 0)
        })
        .await;
        go_on(&stage, load, &others, from, to).await;
    })
    .await;
}

/// Ends the load: none of these tenants may have been left without a 201 for long.
async fn go_on(stage: &Stage, load: super::Load, others: &[TenantId], from: Instant, to: Instant) {
    let ledger = load.finish().await;
    let mut admin = stage.admin().await;
    ledger.verify(&mut admin).await;
    let busy = ledger.count("log_busy", |one| others.contains(&one), from);
    eprintln!("  {busy} times another tenant was told that its log is busy");
    let silences = others.iter().map(|one| ledger.longest_silence(*one, from, to));
    let longest = silences.max().unwrap_or_default();
    eprintln!("  the longest that another tenant waited: {:.2} s", longest.as_secs_f32());
    assert!(longest < OTHERS_GO_ON, "seed {}: another tenant waited {longest:?}", ledger.seed);
}

pub(super) async fn hold(session: &mut PgConnection, tenant_id: TenantId) {
    sqlx::query("select seq from log_head where tenant_id = $1 for update")
        .bind(tenant_id.as_uuid())
        .execute(session)
        .await
        .unwrap();
}

/// Stops a backend of a writer while it waits for one head with others, perhaps, in its hands.
///
/// Not anywhere in `append`: a process that stands still inside of PostgreSQL's own short locks
/// stops the whole server, whoever uses it.
async fn stop_in_append(
    stage: &Stage,
    admin: &mut PgConnection,
    tenants: &[TenantId],
    rng: &mut SmallRng,
) -> Frozen {
    let mut foreign = stage.admin().await;
    let mut holding = foreign.begin().await.unwrap();
    hold(&mut holding, *tenants.choose(rng).unwrap()).await;
    let stopped = stop(admin, "state = 'active' and wait_event_type = 'Lock'").await;
    holding.rollback().await.unwrap();
    stopped
}

async fn stop_idle(admin: &mut PgConnection) -> Frozen {
    stop(admin, "state = 'idle' and wait_event = 'ClientRead'").await
}

/// Stops a backend of a writer that is, and after it stands still was, in this state.
async fn stop(admin: &mut PgConnection, state: &'static str) -> Frozen {
    let backend = format!(
        "select pid
         from pg_stat_activity
         where datname = current_database() and application_name = 'audit-log'
             and query like '%append(%' and {state}
         order by random()
         limit 1"
    );
    let deadline = Instant::now() + RECOVERY;
    while Instant::now() < deadline {
        if let Some(pid) = pid(admin, &backend).await {
            let frozen = Frozen::new(pid);
            if pid_again(admin, &backend, pid).await {
                return frozen;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("no backend of a writer is in the state: {state}");
}

async fn pid(admin: &mut PgConnection, query: &str) -> Option<Pid> {
    let query = sqlx::AssertSqlSafe(query.to_owned());
    let found: Option<i32> = sqlx::query_scalar(query).fetch_optional(admin).await.unwrap();
    found.map(|pid| Pid(u32::try_from(pid).unwrap()))
}

async fn pid_again(admin: &mut PgConnection, query: &str, pid: Pid) -> bool {
    let query = query.replace("order by random()", &format!("and pid = {}", pid.0));
    self::pid(admin, &query).await.is_some()
}

/// The tenants whose head can be had: those of a load are busy for moments only.
async fn free_heads(admin: &mut PgConnection, tenants: &[TenantId]) -> Vec<TenantId> {
    let mut free: Vec<TenantId> = Vec::new();
    for _ in 0..50 {
        for tenant_id in tenants {
            let mut transaction = admin.begin().await.unwrap();
            let had: Option<i64> = sqlx::query_scalar(
                "select seq from log_head where tenant_id = $1 for update skip locked",
            )
            .bind(tenant_id.as_uuid())
            .fetch_optional(&mut *transaction)
            .await
            .unwrap();
            transaction.rollback().await.unwrap();
            if had.is_some() && !free.contains(tenant_id) {
                free.push(*tenant_id);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    free
}
