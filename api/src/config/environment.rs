//! Where settings come from: flags, which beat variables, and the environment.

use std::ffi::OsStr;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use super::Cli;

/// What all of our own begin with.
const PREFIX: &str = "AUDIT_";

/// A name that has more mistakes than one in so many letters was meant to be something else.
const LETTERS_PER_MISTAKE: usize = 3;

/// Settings that only our scripts read; named here so that they are not taken for mistakes.
const SCRIPT_SETTINGS: &[&str] = &[
    "AUDIT_BIN",
    "AUDIT_CACHE_DIR",
    "AUDIT_DATA_DIR",
    "AUDIT_PG_PORT",
    "AUDIT_PG_BIN",
    "AUDIT_PG_USER",
    "AUDIT_PYTHON",
    "AUDIT_CHROMIUM",
    "AUDIT_JAVA_HOME",
    "AUDIT_OPENSEARCH_HEAP",
    "AUDIT_OPENSEARCH_PORT",
    "AUDIT_AWS_PORT",
    "AUDIT_GATEWAY_PORT",
    "AUDIT_LAMBDA_ZIP",
];

/// Families of settings that only tests, benchmarks, Compose and the script that makes queue and function
/// read.
const SCRIPT_PREFIXES: [&str; 4] =
    ["AUDIT_TEST_", "AUDIT_BENCH_", "AUDIT_COMPOSE_", "AUDIT_FANOUT_"];

/// Reads flags and environment; ends the process with a message on anything wrong.
pub fn from_args_and_env() -> Cli {
    // The flags alone: what is wrong with them is no variable's fault, and help comes whatever the
    // environment holds.
    let Ok((_, given)) = parse(|_| true) else {
        // Once more, since a help text names the variables.
        return parse(is_empty).map_or_else(|error| error.exit(), |(cli, _)| cli);
    };
    let named = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let unknown = unknown_settings(named);
    if !unknown.is_empty() {
        fail(&unknown.join("\n"));
    }
    let beaten = beaten_by(&given);
    let is_beaten = |name: &OsStr| beaten.iter().any(|beaten| name == beaten.as_str());
    match parse(|name| is_empty(name) || is_beaten(name)) {
        Ok((cli, _)) => cli,
        Err(error) => blame(&error),
    }
}

fn parse(forgotten: impl Fn(&OsStr) -> bool + Copy) -> Result<(Cli, ArgMatches), clap::Error> {
    let mut command = without_variables(Cli::command(), forgotten);
    let found = command.try_get_matches_from_mut(std::env::args_os());
    found
        .and_then(|found| Ok((Cli::from_arg_matches(&found)?, found)))
        .map_err(|error| error.format(&mut command))
}

/// One that is set to nothing is as good as unset.
fn is_empty(name: &OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Does not read these variables.
fn without_variables(
    command: clap::Command,
    forgotten: impl Fn(&OsStr) -> bool + Copy,
) -> clap::Command {
    let forget = |arg: clap::Arg| match arg.get_env() {
        Some(name) if forgotten(name) => arg.env(Resettable::Reset),
        _ => arg,
    };
    let below = |command| without_variables(command, forgotten);
    command.mut_args(forget).mut_subcommands(below)
}

/// The variables that stand for the same as a flag that is given, under the other name: a secret
/// and its file.
fn beaten_by(given: &ArgMatches) -> Vec<String> {
    let cli = Cli::command();
    let Some((name, given)) = given.subcommand() else { return Vec::new() };
    let args = cli.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let is_given = |arg: &&clap::Arg| {
        given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    args.filter(is_given)
        .filter_map(|arg| arg.get_env()?.to_str())
        .map(|name| match name.strip_suffix("_FILE") {
            Some(value) => value.to_owned(),
            None => format!("{name}_FILE"),
        })
        .collect()
}

/// Ends the process: the flags were right, so the environment is wrong.
fn blame(error: &clap::Error) -> ! {
    let setting = setting_behind(error);
    if let Some(setting) = setting.filter(|setting| std::env::var_os(setting).is_some()) {
        let _ = error.print();
        fail(&format!("the value came from the environment variable {setting}"));
    }
    error.exit()
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        eprintln!("error: {line}");
    }
    std::process::exit(2)
}

/// One line about each `AUDIT_…` variable that nothing of ours reads.
fn unknown_settings(names: impl Iterator<Item = String>) -> Vec<String> {
    let known = known_settings();
    let is_known = |name: &str| {
        known.iter().any(|k| k == name) || SCRIPT_PREFIXES.iter().any(|p| name.starts_with(p))
    };
    names
        .filter(|name| name.starts_with(PREFIX) && !is_known(name))
        .map(|name| match nearest(&name, &known) {
            Some(nearest) => {
                format!("unknown setting {name} in the environment; did you mean {nearest}?")
            }
            None => format!("unknown setting {name} in the environment"),
        })
        .collect()
}

/// The setting that was meant, where only a few letters differ.
fn nearest<'k>(name: &str, known: &'k [String]) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(known, name);
    let nearest = known.iter().min_by_key(|known| distance(known))?;
    let letters = name.len() - PREFIX.len();
    (distance(nearest) * LETTERS_PER_MISTAKE <= letters).then_some(nearest)
}

/// Every environment variable that a command or script of ours reads.
pub fn known_settings() -> Vec<String> {
    let mut names: Vec<String> = SCRIPT_SETTINGS.iter().map(|&name| name.to_owned()).collect();
    for command in Cli::command().get_subcommands() {
        for arg in command.get_arguments().chain(Cli::command().get_arguments()) {
            let Some(name) = arg.get_env().and_then(|name| name.to_str()) else { continue };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The environment variable of the argument that an error is about.
fn setting_behind(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    let ContextValue::String(usage) = error.get(ContextKind::InvalidArg)? else { return None };
    let flag = usage.split_whitespace().next()?.trim_start_matches("--");
    let flag = flag.split(['=', '[']).next()?;
    Cli::command()
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .chain(Cli::command().get_arguments())
        .find(|arg| arg.get_long() == Some(flag))
        .and_then(|arg| arg.get_env()?.to_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_is_near_is_suggested() {
        let known = known_settings();
        for (name, suggested) in [
            ("AUDIT_LISTN", Some("AUDIT_LISTEN")),
            ("AUDIT_URI", Some("AUDIT_URL")),
            ("AUDIT_DATABASE_ULR", Some("AUDIT_DATABASE_URL")),
            ("AUDIT_SEARCH_PASSWD", Some("AUDIT_SEARCH_PASSWORD")),
            ("AUDIT_FOO", None),
            ("AUDIT_", None),
            ("AUDIT_KAFKA_BROKERS", None),
        ] {
            assert_eq!(nearest(name, &known), suggested, "{name}");
        }
    }
}
