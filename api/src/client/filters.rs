//! `--filter NAME=VALUE`, as the commands that read entries take it.

use anyhow::{Context as _, bail};
use domain::Filter;

/// The parameters to ask with. What is wrong with a value the service says better.
pub fn parameters(filters: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    filters.iter().map(|filter| parameter(filter)).collect()
}

fn parameter(filter: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = filter
        .split_once('=')
        .with_context(|| format!("--filter {filter:?} must be NAME=VALUE"))?;
    if !Filter::PARAMETERS.contains(&name) && name != "q" {
        let known = Filter::PARAMETERS.join(", ");
        bail!("--filter {name:?} is unknown; there are {known} and q");
    }
    Ok((name.to_owned(), value.to_owned()))
}
