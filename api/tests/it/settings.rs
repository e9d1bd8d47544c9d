//! Settings: a wrong one is named, an unsafe one refused, a secret one kept.

use std::path::Path;

use api::commands::serve::DEV_TENANT;
use api::config::{self, Cli};
use clap::CommandFactory as _;
use domain::TenantId;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _};

use crate::support::app::{SECRET, identity, send};
use crate::support::command::{self, Ended, Running};
use crate::support::database::TestDb;

const GATEWAY: (&str, &str) = ("AUDIT_GATEWAY_SECRET", SECRET);

#[track_caller]
fn assert_refused(ended: &Ended, code: i32, says: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    for part in says {
        assert!(ended.stderr.contains(part), "{part} is not in: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

/// As files for Compose do with what they leave out.
#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_set_to_nothing_is_as_good_as_unset() {
    let db = TestDb::new().await;
    let (url, known) = (db.url(), config::known_settings());
    let needed = [("AUDIT_DATABASE_URL", &*url), GATEWAY];
    let is_needed = |name: &str| needed.iter().any(|(needed, _)| *needed == name);
    let mut env: Vec<_> = known
        .iter()
        .filter(|name| of_a_command(name) && !is_needed(name))
        .map(|name| (name.as_str(), ""))
        .collect();
    assert!(env.len() > 40, "{env:?}");
    env.extend(needed);
    assert_eq!(Running::serve(&[], &env).await.stop().await.0, Some(0));
}

/// A database URL that is never reached.
const NOWHERE: (&str, &str) = ("AUDIT_DATABASE_URL", "postgres://planted-password@127.0.0.1:1/x");

#[test]
fn the_example_lists_each_setting_once_in_the_order_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.env.example");
    let example = std::fs::read_to_string(&path).expect(".env.example");
    let listed: Vec<_> = example
        .lines()
        .map(|line| line.trim_start_matches('#').trim_start())
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("AUDIT_"))
        .collect();
    let known = config::known_settings();
    // A _FILE goes without saying, each secret has one; what only scripts read comes last.
    let (scripts, own): (Vec<_>, Vec<_>) = known
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with("AUDIT_") && !name.ends_with("_FILE"))
        .partition(|name| !of_a_command(name));
    assert_eq!(listed, [own, scripts].concat());
}

