//! The benchmark: what the service gives of what the machine could give.
//!
//! ```text
//! cargo run --release -p bench -- write [--seconds S] [--rounds N] [--only NAME,…] [--quick]
//! cargo run --release -p bench -- read [--entries N] [--rounds N] [--only NAME,…] [--quick]
//! cargo run --release -p bench -- export-slow [--entries N] [--seconds S] [--full]
//! cargo run --release -p bench -- search [--entries N] [--rounds N] [--only NAME,…] [--quick]
//! cargo run --release -p bench -- search-outage [--seconds S]
//! cargo run --release -p bench -- stream [--seconds S] [--rounds N] [--only NAME,…] [--quick]
//! cargo run --release -p bench -- overload [--seconds S] [--rounds N] [--only NAME,…] [--quick]
//! cargo run --release -p bench -- size [--entries N]
//! ```
//!
//! `write` runs the release build of `audit-log serve` as a process of its own and compares it,
//! in interleaved rounds on one table, with
//! (a) `null`, the same service without storing, and (b) `insert`, the same service with an
//! INSERT a request, which are this program again as [`rival`] servers;
//! (c) `commit`, one connection that inserts and commits; `pgbench`, the same from C and without
//! HTTP; and `copy`, COPY in binary. [`read`] does the same with pages, exports and filters, against
//! psql and plain statements; [`slow`] looks at everybody else while a slow reader exports. [`search`]
//! compares the way to the search index, and searches there, with what its parts give alone.
//! [`overload`] asks for more than there is, of the service and of a tenant's share.
//! [`stream`] follows entries from their commit to those who watch, against a bare TCP fan-out.
//! `size` says what an entry takes on disk, compressed too where TimescaleDB keeps the log; one
//! connection is enough for it.
//!
//! The load comes from the same machine and shares its cores, so it is written to be cheap:
//! [`http`] knows the least HTTP that will do. Nothing here is part of the product.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "what is counted here stays between 0 and far below 2^31, and a mean needs no 52 bits"
)]

mod args;
mod comparisons;
mod copy;
mod cpu;
mod database;
mod entries;
mod facts;
mod goals;
mod http;
mod insert;
mod load;
mod overload;
mod pgbench;
mod programs;
mod read;
mod report;
mod rival;
mod rounds;
mod row;
mod search;
mod server;
mod size;
mod slow;
mod stream;
mod subject;
mod table;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime;

use crate::args::{Cli, Command};
use crate::rival::Keeper;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every goal was met.
fn run(command: Command) -> anyhow::Result<bool> {
    // One thread of load: it gives the other core away, and never waits for itself.
    let load = runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Write(args) => load.block_on(rounds::run(&args)),
        Command::ExportSlow(args) => load.block_on(slow::run(&args)),
        Command::Read(args) => load.block_on(read::run(&args)),
        Command::Search(args) => load.block_on(search::run(&args)),
        Command::Stream(args) => load.block_on(stream::run(&args)),
        Command::SearchOutage(args) => load.block_on(search::outage::run(&args)),
        Command::Overload(args) => load.block_on(overload::run(&args)),
        Command::Size(args) => load.block_on(size::run(&args)).map(|()| true),
        Command::ServeNull(args) => rival::run(&args, Keeper::Nothing).map(|()| true),
        Command::ServeInsert(args) => rival::run(&args, Keeper::Insert).map(|()| true),
    }
}
