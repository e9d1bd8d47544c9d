//! What `/metrics` tells, read more strictly than Prometheus does.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::app::TestApp;
use crate::support::database::TestDb;
use crate::support::service::free_port;

/// A service whose metrics are served.
pub(crate) struct Watched {
    pub(crate) app: TestApp,
    pub(crate) admin: String,
}

impl Watched {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let db = TestDb::new().await;
        let url = db.url();
        Self::start_at(db, &url, flags).await
    }

    /// With a URL of its own for the database.
    pub(crate) async fn start_at(db: TestDb, url: &str, flags: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let flags = [&["--admin-listen", &address], flags].concat();
        let app = TestApp::start_at(db, url, &flags).await;
        Self { app, admin: format!("http://{address}") }
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        scrape(&self.admin).await
    }
}

/// Asks an admin listener.
pub(crate) async fn scrape(admin: &str) -> Scrape {
    let answer = reqwest::get(format!("{admin}/metrics")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    Scrape::read(&answer.text().await.unwrap())
}

/// What one scrape told.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    /// Kind by family.
    pub(crate) families: BTreeMap<String, String>,
    /// Labels that a family's series have.
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// A series, as the text names it; 0 where it is not there yet.
    pub(crate) fn get(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_default()
    }

    /// Whether a series has this value.
    pub(crate) fn is(&self, series: &str, value: f64) -> bool {
        (self.get(series) - value).abs() < 1e-9
    }

    pub(crate) fn find(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Their names, with their labels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }

    /// Reads a text; fails the test where it is not as it should be.
    pub(crate) fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        let mut open = String::new();
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').unwrap();
                assert!(help.len() > 15 && help.ends_with('.'), "a poor help: {line}");
                assert!(helped.insert(name.to_owned()), "twice: {line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(helped.contains(name), "no help before: {line}");
                check_family(name, kind);
                let before = scrape.families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "twice: {line}");
                name.clone_into(&mut open);
            } else {
                scrape.sample(line, &open);
            }
        }
        assert!(text.ends_with('\n'));
        scrape.check_histograms();
        scrape
    }

    fn sample(&mut self, line: &str, family: &str) {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("no TYPE before: {line}"));
        match self.families[family].as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            _ => assert_eq!(suffix, "", "{line}"),
        }
        assert!(value.is_finite() && (value >= 0.0 || self.families[family] == "gauge"), "{line}");
        for label in labels(series) {
            self.labels.entry(family.to_owned()).or_default().insert(label);
        }
        assert_eq!(self.series.insert(series.to_owned(), value), None, "twice: {line}");
    }

    /// Buckets grow, and the last of them holds all.
    fn check_histograms(&self) {
        for (series, count) in self.series.iter().filter(|(name, _)| name.contains("_count")) {
            let (name, labels) = series.split_once("_count").unwrap();
            if self.families.get(name).is_none_or(|kind| kind != "histogram") {
                continue;
            }
            let begin = labels.trim_end_matches('}').to_owned();
            let begin = if begin.is_empty() { "{".to_owned() } else { begin + "," };
            let begin = format!("{name}_bucket{begin}le=\"");
            let mut buckets: Vec<(f64, f64)> = self
                .series
                .iter()
                .filter_map(|(series, value)| {
                    let bound = series.strip_prefix(&begin)?.trim_end_matches("\"}");
                    Some((bound.replace("+Inf", "inf").parse().unwrap(), *value))
                })
                .collect();
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by_key(|(_, value)| *value), "{series}: {buckets:?}");
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{series}");
            assert!(self.series.contains_key(&format!("{name}_sum{labels}")), "{series}");
        }
    }
}

fn check_family(name: &str, kind: &str) {
    assert!(name.starts_with("audit_") || name.starts_with("process_"), "{name}");
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{name} is a {kind}");
    assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
}

/// The names of the labels; no value of ours has a quote or a comma in it.
fn labels(series: &str) -> Vec<String> {
    let Some((_, rest)) = series.split_once('{') else { return Vec::new() };
    let pairs = rest.strip_suffix('}').expect("a closing brace").split(',');
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            assert!(!value.unwrap().contains(['"', '\\']), "{series}");
            name.to_owned()
        })
        .collect()
}