fn of_a_command(name: &str) -> bool {
    let cli = Cli::command();
    let mut args = cli.get_subcommands().flat_map(clap::Command::get_arguments);
    args.any(|arg| arg.get_env().is_some_and(|env| env == name))
        || cli.get_arguments().any(|arg| arg.get_env().is_some_and(|env| env == name))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_setting_is_named_with_the_nearest_one() {
    for command in ["serve", "migrate", "token", "emit-sample", "export", "tail"] {
        let env = [NOWHERE, GATEWAY, ("AUDIT_LISTN", "x"), ("AUDIT_TEST_ANYTHING", "x")];
        let ended = command::run(&[command], &env).await;
        assert_refused(&ended, 2, &["AUDIT_LISTN", "did you mean AUDIT_LISTEN?"]);
        assert!(!ended.stderr.contains("AUDIT_TEST_ANYTHING"));
    }
    // One that is like none of ours was not meant to be one.
    let ended = command::run(&["serve"], &[NOWHERE, GATEWAY, ("AUDIT_FOO", "1")]).await;
    assert_refused(&ended, 2, &["unknown setting AUDIT_FOO in the environment\n"]);
    assert!(!ended.stderr.contains("did you mean"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_value_is_refused_by_the_name_of_its_setting() {
    for (name, value) in [
        ("AUDIT_LISTEN", "8000"),
        ("AUDIT_AUTH", "none"),
        ("AUDIT_PARTITION_DAYS", "0"),
        ("AUDIT_PARTITION_DAYS", "seven"),
        ("AUDIT_RETENTION_MIN_DAYS", "-1"),
        ("AUDIT_ADMISSION_MIB", "1"),
        ("AUDIT_READER_CONNECTIONS", "0"),
        ("AUDIT_STOP_TIMEOUT_S", "soon"),
        ("AUDIT_TENANT_AUTOCREATE", "perhaps"),
        ("AUDIT_LOG_FORMAT", "xml"),
        ("AUDIT_JWT_LEEWAY_S", "99999"),
        ("AUDIT_CONNECTIONS_MAX", "0"),
        ("AUDIT_HEAD_TIMEOUT_S", "0"),
        ("AUDIT_RATE_LIMITS", "wirte=5/s"),
        ("AUDIT_TLS_CERT", "/nowhere"),
        ("AUDIT_TLS_KEY", "/nowhere"),
    ] {
        let ended = command::run(&["serve"], &[NOWHERE, GATEWAY, (name, value)]).await;
        assert_refused(&ended, 2, &[name]);
    }
    let ended = command::run(&["serve"], &[NOWHERE, GATEWAY, ("AUDIT_LOG_LEVEL", "a=b=c")]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("AUDIT_LOG_LEVEL"), "{ended:?}");
    // The flag itself is wrong, so its variable is not to blame.
    let env = [NOWHERE, GATEWAY, ("AUDIT_LISTEN", "127.0.0.1:0")];
    let ended = command::run(&["serve", "--listen", "here"], &env).await;
    assert_refused(&ended, 2, &["--listen"]);
    assert!(!ended.stderr.contains("AUDIT_LISTEN"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_kind_is_refused_by_the_name_of_its_setting() {
    for command in ["serve", "poke"] {
        for (name, value) in [
            ("AUDIT_SEARCH_URL", "ftp://planted-password"),
            ("AUDIT_SEARCH_URL", "file:///planted-password"),
            ("AUDIT_QUEUE_URL", "ftp://planted-password/q"),
            ("AUDIT_READER_DATABASE_URL", "planted-password"),
            ("AUDIT_WRITER_DATABASE_URL", "mysql://planted-password"),
            ("AUDIT_WORKER_DATABASE_URL", "http://planted-password"),
        ] {
            let env = [NOWHERE, GATEWAY, ("AUDIT_LISTEN", "127.0.0.1:0"), (name, value)];
            let ended = command::run(&[command], &env).await;
            assert_refused(&ended, 2, &[name]);
            assert!(!ended.stderr.contains("planted-password"), "{}", ended.stderr);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_what_it_needs_the_service_does_not_start() {
    let empty = ("AUDIT_GATEWAY_SECRET", "");
    let (one_empty, three) = (("AUDIT_GATEWAY_SECRET", "a,"), ("AUDIT_GATEWAY_SECRET", "a,b,c"));
    let bad_url = ("AUDIT_DATABASE_URL", "planted-password");
    for (env, code, says) in [
        (&[NOWHERE][..], 2, "AUDIT_GATEWAY_SECRET"),
        (&[NOWHERE, empty], 2, "AUDIT_GATEWAY_SECRET"),
        (&[NOWHERE, one_empty], 2, "AUDIT_GATEWAY_SECRET"),
        (&[NOWHERE, three], 2, "AUDIT_GATEWAY_SECRET"),
        (&[GATEWAY], 2, "AUDIT_DATABASE_URL"),
        (&[GATEWAY, bad_url], 2, "AUDIT_DATABASE_URL: the database URL"),
        (&[NOWHERE, GATEWAY], 1, "cannot reach PostgreSQL at AUDIT_DATABASE_URL: error"),
        (&[NOWHERE, ("AUDIT_AUTH", "jwt")], 2, "AUDIT_JWT_JWKS"),
    ] {
        let mut env = env.to_vec();
        env.push(("AUDIT_LISTEN", "127.0.0.1:0"));
        let ended = command::run(&["serve"], &env).await;
        assert_refused(&ended, code, &[says]);
        assert!(!ended.stderr.contains("planted-password"), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_reach_the_log_says_so_and_why() {
    for command in ["migrate", "reindex", "verify-index"] {
        let env = [NOWHERE, ("AUDIT_SEARCH_URL", "http://127.0.0.1:1")];
        let ended = command::run(&[command], &env).await;
        assert_refused(&ended, 1, &["cannot reach PostgreSQL at AUDIT_DATABASE_URL", "refused"]);
        assert!(!ended.stderr.contains("planted-password"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_minted_is_a_wrong_setting() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json").to_str().unwrap().to_owned();
    let made = command::run(&["token", "--new-key", &keys], &[]).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    let with_keys = [("AUDIT_JWT_JWKS", &*keys)];
    for (flags, env, says) in [
        (&["--role", "operator"][..], &[][..], "AUDIT_JWT_JWKS"),
        (&["--role", "zzz"], &with_keys, "--role"),
        (&["--tenant", "x"], &with_keys, "must be a UUID"),
    ] {
        let ended = command::run(&[&["token"], flags].concat(), env).await;
        assert_refused(&ended, 2, &["wrong settings", says]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_mode_is_for_this_machine_unless_somebody_insists() {
    let db = TestDb::new().await;
    let url = db.url();
    let everywhere = ["serve", "--auth", "dev", "--listen", "0.0.0.0:0"];
    let ended = command::run(&everywhere, &[("AUDIT_DATABASE_URL", &url)]).await;
    assert_refused(&ended, 2, &["AUDIT_DEV_I_KNOW"]);
    let env = [("AUDIT_DATABASE_URL", &*url), ("AUDIT_DEV_I_KNOW", "1")];
    let args = ["--auth", "dev", "--log-level", "info"];
    let running = Running::serve(&args, &env).await;
    let client = reqwest::Client::new();
    // Whoever comes is the developer; identity headers count for nothing.
    let stranger = identity(Some(TenantId::new(uuid::Uuid::now_v7())), "auditor");
    let request = client.post(format!("{}/api/v1/logs", running.base)).headers(stranger);
    let body = json!({ "action": "VIEW", "resource_type": "thing" });
    let answer = send(request.json(&body)).await.created();
    assert_eq!(answer.body["tenant_id"], json!(DEV_TENANT));
    assert_eq!(answer.body["recorded_by"], "dev");
    assert_eq!(running.stop().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_come_from_a_file_but_not_from_two_places() {
    let db = TestDb::new().await;
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (secret, url) = (file("secret", &format!("{SECRET}\n")), file("url", &db.url()));
    let files = [("AUDIT_GATEWAY_SECRET_FILE", &*secret), ("AUDIT_DATABASE_URL_FILE", &*url)];
    let running = Running::serve(&[], &files).await;
    let request = reqwest::Client::new().get(format!("{}/api/v1/tenants", running.base));
    let answer = send(request.headers(identity(None, "operator"))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(running.stop().await.0, Some(0));

    let both = [files[0], files[1], GATEWAY];
    let says = ["AUDIT_GATEWAY_SECRET", "AUDIT_GATEWAY_SECRET_FILE"];
    assert_refused(&command::run(&["serve", "--listen", "127.0.0.1:0"], &both).await, 2, &says);
    // But a flag beats the environment, whichever of the two it is.
    let nowhere = ["serve", "--listen", "127.0.0.1:0", "--database-url", NOWHERE.1];
    let ended = command::run(&nowhere, &files).await;
    assert_refused(&ended, 1, &["cannot reach PostgreSQL"]);
    let by_file = ["serve", "--listen", "127.0.0.1:0", "--database-url-file", &url];
    let by_file = [&by_file[..], &["--gateway-secret-file", "/nowhere"]].concat();
    let ended = command::run(&by_file, &[NOWHERE, GATEWAY]).await;
    assert_refused(&ended, 2, &["AUDIT_GATEWAY_SECRET_FILE", "/nowhere"]);
    let both = [&nowhere[..], &["--database-url-file", &url]].concat();
    let ended = command::run(&both, &[GATEWAY]).await;
    assert_refused(&ended, 2, &["AUDIT_DATABASE_URL", "AUDIT_DATABASE_URL_FILE"]);
    let owner = db.url();
    for name in ["AUDIT_READER_DATABASE_URL", "AUDIT_WORKER_DATABASE_URL"] {
        let env = [("AUDIT_DATABASE_URL", &*owner), (name, NOWHERE.1), GATEWAY];
        let ended = command::run(&["serve", "--listen", "127.0.0.1:0"], &env).await;
        assert_refused(&ended, 1, &[&format!("cannot reach PostgreSQL at {name}: error")]);
        assert!(!ended.stderr.contains("planted-password"), "{ended:?}");
    }
    let missing = [("AUDIT_GATEWAY_SECRET_FILE", "/nowhere"), files[1]];
    let ended = command::run(&["serve", "--listen", "127.0.0.1:0"], &missing).await;
    assert_refused(&ended, 2, &["AUDIT_GATEWAY_SECRET_FILE", "/nowhere"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_may_lose_commits_is_refused_unless_somebody_insists() {
    for unsafe_value in ["off", "local", "remote_write"] {
        let db = TestDb::new().await;
        let mut admin = db.admin().await;
        let name: String =
            sqlx::query_scalar("select current_database()").fetch_one(&mut admin).await.unwrap();
        let set = format!("alter database {name} set synchronous_commit = {unsafe_value}");
        admin.execute(AssertSqlSafe(set)).await.unwrap();
        let url = db.url();
        let env = [("AUDIT_DATABASE_URL", &*url), GATEWAY];
        let ended = command::run(&["serve", "--listen", "127.0.0.1:0"], &env).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        for says in ["synchronous_commit", unsafe_value, "AUDIT_ALLOW_UNSAFE_POSTGRES=1"] {
            assert!(ended.stderr.contains(says), "{says}: {ended:?}");
        }
        if unsafe_value == "off" {
            let env = [env[0], env[1], ("AUDIT_ALLOW_UNSAFE_POSTGRES", "1")];
            assert_eq!(Running::serve(&[], &env).await.stop().await.0, Some(0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_prepares_a_database_that_serve_refuses_before() {
    let db = TestDb::empty().await;
    let url = db.url();
    let env = [("AUDIT_DATABASE_URL", &*url), GATEWAY];
    let ended = command::run(&["serve", "--listen", "127.0.0.1:0"], &env).await;
    assert_refused(&ended, 1, &["audit-log migrate"]);
    for applied in [true, false] {
        let ended = command::run(&["migrate", "--profile", "native"], &env).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("profile native"), "{ended:?}");
        assert_eq!(!ended.stdout.contains(" 0 of "), applied, "{ended:?}");
    }
    let ended = command::run(&["migrate", "--profile", "timescale"], &env).await;
    assert_refused(&ended, 1, &["cannot be changed in place"]);
    assert_eq!(Running::serve(&[], &env).await.stop().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_migrations_that_run_at_once_each_tells_what_it_did_itself() {
    let db = TestDb::empty().await;
    let url = db.url();
    let migrate = || {
        let env = [("AUDIT_DATABASE_URL", url.as_str())];
        async move { command::run(&["migrate", "--profile", "native"], &env).await }
    };
    let (one, two, three) = tokio::join!(migrate(), migrate(), migrate());
    let mut applied = 0;
    let mut total = 0;
    for ended in [one, two, three] {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let words: Vec<_> = ended.stdout.split(' ').collect();
        let of = words.iter().position(|word| *word == "of").unwrap();
        applied += words[of - 1].parse::<usize>().unwrap();
        total = words[of + 1].parse().unwrap();
    }
    assert_eq!(applied, total);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_shows_an_example_and_its_exit_codes() {
    for command in Cli::command().get_subcommands().map(clap::Command::get_name) {
        let ended = command::run(&[command, "--help"], &[]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("Example:"), "{ended:?}");
        assert!(ended.stdout.contains("Exit codes: "), "{ended:?}");
    }
    // Whoever asks for help has perhaps set something wrong.
    for args in [&["--help"][..], &["serve", "--help"], &["--version"], &["help", "tail"]] {
        let ended = command::run(args, &[("AUDIT_FOO", "1"), ("AUDIT_LISTEN", "here")]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    }
    let with_secret = command::run(&["serve", "--help"], &[GATEWAY, NOWHERE]).await;
    assert!(!with_secret.stdout.contains(SECRET));
    assert!(!with_secret.stdout.contains("planted-password"));
}

/// The log says what happened, never what was said.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_nothing_of_an_entry_reaches_the_log() {
    let db = TestDb::new().await;
    let url = db.url();
    let env = [("AUDIT_DATABASE_URL", &*url), GATEWAY, ("AUDIT_LOG_LEVEL", "debug")];
    let running = Running::serve(&["--tenant-autocreate"], &env).await;
    let client = reqwest::Client::new();
    let tenant_id = TenantId::new(uuid::Uuid::now_v7());
    let poison = "alter table audit_log add constraint audit_log_test_poison
        check (message <> 'planted poison') not valid";
    db.admin().await.execute(poison).await.unwrap();
    let mut statuses = Vec::new();
    for (message, secret) in [
        ("planted message", SECRET),
        ("planted poison", SECRET),
        ("planted \u{0}", SECRET),
        ("planted message", "planted-wrong-secret"),
    ] {
        for path in ["logs", "logs/bulk?partial=true", "logs?planted=parameter"] {
            let mut headers = identity(Some(tenant_id), "user");
            headers.insert("x-gateway-secret", secret.parse().unwrap());
            headers.insert("x-user-name", "planted name".parse().unwrap());
            headers.insert("x-forwarded-for", "203.0.113.99".parse().unwrap());
            headers.insert("user-agent", "planted agent".parse().unwrap());
            headers.insert("idempotency-key", "planted-key".parse().unwrap());
            let entry = json!({
                "action": "VIEW", "resource_type": "planted-type", "message": message,
                "metadata": { "planted": "planted", "password": "planted" },
            });
            let body = if path.contains("bulk") { json!([entry]) } else { entry };
            let request = client.post(format!("{}/api/v1/{path}", running.base));
            statuses.push(send(request.headers(headers).json(&body)).await.status.as_u16());
        }
    }
    assert!(
        [201, 400, 401, 409, 422].iter().all(|status| statuses.contains(status)),
        "{statuses:?}"
    );
    let (code, log) = running.stop().await;
    assert_eq!(code, Some(0));
    let requests = log.iter().filter(|line| line.contains("\"message\":\"request\"")).count();
    assert_eq!(requests, statuses.len(), "each request is one event");
    for line in &log {
        assert!(!line.contains("planted") && !line.contains("203.0.113.99"), "{line}");
        assert!(!line.contains(SECRET) && !line.contains("alice"), "{line}");
    }
}

/// Whoever logs a part of the service by mistake tells no secret.
#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_the_service_prints_a_secret() {
    let url = "postgres://owner:planted-password@127.0.0.1:1/x";
    let flags = [
        "--search-url",
        "http://127.0.0.1:1",
        "--search-user",
        "somebody",
        "--search-password",
        "planted-search-password",
    ];
    let args = crate::support::app::serve_args(url, &flags);
    let urls = args.database.urls().unwrap();
    let store = api::store::Store::new(&urls, 1).unwrap();
    let options = store.worker_options.clone();
    let index = args.search.index().await.unwrap().unwrap();
    let secrets = args.identity.gateway_secrets().unwrap();
    let gateway = api::identity::GatewaySecrets::new(&secrets);
    let upkeep = api::worker::Upkeep {
        options: options.clone(),
        profile: api::store::migrations::Profile::Native,
        partition_days: 7,
        called: std::sync::Arc::default(),
    };
    let expiry = api::expiry::Expiry {
        options,
        profile: api::store::migrations::Profile::Native,
        days_min: 7,
    };
    let printed = format!(
        "{args:?} {urls:?} {store:?} {index:?} {secrets:?} {gateway:?} {upkeep:?} {expiry:?} {:?}",
        api::searching::Searches::new(Some((index.clone(), std::time::Duration::ZERO))),
    );
    assert!(!printed.contains("planted"), "{printed}");
    // What failed says why, and not with what.
    let refused = store.read(DEV_TENANT, async |_| Ok(())).await.unwrap_err();
    let failed = index.refresh().await.unwrap_err();
    let told = format!("{refused:?} {refused} {failed:?} {failed}");
    assert!(!told.contains("planted"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_a_password_is_refused_without_repeating_it() {
    let search = ("AUDIT_SEARCH_URL", "https://somebody:planted-password@127.0.0.1:1");
    let env = [NOWHERE, GATEWAY, search, ("AUDIT_LISTEN", "127.0.0.1:0")];
    let ended = command::run(&["serve"], &env).await;
    assert_refused(&ended, 2, &["AUDIT_SEARCH_URL", "AUDIT_SEARCH_PASSWORD"]);
    assert!(!ended.stderr.contains("planted-password"), "{}", ended.stderr);
}
