//! A PostgreSQL cluster of one test's own, to be broken.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::service::{free_port, migrate};

/// Folder of the server's programs, as `make test` found it.
const PG_BIN: &str = "AUDIT_TEST_PG_BIN";

/// See the module. Stopped and deleted with the test.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: TempDir,
    port: u16,
    /// Of the owner of the schema, who is no superuser.
    pub(crate) url: String,
    /// Of the superuser, in the same database.
    pub(crate) admin_url: String,
}

impl Cluster {
    /// Makes a cluster and the schema in it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The server may run as another user, who must be able to pass through.
        let passable = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(folder.path(), passable).unwrap();
        let mut cluster =
            Self { folder, port: free_port(), url: String::new(), admin_url: String::new() };
        cluster.start_again();
        cluster.url = cluster.script(&["url"], &[]);
        let admin_url = cluster.script(&["admin-url"], &[]);
        let (server, _) = admin_url.rsplit_once('/').unwrap();
        cluster.admin_url = format!("{server}/audit");
        migrate(&cluster.url);
        cluster
    }

    /// Starts it where it was, after it ended.
    pub(crate) fn start_again(&self) {
        self.start_with(&[]);
    }

    /// The same, with a clock that is off by so much, as `libfaketime` takes it.
    pub(crate) fn start_off_by(&self, offset: &str) {
        forget_turned_clocks();
        self.start_with(&[("LD_PRELOAD", &faketime()), ("FAKETIME", offset)]);
    }

    /// With an environment of its own.
    fn start_with(&self, environment: &[(&str, &str)]) {
        let port = self.port.to_string();
        self.script(&["start", &port, "--for-tests"], environment);
    }

    /// `pg_ctl -m immediate`: as if the power failed, as far as PostgreSQL is concerned.
    pub(crate) fn crash(&self) {
        self.stop("immediate");
    }

    /// Stops it in good order.
    pub(crate) fn shut_down(&self) {
        self.stop("fast");
    }

    /// A session as superuser.
    pub(crate) async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.admin_url).await.unwrap()
    }

    fn stop(&self, mode: &str) {
        let bin = PathBuf::from(std::env::var(PG_BIN).unwrap_or_else(|_| {
            panic!("{PG_BIN} is not set: run `make test`, or set it to PostgreSQL's bin folder")
        }));
        let program = bin.join("pg_ctl");
        // PostgreSQL's programs refuse to run as root.
        let mut command = if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.args(["stop", "--wait", "--silent", "--mode", mode, "--pgdata"]);
        run(command.arg(self.place().join("data")).current_dir("/"));
    }

    /// `dev/postgres.sh COMMAND FOLDER …`
    fn script(&self, words: &[&str], environment: &[(&str, &str)]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new(root.join("dev/postgres.sh"));
        command.arg(words[0]).arg(self.place()).args(&words[1..]);
        if let Ok(bin) = std::env::var(PG_BIN) {
            command.env("AUDIT_PG_BIN", bin);
        }
        run(command.envs(environment.iter().copied()))
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("postgres")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script(&["drop"], &[]);
    }
}

fn run(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{command:?}: {err}");
    out.trim().to_owned()
}

/// The library that turns a process's clock, as Debian's `libfaketime` installs it.
fn faketime() -> String {
    let multiarch = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let folders = multiarch.chain([PathBuf::from("/usr/lib")]);
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let found = libraries.find(|library| library.exists());
    found.expect("libfaketime is missing: apt-get install libfaketime").display().to_string()
}

/// Removes what the library keeps in shared memory for processes that have ended. It is named by a
/// process's number, and a process of the same number and another user could not begin.
fn forget_turned_clocks() {
    for entry in std::fs::read_dir("/dev/shm").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number =
            ["faketime_shm_", "sem.faketime_sem_"].iter().find_map(|it| name.strip_prefix(it));
        if number.is_some_and(|number| !Path::new("/proc").join(number).exists()) {
            // What is somebody else's stays.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
