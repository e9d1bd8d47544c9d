//! The plan carried out on the real parts; when it is over all of them run and all ways are open.

use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::plan::{Fault, Link, Plan, Step};
use super::stage::{Links, Stage};
use crate::support::deployed::Deployed;
use crate::support::parts::Parts;
use crate::support::process::{Frozen, Pid};
use crate::support::proxy::{Proxy, Way};
use crate::support::service::Service;

/// Bytes of answers that pass before a way is cut in the middle of one.
const BYTES_MAX: u16 = 6_000;

/// How long each piece is held back, at most.
const SLOW_MS_MAX: u16 = 120;

/// How long a replica that was asked to end may take.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// When a fault began, counted from the first moment, and how long it took with the return.
#[derive(Debug)]
pub(super) struct Struck {
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) fault: Fault,
}

/// Carries it out.
pub(super) async fn strike(plan: &Plan, stage: &mut Stage, parts: &Parts) -> Vec<Struck> {
    let begun = Instant::now();
    let Stage { services, cluster, links, deployed, .. } = stage;
    let replicas = async {
        let mut struck = Vec::new();
        for step in &plan.replicas {
            let strike = strike_replicas(step, services);
            struck.push(timed(begun, step, strike).await);
        }
        struck
    };
    let database = async {
        let mut struck = Vec::new();
        for step in &plan.database {
            let strike = async {
                if !matches!(step.fault, Fault::CrashPostgres) {
                    return strike_link(step, links).await;
                }
                block_in_place(|| cluster.crash());
                sleep(step.lasts).await;
                block_in_place(|| cluster.start_again());
            };
            struck.push(timed(begun, step, strike).await);
        }
        struck
    };
    let behind = async {
        let mut struck = Vec::new();
        for step in &plan.behind {
            let strike = strike_behind(step, parts, deployed, links);
            struck.push(timed(begun, step, strike).await);
        }
        struck
    };
    let (replicas, database, behind) = tokio::join!(replicas, database, behind);
    let mut struck: Vec<_> = replicas.into_iter().chain(database).chain(behind).collect();
    struck.sort_by_key(|struck| struck.at);
    struck
}

async fn timed(begun: Instant, step: &Step, strike: impl Future<Output = ()>) -> Struck {
    sleep(step.after).await;
    let at = begun.elapsed();
    strike.await;
    Struck { at, took: begun.elapsed().saturating_sub(at), fault: step.fault }
}

async fn strike_replicas(step: &Step, services: &mut [Service]) {
    match step.fault {
        Fault::FreezeReplica(replica) => {
            let _frozen = Frozen::new(services[replica].pid());
            sleep(step.lasts).await;
        }
        Fault::StopReplica(replica) => {
            let service = &mut services[replica];
            service.pid().terminate();
            let begun = Instant::now();
            let ended = service.ended().await;
            assert!(begun.elapsed() < STOPPED_WITHIN && ended.success(), "a stop ended: {ended}");
            sleep(step.lasts).await;
            service.bring_back().await;
        }
        Fault::KillReplica(replica) => {
            kill(&mut services[replica..=replica], step.lasts).await;
        }
        _ => kill(services, step.lasts).await,
    }
}

async fn kill(services: &mut [Service], away: Duration) {
    services.iter_mut().for_each(Service::kill);
    sleep(away).await;
    for service in services {
        service.bring_back().await;
    }
}

async fn strike_behind(step: &Step, parts: &Parts, deployed: &Deployed, links: &Links) {
    match step.fault {
        Fault::KillEmulator => {
            parts.emulator.pid().await.end().await;
            sleep(step.lasts).await;
            parts.emulator.start_again().await;
            super::stage::make_way(deployed).await;
        }
        Fault::FreezeEmulator => {
            let _frozen = Frozen::new(parts.emulator.pid().await);
            sleep(step.lasts).await;
        }
        Fault::KillOpenSearch => {
            parts.opensearch.pid().await.end().await;
            sleep(step.lasts).await;
            parts.opensearch.start_again().await;
        }
        Fault::FreezeOpenSearch => {
            let _frozen = Frozen::new(parts.opensearch.pid().await);
            sleep(step.lasts).await;
        }
        Fault::KillLambda => parts.emulator.workers().into_iter().for_each(Pid::kill_if_there),
        Fault::FreezeLambda => {
            let workers = parts.emulator.workers().into_iter();
            let _frozen: Vec<_> = workers.map(Frozen::if_there).collect();
            sleep(step.lasts).await;
        }
        _ => strike_link(step, links).await,
    }
}

async fn strike_link(step: &Step, links: &Links) {
    match step.fault {
        Fault::Cut(link) => proxy(links, link).cut(),
        Fault::CutAnswer(link) => {
            let bytes = step.dice % BYTES_MAX;
            proxy(links, link).cut_after(Way::ToService, bytes.into());
            sleep(step.lasts).await;
            proxy(links, link).mend();
        }
        Fault::Close(link) => {
            proxy(links, link).close();
            sleep(step.lasts).await;
            proxy(links, link).mend();
        }
        Fault::Slow(link) => {
            proxy(links, link).slow(Duration::from_millis((1 + step.dice % SLOW_MS_MAX).into()));
            sleep(step.lasts).await;
            proxy(links, link).mend();
        }
        Fault::Silence(link) => {
            let silence = proxy(links, link).silence();
            sleep(step.lasts).await;
            silence.end();
        }
        other => unreachable!("{other:?} is not of a link"),
    }
}

fn proxy(links: &Links, link: Link) -> &Proxy {
    match link {
        Link::Database(replica) => &links.database[replica],
        Link::Search => &links.search,
        Link::Index => &links.index,
        Link::Queue => &links.queue,
    }
}
