//! `audit-log tail` against a service that says what is written down: what it asks, shows and keeps,
//! when it comes back, and the code it ends with.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::command::{self, Ended};
use crate::support::eventually;
use crate::support::process::Pid;
use crate::support::streamer::{Say, Streamer, entry, greeted, hello};

/// How long a tail may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs it to its end.
async fn tail(streamer: &Streamer, flags: &[&str]) -> Ended {
    let patience: &[&str] =
        if flags.contains(&"--patience-s") { &[] } else { &["--patience-s", "5"] };
    let args = [&["tail"], patience, flags].concat();
    let env =
        [("AUDIT_URL", &*streamer.url), ("AUDIT_TOKEN", "planted-token"), ("TZ", "Asia/Kolkata")];
    command::run(&args, &env).await
}

/// A process whose output is a pipe of this test.
fn spawn(streamer: &Streamer, flags: &[&str]) -> tokio::process::Child {
    Command::new(env!("CARGO_BIN_EXE_audit-log"))
        .args([&["tail"], flags].concat())
        .env_clear()
        .envs(command::coverage())
        .env("AUDIT_URL", &streamer.url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[track_caller]
fn assert_ended(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in says {
        assert!(ended.stderr.contains(part), "{part} is not in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("planted-token"), "{}", ended.stderr);
}

/// JSON lines of entries as the streamer sends them.
fn json_lines(seqs: impl IntoIterator<Item = u64>) -> String {
    seqs.into_iter().map(|seq| entry(seq, &format!("message {seq}")) + "\n").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_lines_for_people_or_json_as_it_was_sent() {
    let streamer = Streamer::start([greeted(1..4), greeted(1..9)]).await;
    let people = tail(&streamer, &["--max", "3"]).await;
    assert_ended(&people, 0, &["following from now on", "--cursor c3 goes on"]);
    assert_eq!(
        people.stdout.lines().next().unwrap(),
        "2026-11-22 03:53:17.123  ERROR     alice             UPDATE            \
         thing                             message 1"
    );
    assert_eq!(people.stdout.lines().count(), 3);
    let json = tail(&streamer, &["--json", "--max", "3"]).await;
    assert_ended(&json, 0, &["--cursor c3 goes on"]);
    assert_eq!(json.stdout, json_lines(1..4));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_query_and_cursor_reach_the_service_as_they_were_given() {
    let streamer = Streamer::start([greeted(1..2), greeted(1..2)]).await;
    assert_ended(&tail(&streamer, &["--max", "1"]).await, 0, &[]);
    let flags = ["--max=1", "--filter", "action=a&b", "--cursor=AbC", "--include-self", "a \"b\""];
    assert_ended(&tail(&streamer, &flags).await, 0, &["following from the cursor on"]);
    assert_eq!(
        streamer.asked(),
        [
            "/api/v1/logs/stream?",
            "/api/v1/logs/stream?action=a%26b&q=a+%22b%22&include_self=true&cursor=AbC"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_goes_on_after_the_last_entry_without_gap_or_repeat() {
    let heartbeat = Say::Text(r#"{"type":"heartbeat","cursor":"c5+","head_seq":9}"#.to_owned());
    let mut scripts = vec![
        [greeted(1..3), vec![Say::Cut]].concat(),
        vec![hello("h2"), Say::Cut],
        [greeted([3]), vec![Say::Close(1012, "restart")]].concat(),
        vec![Say::Refuse(503, "stopping")],
        [greeted([4, 5]), vec![heartbeat, Say::Close(4401, "proof has ended")]].concat(),
        vec![Say::Text("{".to_owned())],
        [greeted([6]), vec![Say::Close(4408, "idle")]].concat(),
        greeted([7]),
    ];
    // A message that no later version may break the client with.
    scripts[0].insert(1, Say::Text(r#"{"type":"later","new":true}"#.to_owned()));
    let streamer = Streamer::start(scripts).await;
    let ended = tail(&streamer, &["--json", "--max", "7"]).await;
    let says = ["starts anew (close code 1012: restart); coming back", "the planted stopping"];
    assert_ended(&ended, 0, &says);
    assert_ended(&ended, 0, &["has ended (close code 4401", "(close code 4408", "back; the last"]);
    assert_eq!(ended.stdout, json_lines(1..8));
    let cursors: Vec<_> = streamer.asked().into_iter().map(|path| cursor_of(&path)).collect();
    assert_eq!(cursors, ["", "c2", "h2", "c3", "c3", "c5%2B", "c5%2B", "c6"]);
}

fn cursor_of(path: &str) -> String {
    path.split_once("cursor=").map_or_else(String::new, |(_, cursor)| cursor.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_too_slow_it_stays_away_for_a_while() {
    let too_slow = [greeted([1]), vec![Say::Close(1013, "try later")]].concat();
    let streamer = Streamer::start([too_slow, greeted([2])]).await;
    let begun = Instant::now();
    let ended = tail(&streamer, &["--json", "--max", "2", "--patience-s", "30"]).await;
    assert_ended(&ended, 0, &["taken too slowly", "close code 1013: try later"]);
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn how_it_ends_says_whether_coming_back_could_help() {
    let closed = |code, reason| vec![hello("h"), Say::Close(code, reason)];
    let refused = |status, code| vec![Say::Refuse(status, code)];
    for (scripts, code, says) in [
        (vec![closed(1008, "no \u{1b}[2J")], 3, r"a rule was broken (close code 1008: no \u{1b}["),
        (vec![closed(4403, "role")], 3, "the tenant, or the role in it, is no more"),
        (vec![closed(4999, "?")], 3, "for a reason unknown here (close code 4999"),
        (vec![refused(401, "unauthenticated")], 3, "set AUDIT_TOKEN"),
        (vec![refused(403, "forbidden")], 3, "tail admin or auditor"),
        (vec![refused(400, "invalid_query")], 2, "the planted invalid_query"),
        (vec![refused(404, "not_found")], 3, "the planted not_found"),
        (vec![refused(200, "ok")], 3, "refused with 200"),
        (vec![closed(4401, "over"), refused(401, "unauthenticated")], 3, "set AUDIT_TOKEN"),
        (vec![closed(1012, "restart")], 4, "the service is gone: cannot reach"),
        (vec![], 1, "is the service running"),
    ] {
        let streamer = Streamer::start(scripts).await;
        let ended = tail(&streamer, &["--patience-s", "2"]).await;
        assert_ended(&ended, code, &[says]);
        assert_eq!(ended.stdout, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_greets_and_closes_is_left_alone_ever_longer_and_not_for_ever() {
    let flapping = || vec![hello("h"), Say::Close(1012, "restart")];
    let streamer = Streamer::start(std::iter::repeat_with(flapping).take(100)).await;
    let ended = tail(&streamer, &["--patience-s", "3"]).await;
    assert_ended(&ended, 4, &["the service is gone", "--cursor h goes on"]);
    assert!((3..8).contains(&streamer.asked().len()), "{:?}", streamer.asked());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told_with_what_to_do() {
    let streamer = Streamer::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other").to_str().unwrap().to_owned();
    std::fs::write(&file, "two words").unwrap();
    for (flags, says) in [
        (&["--filter", "acton=x"][..], "acton"),
        (&["--filter", "cursor=x"], "unknown"),
        (&["--cursor", "x", "--since-now"], "cannot be used with"),
        (&["--cursor", "x", "--cursor-file", "y"], "cannot be used with"),
        (&["--cursor-file", &file], "holds no cursor"),
        (&["--max", "0"], "--max"),
        (&["--color", "pink"], "--color"),
        (&["--header", "planted-token"], "--header must be"),
    ] {
        assert_ended(&tail(&streamer, flags).await, 2, &[says]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_come_is_said() {
    let gap = r#"{"type":"gap","from_seq":3,"to_seq":9,"reason":"expired"}"#;
    let error = r#"{"type":"error","code":"some_code","detail":"planted \u001b[2J"}"#;
    let said = [gap, error].map(|text| Say::Text(text.to_owned()));
    let streamer = Streamer::start([[&said[..], &greeted([10])].concat()]).await;
    let ended = tail(&streamer, &["--json", "--max", "1"]).await;
    let says =
        ["entries 3 to 9 will not come: they have expired", r"planted \u{1b}[2J (some_code)"];
    assert_ended(&ended, 0, &says);
    assert_eq!(ended.stdout, json_lines([10]));
}

/// Of an entry whose numbers no `Value` holds.
#[derive(serde::Deserialize)]
struct Shown {
    message: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_an_entry_reaches_a_terminal_as_an_order() {
    let hostile = "\u{1b}]0;title\u{7}\u{9b}2J\r\u{202e}\u{200b}";
    let script = || vec![hello("h"), Say::Entry(1, hostile.to_owned())];
    let streamer = Streamer::start(std::iter::repeat_with(script).take(4)).await;
    let program = env!("CARGO_BIN_EXE_audit-log");
    let terminal = async |flags: &str, env: &str| {
        let command = format!("{env} {program} tail --max 1 --url {} {flags} 2>&1", streamer.url);
        // `script` gives the program a terminal.
        let shown = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm")
            .output();
        String::from_utf8(shown.await.unwrap().stdout).unwrap()
    };
    let people = terminal("", "").await;
    let shown = r"\u{1b}]0;title\u{7}\u{9b}2J\r\u{202e}\u{200b}";
    assert!(people.contains(shown) && people.contains("\u{1b}[1;31mERROR"), "{people:?}");
    let plain = terminal("", "NO_COLOR=1").await;
    assert!(plain.contains(shown) && !plain.contains('\u{1b}'), "{plain:?}");
    let json = terminal("--json", "").await;
    assert!(!json.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{200b}']), "{json:?}");
    let line = json.lines().find(|line| line.starts_with('{')).unwrap();
    let shown: Shown = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!(shown.message, hostile);
    // Into a pipe JSON goes as it came.
    let piped = tail(&streamer, &["--json", "--max", "1"]).await;
    assert_eq!(piped.stdout, entry(1, hostile) + "\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_also_while_nothing_comes() {
    let script = [greeted([1]), vec![Say::Ping, Say::Ping], greeted([2])].concat();
    let streamer = Streamer::start([script]).await;
    let ended = tail(&streamer, &["--json", "--max", "2"]).await;
    assert_eq!((ended.code, ended.stdout), (Some(0), json_lines(1..3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_run_goes_on_where_the_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cursor").to_str().unwrap().to_owned();
    let scripts = [
        [greeted(1..4), vec![Say::Wait]].concat(),
        greeted(4..6),
        [greeted(6..8), vec![Say::Wait]].concat(),
        greeted([8]),
        greeted([100]),
    ];
    let streamer = Streamer::start(scripts).await;
    let flags = ["--json", "--cursor-file", &file];
    let kept = |cursor: &'static str| {
        let file = file.clone();
        async move {
            eventually(cursor, PATIENCE, async || {
                std::fs::read_to_string(&file).is_ok_and(|text| text.trim() == cursor)
            })
            .await;
        }
    };
    // Ended by Ctrl-C.
    let child = spawn(&streamer, &flags);
    kept("c3").await;
    interrupt(&child);
    let ended = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(0), json_lines(1..4).as_bytes()));
    // By itself.
    let ended = tail(&streamer, &[&flags[..], &["--max", "2"]].concat()).await;
    assert_ended(&ended, 0, &["following from the cursor on"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "c5\n");
    // Killed, after what had come was kept.
    let mut child = spawn(&streamer, &flags);
    kept("c7").await;
    child.kill().await.unwrap();
    assert_ended(&tail(&streamer, &[&flags[..], &["--max", "1"]].concat()).await, 0, &[]);
    let now = [&flags[..], &["--max", "1", "--since-now"]].concat();
    assert_ended(&tail(&streamer, &now).await, 0, &["following from now on"]);
    let cursors: Vec<_> = streamer.asked().into_iter().map(|path| cursor_of(&path)).collect();
    assert_eq!(cursors, ["", "c3", "c5", "c7", ""]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_gone_ends_it_quietly() {
    let streamer = Streamer::start([greeted(1..100_000)]).await;
    let mut child = spawn(&streamer, &["--json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().is_some());
    drop(lines);
    let ended = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stands_still_costs_no_memory_and_does_not_keep_it_from_ending() {
    let long = "x".repeat(60_000);
    let entries = (1..2_000).map(move |seq| Say::Entry(seq, long.clone()));
    let streamer = Streamer::start([std::iter::once(hello("h")).chain(entries).collect()]).await;
    let mut child = spawn(&streamer, &["--json"]);
    let mut stdout = child.stdout.take().unwrap();
    let pid = Pid(child.id().unwrap());
    assert_eq!(stdout.read_u8().await.unwrap(), b'{');
    // 120 MB are on their way; once it takes no more, it holds what it holds.
    let held = std::cell::Cell::new(0);
    eventually("it holds no more than before", PATIENCE, async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = pid.memory("VmRSS");
        held.replace(now) == now
    })
    .await;
    assert!(pid.memory("VmHWM") < 100 << 20, "{} MiB", pid.memory("VmHWM") >> 20);
    interrupt(&child);
    let ended = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

fn interrupt(child: &tokio::process::Child) {
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}
