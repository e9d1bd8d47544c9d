//! `audit-log export` from a terminal: what it asks, writes and says, and the code it ends with.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::response::Response;
use axum::routing::get;
use http_body::Frame;
use http_body_util::StreamBody;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::command::{self, Ended};
use crate::support::eventually;
use crate::support::exporter::{Exporter, id, texts};

const FORMATS: [&str; 3] = ["ndjson", "json", "csv"];

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
    let (exporter, files) = (Exporter::gapless().await, Files::new());
    for format in FORMATS {
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
async fn a_busy_service_is_asked_again_when_it_says_and_not_for_ever() {
    let (exporter, files) = (Exporter::gapless().await, Files::new());
    let started_at = Instant::now();
    let ended = export(&exporter, "busy=first", &[]).await;
    assert_ended(&ended, 0, &["the planted load", "going on after 0 entries", "whole: 3"]);
    assert!(started_at.elapsed() >= Duration::from_secs(1));
    assert_eq!(exporter.asked().len(), 2);
    let file = files.path("log");
    let ended = export(&exporter, "busy=always", &["--output", &file]).await;
    assert_ended(&ended, 1, &["refused with 503", "the planted load"]);
    assert!(exporter.asked().len() <= 3);
    // Nothing has come, so nothing stays behind.
    assert_eq!(files.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_reach_the_service_as_they_were_given() {
    let exporter = Exporter::filtered().await;
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
async fn what_is_cut_on_purpose_says_how_far_it_came() {
    let exporter = Exporter::gapless().await;
    for format in FORMATS {
        for case in ["", "trailers=dropped", "cut=90"] {
            let ended = export(&exporter, case, &["--format", format, "--max-entries=2"]).await;
            assert_ended(&ended, 0, &["whole: 2 entries of seq 1 to 2"]);
            let says_so = ended.stdout.contains("\"last_seq\":2");
            assert_eq!(says_so, format == "ndjson", "{ended:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_recorded_after_the_export_began_is_left_out() {
    let exporter = Exporter::start(texts(&[1, 2, 3, 4, 5]), 3).await;
    for format in FORMATS {
        let ended =
            export(&exporter, "cut=100", &["--format", format, "--filter", "action=x"]).await;
        assert_ended(&ended, 0, &["whole: 3 entries"]);
        let expected = Exporter::start(texts(&[1, 2, 3]), 3).await.export(format);
        assert_eq!(ended.stdout, String::from_utf8(expected).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_proven_ends_with_code_3_and_keeps_no_name() {
    let (exporter, files) = (Exporter::filtered().await, Files::new());
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
        let goes_on = ended.stderr.contains("the same command goes on with");
        assert_eq!(goes_on, case.starts_with("trailers"), "{ended:?}");
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
    for format in FORMATS {
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
    let (exporter, files) = (Exporter::gapless().await, Files::new());
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
    // Not to a device: here it is a folder, which this would not destroy either.
    let folder = files.path("");
    let special = export(&exporter, "", &["--format", "json", "-o", &folder, "--force"]).await;
    assert_ended(&special, 2, &["is no file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_to_do() {
    let (exporter, files) = (Exporter::gapless().await, Files::new());
    let file = files.path("log");
    for (flags, code, says) in [
        (&["--filter", "acton=x"][..], 2, "acton"),
        (&["--filter", "cursor=x"], 2, "unknown"),
        (&["--raw"], 2, "--format csv"),
        (&["--header", "planted-token"], 2, "--header must be"),
        (&["--url", "planted-token"], 2, "AUDIT_URL is not a URL"),
        (&["--max-entries", "0"], 2, "--max-entries"),
        (&["--filter", "q=(", "-o", &file], 2, "the planted mistake"),
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
    let (exporter, files) = (Exporter::gapless().await, Files::new());
    let file = files.path("log.ndjson");
    let export = exporter.export("ndjson");
    let verify = async |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        command::run(&["export", "--verify", &file], &[]).await
    };
    assert_ended(&verify(&export).await, 0, &["log.ndjson is whole: 3 entries of seq 1 to 3"]);
    for format in ["json", "csv"] {
        let other = verify(&exporter.export(format)).await;
        assert_ended(&other, 2, &["log.ndjson is no NDJSON export"]);
    }
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
    let exporter = Exporter::gapless().await;
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
