//! An export that is cut, at every byte there is: it is seen, it goes on where it broke, and it ends
//! as if nothing had happened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::client::export::{Export, Facts, NotWhole, Note, Order, Output, Range};
use api::client::service::Service;
use api::config::{Cli, Command, ExportFormat};
use clap::Parser as _;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::exporter::Exporter;

const FORMATS: [ExportFormat; 3] = [ExportFormat::Ndjson, ExportFormat::Json, ExportFormat::Csv];

/// Exports that run beside each other.
const AT_ONCE: usize = 128;

fn service(url: &str) -> Service {
    let cli = Cli::try_parse_from(["audit-log", "export", "--url", url]).unwrap();
    let Command::Export(args) = cli.command else { unreachable!("it says export") };
    Service::new(&args.service).unwrap()
}

fn order(format: ExportFormat, case: &str, filtered: bool) -> Order {
    let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let query = vec![parameter("format", format.as_str()), parameter("case", case)];
    Order { format, query, filtered, max_entries: None, patience: Duration::from_secs(20) }
}

async fn run(service: &Service, order: &Order, path: &Path) -> anyhow::Result<Facts> {
    let output = Output::open(Some(path), false)?;
    Export::begin(service, order, output)?.run().await
}

/// One place to cut one export, and what comes after.
#[derive(Debug, Clone, Copy)]
struct Cut {
    format: ExportFormat,
    at: usize,
    clean: bool,
    gone: bool,
    filtered: bool,
}

impl Cut {
    fn order(&self) -> Order {
        let how = if self.clean { "clean" } else { "broken" };
        let then = if self.gone { "gone" } else { "on" };
        order(self.format, &format!("cut={}&how={how}&then={then}", self.at), self.filtered)
    }

    /// Whether what came before the cut is all there is, and proven or plain to see.
    fn leaves_all(&self, uncut: &[u8]) -> bool {
        let frame = match self.format {
            ExportFormat::Ndjson => {
                uncut[..uncut.len() - 1].iter().rev().take_while(|b| **b != b'\n').count() + 1
            }
            ExportFormat::Json => "\n]\n".len(),
            ExportFormat::Csv => 0,
        };
        let missing = uncut.len() - self.at;
        match (self.filtered, self.format) {
            (false, _) => missing <= frame,
            (true, ExportFormat::Ndjson) => missing == 0,
            (true, ExportFormat::Json) => self.clean && missing <= 1,
            (true, ExportFormat::Csv) => self.clean && missing == 0,
        }
    }
}

fn cuts(filtered: bool, exporter: &Exporter) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for format in FORMATS {
        for at in 0..=exporter.export(format.as_str()).len() {
            for (clean, gone) in [(false, false), (false, true), (true, false), (true, true)] {
                cuts.push(Cut { format, at, clean, gone, filtered });
            }
        }
    }
    cuts
}

/// The promise, at one place.
async fn assert_seen(service: &Service, cut: Cut, uncut: &[u8], folder: &Path) {
    let path = folder.join(format!("{cut:?}"));
    let ended = run(service, &cut.order(), &path).await;
    if cut.leaves_all(uncut) || !cut.gone {
        let facts = ended.unwrap_or_else(|error| panic!("{cut:?}: {error:#}"));
        assert_eq!(facts.rows, 3, "{cut:?}");
        let written = std::fs::read(&path).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(uncut), "{cut:?}");
    } else {
        let error =
            ended.map(|facts| panic!("{cut:?} was taken for whole: {facts:?}")).unwrap_err();
        assert!(error.is::<NotWhole>() && format!("{error:#}").contains("planted"), "{error:#}");
        assert!(!path.exists(), "{cut:?}");
    }
    assert_eq!(folder.join(format!("{cut:?}.part")).exists(), !path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_at_any_byte_is_seen_and_gone_on_from_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (filtered, exporter) in
        [(false, Exporter::gapless().await), (true, Exporter::filtered().await)]
    {
        let service = Arc::new(service(&exporter.url));
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for cut in cuts(filtered, &exporter) {
            let (service, turns) = (service.clone(), turns.clone());
            let uncut = exporter.export(cut.format.as_str());
            let folder = folder.path().join(filtered.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            running.spawn(async move {
                let _turn = turns.acquire().await.unwrap();
                assert_seen(&service, cut, &uncut, &folder).await;
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_kill_left_at_any_byte_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = Exporter::gapless().await;
    let service = service(&exporter.url);
    for format in FORMATS {
        let uncut = exporter.export(format.as_str());
        let order = order(format, "", false);
        let note = Note {
            query: order.query.clone(),
            range: Range { first_seq: Some(1), last_seq: Some(3) },
        };
        for len in 0..=uncut.len() {
            let path = folder.path().join(format!("{len}.{}", format.as_str()));
            let part = PathBuf::from(format!("{}.part", path.display()));
            std::fs::write(&part, &uncut[..len]).unwrap();
            std::fs::write(format!("{}.json", part.display()), serde_json::to_vec(&note).unwrap())
                .unwrap();
            run(&service, &order, &path).await.unwrap();
            let written = std::fs::read(&path).unwrap();
            assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&uncut), "{len}");
            assert!(!part.exists());
        }
    }
}
