//! The benchmarks run to their end and say what they have measured, whatever that is here: a
//! debug build among other tests is no measurement.

#![expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]

use std::process::Stdio;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::process::Command;
use url::Url;
use uuid::Uuid;

/// The superuser's URL, of a server that is for tests alone.
const URL: &str = "AUDIT_TEST_DATABASE_URL";

/// A database of its own, which is dropped at the end.
struct Database {
    admin: PgConnection,
    name: String,
    url: Url,
}

impl Database {
    async fn make() -> Self {
        let url =
            std::env::var(URL).unwrap_or_else(|_| panic!("{URL} is not set: make test sets it"));
        let mut admin = PgConnection::connect(&url).await.unwrap();
        let name = format!("bench_{}", Uuid::new_v4().simple());
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        let mut url = Url::parse(&url).unwrap();
        url.set_path(&name);
        Self { admin, name, url }
    }

    async fn drop(mut self) {
        let drop = format!("drop database {} with (force)", self.name);
        self.admin.execute(AssertSqlSafe(drop)).await.unwrap();
    }
}

/// What a benchmark prints. That goals are missed here says nothing.
async fn print(arguments: &[&str]) -> String {
    let database = Database::make().await;
    let running = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(arguments)
        .arg("--quick")
        .env("AUDIT_BENCH_DATABASE_URL", database.url.as_str())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = running.await.unwrap();
    database.drop().await;
    let (printed, said) =
        (String::from_utf8(ended.stdout).unwrap(), String::from_utf8_lossy(&ended.stderr));
    assert!(matches!(ended.status.code(), Some(0 | 1)), "{}: {printed}{said}", ended.status);
    printed
}

fn assert_rows(printed: &str, rows: &[&str]) {
    for row in rows {
        let has_row = printed.lines().any(|line| line.starts_with(&format!("| {row}")));
        assert!(has_row, "no row of {row:?} in:\n{printed}");
    }
    assert!(printed.contains("goals met"), "{printed}");
}

#[tokio::test]
async fn writing_is_measured_against_its_rivals() {
    let printed = print(&["write", "--only=-1,pgbench-32,single-32"]).await;
    let rows = ["POST", "(a)", "(b)", "(c)", "pgbench", "COPY BINARY of 1,000"];
    assert_rows(&printed, &rows);
    assert!(printed.contains("No request failed"), "{printed}");
}

#[tokio::test]
async fn a_quiet_tenant_is_measured_beside_a_noisy_one() {
    let printed = print(&["overload", "--only=noise"]).await;
    assert_rows(&printed, &["a quiet tenant, alone", "a quiet tenant, beside a noisy one"]);
}
