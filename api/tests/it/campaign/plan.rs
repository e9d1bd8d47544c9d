//! What will be struck, when and for how long: all of it decided by the seed before anything begins.

use std::fmt;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;

use super::stage::REPLICAS;

/// How long nothing happens before a fault, in milliseconds.
const REST_MS: std::ops::Range<u64> = 200..1_800;

/// How long a fault lasts.
const LASTS_MS: std::ops::Range<u64> = 100..2_500;

/// How much of what it lasts is added before the next one: for what it takes to come back.
const RETURN: Duration = Duration::from_millis(500);

/// What comes back so slowly that it happens once in a plan, and not in each.
const OPENSEARCH_KILLED: f64 = 0.4;
const EMULATOR_KILLED: f64 = 0.7;

/// A way between two parts; all but the first are shared by the replicas.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link {
    /// From a replica to PostgreSQL.
    Database(usize),
    /// From the replicas to OpenSearch.
    Search,
    /// From the Lambda to OpenSearch.
    Index,
    /// From the replicas to SQS.
    Queue,
}

/// What is done to one of the parts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    KillReplica(usize),
    KillAllReplicas,
    /// SIGTERM: it ends in good order.
    StopReplica(usize),
    FreezeReplica(usize),
    /// As if the power failed; recovery from the log follows.
    CrashPostgres,
    KillEmulator,
    FreezeEmulator,
    KillOpenSearch,
    FreezeOpenSearch,
    KillLambda,
    FreezeLambda,
    /// All connections, once.
    Cut(Link),
    /// All connections, in the middle of what is answered.
    CutAnswer(Link),
    /// Nobody gets through.
    Close(Link),
    /// What is said is held back.
    Slow(Link),
    /// What is answered never arrives.
    Silence(Link),
}

/// One fault in its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// How long after the one before.
    pub(super) after: Duration,
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
    /// What else it needs to know: a number of bytes or of milliseconds.
    pub(super) dice: u16,
}

/// What hits the programs, the database and what is behind the log, at the same time.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) replicas: Vec<Step>,
    pub(super) database: Vec<Step>,
    pub(super) behind: Vec<Step>,
}

impl Plan {
    /// Faults for so long.
    pub(super) fn of(rng: &mut SmallRng, lasts: Duration) -> Self {
        use Fault::{
            CrashPostgres, Cut, CutAnswer, FreezeReplica, KillAllReplicas, KillReplica, Silence,
            Slow, StopReplica,
        };
        let any = |rng: &mut SmallRng| rng.random_range(0..REPLICAS);
        let replicas = lane(rng, lasts, |rng| {
            vec![
                KillReplica(any(rng)),
                StopReplica(any(rng)),
                FreezeReplica(any(rng)),
                KillAllReplicas,
            ]
        });
        let database = lane(rng, lasts, |rng| {
            vec![
                CrashPostgres,
                Cut(Link::Database(any(rng))),
                CutAnswer(Link::Database(any(rng))),
                CutAnswer(Link::Database(any(rng))),
                Slow(Link::Database(any(rng))),
                Silence(Link::Database(any(rng))),
            ]
        });
        let mut rare = vec![];
        rare.extend(rng.random_bool(OPENSEARCH_KILLED).then_some(Fault::KillOpenSearch));
        rare.extend(rng.random_bool(EMULATOR_KILLED).then_some(Fault::KillEmulator));
        let behind = lane(rng, lasts, |_| [common_behind(), std::mem::take(&mut rare)].concat());
        Self { replicas, database, behind }
    }
}

fn common_behind() -> Vec<Fault> {
    use Fault::{
        Close, CutAnswer, FreezeEmulator, FreezeLambda, FreezeOpenSearch, KillLambda, Slow,
    };
    vec![
        FreezeEmulator,
        FreezeOpenSearch,
        KillLambda,
        FreezeLambda,
        CutAnswer(Link::Index),
        CutAnswer(Link::Queue),
        CutAnswer(Link::Search),
        Close(Link::Index),
        Close(Link::Queue),
        Close(Link::Search),
        Slow(Link::Search),
        Slow(Link::Queue),
    ]
}

/// One deck after the other, each in an order of its own, until the time is full.
fn lane(
    rng: &mut SmallRng,
    lasts: Duration,
    mut deck: impl FnMut(&mut SmallRng) -> Vec<Fault>,
) -> Vec<Step> {
    let (mut steps, mut full) = (Vec::new(), Duration::ZERO);
    loop {
        let mut faults = deck(rng);
        faults.shuffle(rng);
        for fault in faults {
            let after = Duration::from_millis(rng.random_range(REST_MS));
            let step = Step { after, fault, lasts: some(rng, LASTS_MS), dice: rng.random() };
            full += step.after + step.lasts + RETURN;
            if full > lasts {
                return steps;
            }
            steps.push(step);
        }
    }
}

pub(super) fn some(rng: &mut SmallRng, ms: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(ms))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes =
            [("replicas", &self.replicas), ("database", &self.database), ("behind", &self.behind)];
        for (name, steps) in lanes {
            let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
            writeln!(f, "  {name}: {}", steps.join("; "))?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, lasts) = (self.after.as_secs_f32(), self.lasts.as_secs_f32());
        write!(f, "+{after:.1} {:?} {lasts:.1}", self.fault)
    }
}
