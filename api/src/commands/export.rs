//! `audit-log export`: an export that resumes after a break and proves that it is whole.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};

use crate::client::export::{Export, Facts, NotWhole, Order, Output, Range, counted, verify};
use crate::client::filters;
use crate::client::service::Service;
use crate::config::{ExportArgs, ExportFormat, WrongSettings};

/// Exports, or looks at what was exported.
pub async fn run(args: &ExportArgs) -> anyhow::Result<()> {
    if let Some(path) = &args.verify {
        return verify_file(path);
    }
    let order = order(args).context(WrongSettings)?;
    let service = Service::new(&args.service)?;
    let output = Output::open(args.output.as_deref(), args.force)?;
    let facts = Export::begin(&service, &order, output)?.run().await?;
    eprintln!("whole: {}", said(&facts));
    Ok(())
}

fn verify_file(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let unreadable = || format!("cannot read {shown}");
    let mut file = BufReader::new(File::open(path).with_context(unreadable)?);
    let begin = file.fill_buf().with_context(unreadable)?.first();
    // An array begins with a bracket, CSV with a name: neither says at its end what it should hold.
    if begin.is_some_and(|byte| *byte != b'{') {
        let wrong = anyhow!("{shown} is no NDJSON export, and others have no end record to verify");
        return Err(wrong.context(WrongSettings));
    }
    let facts = verify(file).context(NotWhole::for_good()).context(format!("{shown}"))?;
    eprintln!("{shown} is whole: {}", said(&facts));
    Ok(())
}

fn said(facts: &Facts) -> String {
    let Facts { rows, range, sha256 } = facts;
    let of = match range {
        Range { first_seq: Some(first), last_seq: Some(last) } => {
            format!(" of seq {first} to {last}")
        }
        _ => String::new(),
    };
    format!("{}{of}, sha256 {sha256}", counted(*rows))
}

/// The parameters to ask with. What is wrong with a value the service says better.
fn order(args: &ExportArgs) -> anyhow::Result<Order> {
    let mut filters = filters::parameters(&args.filters)?;
    for (name, value) in [("from", &args.from), ("to", &args.to)] {
        filters.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    if args.raw && args.format != ExportFormat::Csv {
        bail!("--raw is for --format csv");
    }
    let filtered = !filters.is_empty();
    let mut query = vec![("format".to_owned(), args.format.as_str().to_owned())];
    query.extend(args.raw.then(|| ("raw".to_owned(), "true".to_owned())));
    query.extend(filters);
    let patience = Duration::from_secs(args.patience_s);
    Ok(Order { format: args.format, query, filtered, max_entries: args.max_entries, patience })
}
