//! `audit-log export`: what is cut is seen, goes on where it broke, and ends as if it had not.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::client::export::{Export, Facts, NotWhole, Note, Order, Output, Range};
use api::client::service::Service;
use api::config::{Cli, Command, ExportFormat};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::response::Response;
use axum::routing::get;
use clap::Parser as _;
use http_body::Frame;
use http_body_util::StreamBody;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::command::{self, Ended};
use crate::support::eventually;
use crate::support::exporter::{Exporter, id};

const FORMATS: [ExportFormat; 3] = [ExportFormat::Ndjson, ExportFormat::Json, ExportFormat::Csv];

/// Exports that run beside each other.
const AT_ONCE: usize = 128;

fn texts(seqs: &[u64]) -> Vec<(u64, String)> {
    let hostile = ["", "a\"]},\\", "\r\n,\"", "日本"];
    let texts = hostile.into_iter().cycle().skip(1);
    seqs.iter().copied().zip(texts.map(str::to_owned)).collect()
}

/// All entries from 1 to 3.
async fn gapless() -> Exporter {
    Exporter::start(texts(&[1, 2, 3]), 3).await
}

/// What a filter leaves of the entries from 1 to 7.
async fn filtered() -> Exporter {
    Exporter::start(texts(&[2, 3, 5]), 7).await
}

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
    for (filtered, exporter) in [(false, gapless().await), (true, filtered().await)] {
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
    let exporter = gapless().await;
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

/// Runs the program with these flags and this case, the service being the exporter.
async fn export(exporter: &Exporter, case: &str, flags: &[&str]) -> Ended {
    let case = format!("X-Case: {case}");
    let args = [&["export", "--patience-s", "2", "--header", &case], flags].concat();
    command::run(&args, &[("AUDIT_URL", &exporter.url), ("AUDIT_TOKEN", "planted-token")]).await
}

struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in says {
        assert!(ended.stderr.contains(part), "{part} is not in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("planted-token"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_export_comes_as_it_was_sent_and_ends_with_code_0() {
    let (exporter, files) = (gapless().await, Files::new());
    for format in FORMATS.map(ExportFormat::as_str) {
        let uncut = String::from_utf8(exporter.export(format)).unwrap();
        let ended = export(&exporter, "", &["--format", format]).await;
        assert_ended(&ended, 0, &["whole: 3 entries of seq 1 to 3, sha256"]);
        assert_eq!(ended.stdout, uncut);
        let file = files.path(format);
        let ended = export(&exporter, "trailers=dropped", &["--format", format, "-o", &file]).await;
        assert_ended(&ended, 0, &["whole: 3 entries"]);
        assert_eq!((ended.stdout.as_str(), std::fs::read_to_string(&file).unwrap()), ("", uncut));
    }
    assert_eq!(files.names(), ["csv", "json", "ndjson"]);
}

/// An export of two entries by the server that the service is built on.
async fn served() -> Response {
    let csv = format!("id,seq\r\n{},1\r\n{},2\r\n", id(1), id(2));
    let hash = format!("{:x}", Sha256::digest(&csv));
    let fields = [("x-export-rows", "2"), ("x-export-sha256", &hash)];
    let fields =
        fields.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let frames = [Frame::data(Bytes::from(csv)), Frame::trailers(fields.into_iter().collect())];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    Response::builder()
        .header("trailer", "x-export-rows, x-export-sha256")
        .header("x-export-id", "served")
        .header("x-export-first-seq", "1")
        .header("x-export-last-seq", "2")
        .body(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_are_asked_for_and_read_as_a_real_server_sends_them() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/api/v1/logs/export", get(served));
    let serving = tokio::spawn(axum::serve(listener, routes).into_future());
    let ended = command::run(&["export", "--format", "csv", "--url", &url], &[]).await;
    serving.abort();
    // There is no list to look it up in: the trailers alone have proven it.
    assert_ended(&ended, 0, &["whole: 2 entries of seq 1 to 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_reach_the_service_as_they_were_given() {
    let exporter = filtered().await;
    let flags = [
        "--format=csv",
        "--raw",
        "--from=2026-01-01T00:00:00+01:00",
        "--max-entries=2",
        "--filter",
        "action=a&b",
        "--filter",
        "action=c=d",
    ];
    assert_ended(&export(&exporter, "", &flags).await, 0, &["whole: 2 entries"]);
    assert_eq!(
        exporter.asked(),
        ["/api/v1/logs/export?format=csv&raw=true&action=a%26b&action=c%3Dd\
          &from=2026-01-01T00%3A00%3A00%2B01%3A00&max_entries=2"]
    );
    // After a break, as many fewer as have come already.
    let cut = exporter.export("csv").len() - 30;
    let flags = ["--format=csv", "--max-entries=3", "--filter", "action=x"];
    let broken = export(&exporter, &format!("cut={cut}"), &flags).await;
    assert_ended(&broken, 0, &["the connection broke", "going on after 2 entries", "whole: 3"]);
    let asked = exporter.asked();
    assert!(asked[1].ends_with(&format!("&max_entries=1&cursor={}", id(3))), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_after_the_export_began_is_left_out() {
    let exporter = Exporter::start(texts(&[1, 2, 3, 4, 5]), 3).await;
    for format in FORMATS.map(ExportFormat::as_str) {
        let ended =
            export(&exporter, "cut=100", &["--format", format, "--filter", "action=x"]).await;
        assert_ended(&ended, 0, &["whole: 3 entries"]);
        let expected = Exporter::start(texts(&[1, 2, 3]), 3).await.export(format);
        assert_eq!(ended.stdout, String::from_utf8(expected).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_ends_with_code_3_and_keeps_no_name() {
    let (exporter, files) = (filtered().await, Files::new());
    for (case, format, says) in [
        ("lies=yes", "ndjson", "differs from what was sent"),
        ("lies=yes", "json", "differs from what was sent"),
        ("lies=yes&trailers=dropped", "csv", "differs from what was sent"),
        ("trailers=dropped&log=denied", "json", "the planted refusal"),
        ("trailers=dropped&log=none", "csv", "ended too early"),
        ("cut=200&then=gone", "ndjson", "the planted expiry"),
    ] {
        let file = files.path(format);
        let flags = ["--format", format, "--filter", "action=x", "-o", &file, "--force"];
        let ended = export(&exporter, case, &flags).await;
        assert_ended(&ended, 3, &["the export is not whole", says]);
        assert!(!Path::new(&file).exists(), "{case}");
        let again = export(&exporter, "", &flags).await;
        if case.starts_with("lies") {
            // Nobody knows which of its bytes are wrong, so nothing is built on them.
            assert_ended(&again, 2, &["remove it"]);
            std::fs::remove_file(format!("{file}.part")).unwrap();
        } else {
            assert_ended(&again, 0, &["going on after", "whole: 3 entries"]);
            assert_eq!(std::fs::read(&file).unwrap(), exporter.export(format));
            std::fs::remove_file(&file).unwrap();
        }
    }
    assert_eq!(files.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_missing_is_noticed_though_all_hashes_fit() {
    let exporter = Exporter::start(texts(&[1, 3]), 3).await;
    for format in FORMATS.map(ExportFormat::as_str) {
        let ended = export(&exporter, "", &["--format", format]).await;
        assert_ended(&ended, 3, &["an entry is missing in between"]);
    }
    let exporter = Exporter::start(texts(&[1, 2]), 3).await;
    assert_ended(&export(&exporter, "", &[]).await, 3, &["before the last entry"]);
    let exporter = Exporter::start(texts(&[1, 2, 3]), 2).await;
    assert_ended(&export(&exporter, "", &[]).await, 3, &["beyond the end"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_export_goes_on_with_its_part_and_nobody_elses() {
    let (exporter, files) = (gapless().await, Files::new());
    let file = files.path("log.json");
    let part = format!("{file}.part");
    let flags = ["export", "--format", "json", "--output", &file];
    let slow = ["--header", "X-Case: slow=150"];
    let mut child = command::spawn(&[&flags[..], &slow].concat(), &[("AUDIT_URL", &exporter.url)]);
    eventually("an entry is written", Duration::from_secs(20), || async {
        std::fs::read(&part).is_ok_and(|part| part.len() > 50)
    })
    .await;
    let beside = export(&exporter, "", &flags[1..]).await;
    assert_ended(&beside, 1, &["another export is writing"]);
    child.kill().await.unwrap();
    assert!(!Path::new(&file).exists());
    let other =
        export(&exporter, "", &["--format", "json", "--filter", "action=x", "-o", &file]).await;
    assert_ended(&other, 2, &["is of another export", "remove it"]);
    exporter.asked();
    let ended = export(&exporter, "", &flags[1..]).await;
    assert_ended(&ended, 0, &["going on after", "whole: 3 entries"]);
    assert!(exporter.asked()[0].contains("cursor="));
    assert_eq!(std::fs::read(&file).unwrap(), exporter.export("json"));
    assert_eq!(files.names(), ["log.json"]);
    let again = export(&exporter, "", &flags[1..]).await;
    assert_ended(&again, 2, &["exists", "--force"]);
    let again = export(&exporter, "", &[&flags[1..], &["--force"]].concat()).await;
    assert_ended(&again, 0, &["whole"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_to_do() {
    let (exporter, files) = (gapless().await, Files::new());
    let file = files.path("log");
    for (flags, code, says) in [
        (&["--filter", "acton=x"][..], 2, "acton"),
        (&["--filter", "cursor=x"], 2, "unknown"),
        (&["--raw"], 2, "--format csv"),
        (&["--header", "planted-token"], 2, "--header must be"),
        (&["--url", "planted-token"], 2, "AUDIT_URL is not a URL"),
        (&["--max-entries", "0"], 2, "--max-entries"),
        (&["--verify", "x", "--output", "y"], 2, "cannot be used with"),
        (&["--url", "http://127.0.0.1:1", "-o", &file], 1, "is the service running"),
        (&["--verify", &file], 1, "cannot read"),
    ] {
        let ended = export(&exporter, "", flags).await;
        assert_ended(&ended, code, &[says]);
        assert_eq!((ended.stdout.as_str(), files.names().len()), ("", 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_export_is_verified_without_a_service() {
    let (exporter, files) = (gapless().await, Files::new());
    let file = files.path("log.ndjson");
    let export = exporter.export("ndjson");
    let verify = async |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        command::run(&["export", "--verify", &file], &[]).await
    };
    assert_ended(&verify(&export).await, 0, &["log.ndjson is whole: 3 entries of seq 1 to 3"]);
    let cut = verify(&export[..export.len() / 2]).await;
    assert_ended(&cut, 3, &["not whole", "no end record", "after 2 entries"]);
    let mut changed = export.clone();
    let key = changed.windows(4).position(|four| four == b"\"of\"").unwrap();
    changed[key + 1] = b'0';
    assert_ended(
        &verify(&changed).await,
        3,
        &["not whole", "differs from what its end record says"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_is_shown_on_a_terminal_when_it_takes_a_while() {
    let exporter = gapless().await;
    let program = env!("CARGO_BIN_EXE_audit-log");
    let command = format!(
        "stty cols 80; {program} export --url {} --header 'X-Case: slow=400' >/dev/null",
        exporter.url
    );
    // `script` gives the program a terminal.
    let shown = tokio::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("exporting") && shown.contains("/3"), "{shown:?}");
    assert!(shown.contains("whole: 3 entries"), "{shown:?}");
    let ended = export(&exporter, "slow=300", &[]).await;
    assert_ended(&ended, 0, &["whole"]);
    assert!(!ended.stderr.contains("exporting"), "{ended:?}");
}
