//! The fault campaign: everybody uses the whole shape at once while each part of it is killed,
//! paused, cut off and slowed; then sets are compared.
//!
//! A seed decides who does what and the plan of the faults. When exactly something meets something
//! else is decided by the real parts: a seed that found a fault finds it again soon, not always.
//! `make test` runs seeds for a bounded time, `make campaign SEEDS=200` as many as it is told and
//! writes a report; `AUDIT_TEST_SEED` repeats one. `docs/campaign.md` says more.

mod asking;
mod cleaner;
mod crew;
mod exporters;
mod faults;
mod ledger;
mod plan;
mod readers;
mod recovery;
mod report;
mod stage;
mod streamers;
mod truth;
mod verdict;
mod writers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::time::sleep;

use self::crew::{Crew, Haul};
use self::plan::Plan;
use self::recovery::Recovery;
use self::report::{Outcome, Report};
use self::stage::Stage;
use self::truth::Log;
use crate::support::parts::Parts;
use crate::support::seeds;

/// Seeds in a soak.
const SEEDS: usize = 20;

/// After so long no further seed is begun, outside of a soak.
const TIME_FOR_SEEDS: Duration = Duration::from_secs(1);

/// How long all goes well before the first fault, and how long there are faults.
const PEACE: Duration = Duration::from_millis(800);
const FAULTS_LAST: Duration = Duration::from_secs(7);
const FAULTS_LAST_SOAK: Duration = Duration::from_secs(20);

/// How soon after the last fault all must be as if there had been none. Beside other tests, which
/// want the machine as well, it is waited longer.
const RECOVERED_WITHIN: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_promised_is_lost_repeated_or_told_to_others_whatever_breaks() {
    let parts = Arc::new(Parts::start().await);
    let mut report = Report::default();
    let wanted = seeds::wanted(SEEDS);
    seeds::for_seeds("fault campaign", wanted, TIME_FOR_SEEDS, async |seed| {
        if !report.is_empty() {
            parts.clear().await;
        }
        // In a task of its own: one that breaks down is a finding, and not the end.
        let run = tokio::spawn(run(seed, Arc::clone(&parts)));
        let outcome = run.await.unwrap_or_else(|error| broken_down(seed, &crew::reason(error)));
        eprintln!("  {}", outcome.line());
        outcome.violations.iter().for_each(|violation| eprintln!("  VIOLATION {violation}"));
        report.add(outcome);
    })
    .await;
    let violations = report.violations();
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_seed_decides_the_whole_plan() {
    let plan = |seed| Plan::of(&mut SmallRng::seed_from_u64(seed), FAULTS_LAST).to_string();
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
}

fn broken_down(seed: u64, why: &str) -> Outcome {
    Outcome { seed, violations: vec![format!("the run broke down: {why}")], ..Outcome::default() }
}

/// One seed, from an empty database to the verdict.
async fn run(seed: u64, parts: Arc<Parts>) -> Outcome {
    let (mut rng, begun) = (SmallRng::seed_from_u64(seed), Instant::now());
    let lasts = if seeds::soak() { FAULTS_LAST_SOAK } else { FAULTS_LAST };
    let plan = Plan::of(&mut rng, lasts);
    eprint!("{plan}");
    let mut stage = Stage::set(&parts, &mut rng).await;
    let mut crew = Crew::start(&stage.scene, &mut rng);
    sleep(PEACE).await;
    eprintln!("  the first fault after {:.1} s", begun.elapsed().as_secs_f32());
    let struck = faults::strike(&plan, &mut stage, &parts).await;
    let ended = Instant::now();
    eprintln!("  the last one over after {:.1} s", begun.elapsed().as_secs_f32());
    let mut haul = Haul::default();
    let (recovery, mut violations) = recover(&stage, &mut crew, &mut haul, ended).await;
    eprintln!("  recovered after {:.1} s", begun.elapsed().as_secs_f32());
    violations.extend(judge(&stage, &crew, &haul).await);
    eprintln!("  judged after {:.1} s", begun.elapsed().as_secs_f32());
    if !violations.is_empty() {
        report::keep_logs(seed, &stage.services);
    }
    let counts = counts(&crew, &haul);
    stage.deployed.delete_indices().await;
    let (plan, recovery) = (plan.to_string(), Some(recovery));
    Outcome { seed, plan, struck, counts, recovery, violations }
}

/// Waits until all has caught up, and brings everybody home.
async fn recover(
    stage: &Stage,
    crew: &mut Crew,
    haul: &mut Haul,
    ended: Instant,
) -> (Recovery, Vec<String>) {
    let ledger = Arc::clone(&crew.ledger);
    let (served, answered) = tokio::join!(recovery::served(stage, &ledger, ended), async {
        crew.rest(haul).await;
        ended.elapsed()
    });
    crew.truth.tell(read_logs(stage).await);
    let (indexed, ()) = tokio::join!(recovery::indexed(stage, ended), crew.come_home(haul));
    let moved = haul.courses.iter().filter_map(|course| course.moved_at).max();
    let watched = moved.map_or(Duration::ZERO, |at| at.into_std().saturating_duration_since(ended));
    let mut violations = Vec::new();
    let indexed = indexed.unwrap_or_else(|problem| {
        violations.push(format!("the index never becomes the log: {problem}"));
        ended.elapsed()
    });
    let recovery = Recovery { served, answered, watched, indexed };
    if seeds::soak() && recovery.all() > RECOVERED_WITHIN {
        violations.push(format!("too late: {recovery}"));
    }
    (recovery, violations)
}

async fn read_logs(stage: &Stage) -> Vec<Log> {
    let mut admin = stage.cluster.admin().await;
    let mut logs = Vec::new();
    for tenant in stage.scene.tenants.iter() {
        logs.push(Log::read(&mut admin, tenant.id, &tenant.past).await);
    }
    logs
}

/// Compares all sets; then asks the service itself.
async fn judge(stage: &Stage, crew: &Crew, haul: &Haul) -> Vec<String> {
    // Once more: the service notes what it does itself.
    let logs = read_logs(stage).await;
    let mut violations = verdict::judge(stage, &crew.ledger, &logs, haul).await;
    let (scene, ledger) = (stage.scene.clone(), Arc::clone(&crew.ledger));
    let asking = tokio::spawn(async move { verdict::question(&scene, &ledger, &logs).await });
    violations.extend(asking.await.err().map(crew::reason));
    violations
}

fn counts(crew: &Crew, haul: &Haul) -> [usize; 4] {
    [
        crew.ledger.book().acknowledged.len(),
        haul.walks.iter().map(readers::Walk::len).sum(),
        haul.exports.iter().map(exporters::Export::len).sum(),
        haul.courses.iter().map(streamers::Course::len).sum(),
    ]
}
