//! The binary `audit-log`.

use std::process::ExitCode;

use api::commands::{
    self, emit_sample, export, migrate, poke, reindex, serve, tail, token, verify_index,
};
use api::config::{self, Cli, Command};
use api::logging;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = config::from_args_and_env();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(commands::exit_code(&error))
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Command::Token(args) = &cli.command {
        return token::run(args);
    }
    let _guard = logging::start(&cli.logging)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match &cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::EmitSample(args) => emit_sample::run(args).await,
            Command::Export(args) => export::run(args).await,
            Command::Tail(args) => tail::run(args).await,
            Command::Reindex(args) => reindex::run(args).await,
            Command::VerifyIndex(args) => verify_index::run(args).await,
            Command::Poke(args) => poke::run(args).await,
            Command::Token(_) => Ok(()),
        }
    })
}
