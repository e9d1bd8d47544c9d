//! All clients of a seed, and what they bring home. Who meets what nothing explains gives up, and
//! says so.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::asking::Door;
use super::cleaner::Cleaner;
use super::exporters::{Export, Exporter};
use super::ledger::Ledger;
use super::readers::{Reader, Walk};
use super::stage::{EXPIRING, Scene, TENANTS};
use super::streamers::{Course, Streamer};
use super::truth::Truth;
use super::writers::{Manner, Writer};
use crate::support::wishes::WISHES;

/// Clients that record.
const WRITERS: [Manner; 7] = [
    Manner::Single,
    Manner::Bulk,
    Manner::Partial,
    Manner::Retrier,
    Manner::Retrier,
    Manner::Retrier,
    Manner::Retrier,
];

/// Clients that walk lists and searches, that export, and that watch.
const LISTERS: usize = 2;
const SEARCHERS: usize = 2;
const EXPORTERS: usize = 2;
const STREAMERS: usize = 12;

/// What clients bring home.
#[derive(Debug, Default)]
pub(super) struct Haul {
    pub(super) walks: Vec<Walk>,
    pub(super) exports: Vec<Export>,
    pub(super) courses: Vec<Course>,
    /// Who gave up, and why.
    pub(super) given_up: Vec<String>,
}

enum Brought {
    Nothing,
    Walks(Vec<Walk>),
    Exports(Vec<Export>),
}

/// See the module.
pub(super) struct Crew {
    pub(super) ledger: Arc<Ledger>,
    pub(super) truth: Truth,
    stop: CancellationToken,
    working: JoinSet<Brought>,
    watching: JoinSet<Course>,
}

impl Crew {
    pub(super) fn start(scene: &Scene, rng: &mut SmallRng) -> Self {
        let mut crew = Self {
            ledger: Arc::default(),
            truth: Truth::default(),
            stop: CancellationToken::new(),
            working: JoinSet::new(),
            watching: JoinSet::new(),
        };
        crew.start_writers(scene, rng);
        crew.start_readers(scene, rng);
        for number in 0..STREAMERS {
            let streamer = crew.streamer(number, scene, rng);
            crew.watching.spawn(streamer.watch());
        }
        crew
    }

    fn start_writers(&mut self, scene: &Scene, rng: &mut SmallRng) {
        for (number, manner) in WRITERS.into_iter().enumerate() {
            let writer = Writer {
                name: format!("w{number}"),
                manner,
                door: Door::new(scene, number),
                ledger: Arc::clone(&self.ledger),
                rng: SmallRng::from_rng(rng),
                wishes: 0,
            };
            let stop = self.stop.clone();
            self.working.spawn(async move {
                writer.write(stop).await;
                Brought::Nothing
            });
        }
        let cleaner = Cleaner { door: Door::new(scene, 0), rng: SmallRng::from_rng(rng) };
        let stop = self.stop.clone();
        self.working.spawn(async move {
            cleaner.clean(stop).await;
            Brought::Nothing
        });
    }

    fn start_readers(&mut self, scene: &Scene, rng: &mut SmallRng) {
        for number in 0..LISTERS + SEARCHERS {
            let reader = Reader {
                searches: number >= LISTERS,
                door: Door::new(scene, number),
                ledger: Arc::clone(&self.ledger),
                rng: SmallRng::from_rng(rng),
            };
            let stop = self.stop.clone();
            self.working.spawn(async move { Brought::Walks(reader.read(stop).await) });
        }
        for number in 0..EXPORTERS {
            let exporter =
                Exporter { door: Door::new(scene, number), rng: SmallRng::from_rng(rng) };
            let stop = self.stop.clone();
            self.working.spawn(async move { Brought::Exports(exporter.export(stop).await) });
        }
    }

    fn streamer(&self, number: usize, scene: &Scene, rng: &mut SmallRng) -> Streamer {
        Streamer {
            // The one whose entries expire is watched by more than its share.
            tenant: if number.is_multiple_of(4) { EXPIRING } else { rng.random_range(0..TENANTS) },
            wish: if number.is_multiple_of(3) { 0 } else { rng.random_range(0..WISHES.len()) },
            events: number % 3 == 1,
            restless: rng.random_bool(0.5),
            from_start: number.is_multiple_of(4) || rng.random_bool(0.5),
            door: Door::new(scene, number),
            truth: self.truth.clone(),
            rng: SmallRng::from_rng(rng),
        }
    }

    /// Lets all but those who watch end what they are at.
    pub(super) async fn rest(&mut self, haul: &mut Haul) {
        self.stop.cancel();
        while let Some(ended) = self.working.join_next().await {
            match ended {
                Ok(Brought::Nothing) => {}
                Ok(Brought::Walks(walks)) => haul.walks.extend(walks),
                Ok(Brought::Exports(exports)) => haul.exports.extend(exports),
                Err(error) => haul.given_up.push(reason(error)),
            }
        }
    }

    /// Waits for those who watch, once the truth is told.
    pub(super) async fn come_home(&mut self, haul: &mut Haul) {
        while let Some(ended) = self.watching.join_next().await {
            match ended {
                Ok(course) => haul.courses.push(course),
                Err(error) => haul.given_up.push(reason(error)),
            }
        }
    }
}

/// What a client said when it gave up.
pub(super) fn reason(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "gave up without a word".to_owned())
}
