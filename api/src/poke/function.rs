//! The function that indexes, and the mapping by which it takes from the queue: as far as we may look.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use serde::Deserialize;
use tokio::time::Instant;

use super::aws::{AwsFault, ask_lambda};
use super::check::Check;
use super::queue::{Settings, name_of};

pub(super) const PART: &str = "function";

/// A message must stay invisible for so many times the longest call: AWS tries again inside of it.
const VISIBILITY_FACTOR_MIN: u64 = 6;

/// What the function's environment and ours must agree on, and what it is unless set.
const PREFIX: (&str, &str) = ("AUDIT_SEARCH_PREFIX", "audit-logs");

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mappings {
    #[serde(default)]
    event_source_mappings: Vec<Mapping>,
}

/// An event source mapping, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mapping {
    function_arn: String,
    #[serde(default)]
    state: String,
    batch_size: Option<u32>,
    #[serde(default)]
    function_response_types: Vec<String>,
}

/// A function, as the API tells it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Function {
    timeout: u64,
    state: Option<String>,
    last_update_status: Option<String>,
    environment: Option<Environment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

/// Looks at what takes from the queue.
pub(super) async fn check(config: &SdkConfig, queue: &Settings, prefix: &str) -> Check {
    let mut check = Check::new(PART);
    match look(&mut check, config, queue, prefix).await {
        Ok(()) => {}
        Err(AwsFault::Forbidden) => {
            check.unknown(
                "not visible to us: that takes the rights lambda:ListEventSourceMappings and \
                 lambda:GetFunctionConfiguration",
            );
        }
        Err(AwsFault::Other(error)) => check.unknown(format!("Lambda does not say: {error:#}")),
    }
    check
}

async fn look(
    check: &mut Check,
    config: &SdkConfig,
    queue: &Settings,
    prefix: &str,
) -> Result<(), AwsFault> {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("EventSourceArn", &queue.arn)
        .finish();
    let asked_at = Instant::now();
    let path = format!("/2015-03-31/event-source-mappings/?{query}");
    let found: Mappings = ask_lambda(config, &path).await?;
    check.took(asked_at.elapsed());
    let Some(mapping) = found.event_source_mappings.first() else {
        check.fault("no event source mapping: nothing takes from the queue");
        return Ok(());
    };
    if found.event_source_mappings.len() > 1 {
        check.fault("several event source mappings take from the queue: one of them must go");
    }
    judge_mapping(check, mapping);
    // An ARN may end with a version or an alias, which stands after the name.
    let name = mapping.function_arn.split(":function:").nth(1).unwrap_or(&mapping.function_arn);
    let (name, qualifier) = name.split_once(':').unwrap_or((name, ""));
    let qualifier =
        if qualifier.is_empty() { String::new() } else { format!("?Qualifier={qualifier}") };
    let path = format!("/2015-03-31/functions/{name}/configuration{qualifier}");
    judge_function(check, &ask_lambda(config, &path).await?, queue, prefix);
    Ok(())
}

fn judge_mapping(check: &mut Check, mapping: &Mapping) {
    check.fact(name_of(&mapping.function_arn));
    if mapping.state != "Enabled" {
        check.fault(format!("its event source mapping is {}", mapping.state));
    }
    if let Some(len) = mapping.batch_size {
        check.fact(format!("batches of {len}"));
    }
    if mapping.function_response_types.iter().any(|name| name == "ReportBatchItemFailures") {
        check.fact("partial responses");
    } else {
        check.fault("without ReportBatchItemFailures: messages that failed are taken for indexed");
    }
}

fn judge_function(check: &mut Check, function: &Function, queue: &Settings, prefix: &str) {
    check.fact(format!("time-out {} s", function.timeout));
    let wanted_s = function.timeout * VISIBILITY_FACTOR_MIN;
    if queue.visibility_s < wanted_s {
        check.fault(format!(
            "the queue's visibility is {} s: {wanted_s} s, {VISIBILITY_FACTOR_MIN} times the \
             function's time-out, is the least",
            queue.visibility_s
        ));
    }
    for state in [&function.state, &function.last_update_status].into_iter().flatten() {
        if state == "Failed" {
            check.fault("the function is in the state Failed");
        }
    }
    let variables = function.environment.as_ref().map(|environment| &environment.variables);
    if let Some(variables) = variables {
        let theirs = variables.get(PREFIX.0).map_or(PREFIX.1, String::as_str);
        if theirs != prefix {
            check.fault(format!("it writes to indices named {theirs}…, searches read {prefix}…"));
        }
    }
}
