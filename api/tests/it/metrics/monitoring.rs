//! The dashboard, the alerts and their runbooks: they name what the service has, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use api::metrics::Metrics;
use saphyr::{LoadableYamlNode as _, Yaml};
use serde_json::Value;

use super::promql::{self, Used};
use crate::support::parts::root;

/// What a runbook page says, in this order.
const SECTIONS: [&str; 5] = [
    "## What it means",
    "## What users see",
    "## What to look at",
    "## What to do",
    "## How you know that it is over",
];

/// How the names begin that a page may take for metrics.
const FAMILIES: [&str; 8] = [
    "audit_append_",
    "audit_connections_",
    "audit_http_",
    "audit_index_",
    "audit_pool_",
    "audit_queue_",
    "audit_relay_",
    "audit_tls_",
];

/// Writes `docs/monitoring/metrics.md` anew.
const REWRITE: &str = "AUDIT_TEST_REWRITE";

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What each metric is, as queries name it; those that Prometheus adds besides.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for metric in Metrics::default().described() {
        let mut labels: BTreeSet<String> = ["job", "instance"].map(str::to_owned).into();
        labels.extend(metric.labels.iter().map(|label| (*label).to_owned()));
        if metric.kind == "histogram" {
            for suffix in ["_sum", "_count"] {
                known.insert(format!("{}{suffix}", metric.name), labels.clone());
            }
            labels.insert("le".to_owned());
            known.insert(format!("{}_bucket", metric.name), labels);
        } else {
            known.insert(metric.name.to_owned(), labels);
        }
    }
    known.insert("up".to_owned(), ["job", "instance"].map(str::to_owned).into());
    known
}

/// Fails unless the service has all that an expression names; gives its metrics.
fn check(place: &str, expression: &str) -> BTreeSet<String> {
    let (known, mut metrics) = (known(), BTreeSet::new());
    let used =
        promql::used(expression).unwrap_or_else(|error| panic!("{place}: {error}: {expression}"));
    let mut labels_of_all = BTreeSet::new();
    for Used { metric, labels } in &used.metrics {
        let has = known.get(metric).unwrap_or_else(|| panic!("{place}: there is no {metric}"));
        for label in labels {
            assert!(has.contains(label), "{place}: {metric} has no label {label}");
        }
        labels_of_all.extend(has.iter().cloned());
        metrics.insert(metric.clone());
    }
    for label in &used.grouped_by {
        assert!(
            labels_of_all.contains(label),
            "{place}: nothing has the label {label}: {expression}"
        );
    }
    assert!(!metrics.is_empty(), "{place}: {expression}");
    metrics
}

#[test]
fn every_alert_is_about_metrics_that_there_are_and_has_a_runbook() {
    let text = read("docs/monitoring/alerts.yaml");
    let documents = Yaml::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1);
    let groups = documents[0]["groups"].as_sequence().unwrap();
    let (mut names, mut pages) = (BTreeSet::new(), BTreeSet::new());
    for rule in groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap()) {
        let said = |key: &str| rule[key].as_str().unwrap_or_else(|| panic!("no {key}: {rule:?}"));
        let name = said("alert");
        assert!(names.insert(name.to_owned()), "twice: {name}");
        check(name, said("expr"));
        let keys: Vec<_> = rule.as_mapping().unwrap().keys().filter_map(Yaml::as_str).collect();
        assert_eq!(keys, ["alert", "expr", "for", "labels", "annotations"], "{name}");
        let (number, unit) = said("for").split_at(said("for").len() - 1);
        assert!(number.parse::<u32>().is_ok() && unit == "m", "{name}");
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&severity), "{name}");
        assert!(!rule["annotations"]["summary"].as_str().unwrap().is_empty());
        let page = rule["annotations"]["runbook"].as_str().unwrap();
        assert!(page.starts_with("docs/runbooks/"), "{name}");
        read(page);
        pages.insert(page.to_owned());
    }
    for (what, alert) in [
        ("not ready", "AuditNotReady"),
        ("5xx", "AuditServerErrors"),
        ("commit time", "AuditCommitSlow"),
        ("an incomplete index", "AuditIndexIncomplete"),
        ("a relay that is stuck", "AuditRelayStuck"),
        ("dead letters", "AuditDeadLetters"),
        ("partitions", "AuditPartitionsLow"),
        ("an old snapshot", "AuditOldSnapshot"),
        ("expiry", "AuditExpiryBehind"),
        ("WAL", "AuditWalRetained"),
        ("refusals", "AuditRefusals"),
        ("streams", "AuditStreamsFull"),
        ("connections", "AuditConnectionsFull"),
    ] {
        assert!(names.contains(alert), "nobody is told of {what}");
    }
    // And no page without an alert.
    for file in std::fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(pages.contains(&format!("docs/runbooks/{name}")), "no alert leads to {name}");
    }
}

#[test]
fn every_runbook_says_what_to_do() {
    let known = known();
    for file in std::fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let sections: Vec<_> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(sections, SECTIONS, "{}", path.display());
        for (section, next) in SECTIONS.iter().zip(SECTIONS.iter().skip(1)) {
            let begin = text.find(section).unwrap() + section.len();
            assert!(text[begin..text.find(next).unwrap()].trim().len() > 40, "{section}");
        }
        for metric in text.split(|c: char| !(c.is_ascii_lowercase() || c == '_')) {
            let is_metric = FAMILIES.iter().any(|begin| metric.starts_with(begin));
            let has = known.contains_key(metric) || known.contains_key(&format!("{metric}_sum"));
            assert!(!is_metric || has, "{}: there is no {metric}", path.display());
        }
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(path.parent().unwrap().join(link).exists(), "{}: {link}", path.display());
        }
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&read("docs/monitoring/dashboard.json")).unwrap();
    let (mut ids, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{title}: the id is another panel's, too"
        );
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let expression =
                expression.replace("$__rate_interval", "5m").replace("$job", "audit-log");
            assert!(!expression.contains('$'), "{title}: a variable that is not there");
            shown.extend(check(title, &expression));
        }
    }
    let places: Vec<_> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|panel| {
            let at = &panel["gridPos"];
            (at["y"].as_u64().unwrap(), at["x"].as_u64().unwrap(), at["h"].as_u64().unwrap())
        })
        .collect();
    assert!(places.is_sorted(), "panels lie over each other");
    assert!(shown.len() > 30, "{shown:?}");
}

/// What a HELP sends people to is there.
#[test]
fn the_list_of_metrics_is_what_the_service_has() {
    let metrics = Metrics::default();
    let mut text = read("docs/monitoring/metrics.md");
    let marker = "<!-- made by a test from here on -->\n";
    let begin = text.find(marker).expect("the marker") + marker.len();
    let mut made = "\n| metric | kind | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for metric in metrics.described() {
        assert!(metric.help.len() > 15 && metric.help.ends_with('.'), "{}", metric.name);
        for path in metric.help.split_whitespace().filter(|word| word.starts_with("docs/")) {
            read(path.trim_end_matches('.'));
        }
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let help = metric.help.replace("docs/runbooks/", "../runbooks/");
        let (name, kind, labels) = (metric.name, metric.kind, labels.join(", "));
        writeln!(made, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    if std::env::var_os(REWRITE).is_some() {
        text.replace_range(begin.., &made);
        std::fs::write(root().join("docs/monitoring/metrics.md"), &text).unwrap();
    }
    assert_eq!(&text[begin..], made, "{REWRITE}=1 writes it anew");
}
