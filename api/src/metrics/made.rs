//! Metrics made, registered and described. Names and labels are constants, so nothing of it can
//! fail when the service runs; each test that starts one makes all of them.

use std::cell::RefCell;

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry,
};

/// From a cache's answer to a time-out.
pub(super) const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// One metric, as its documentation tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The labels that its series have.
    pub labels: &'static [&'static str],
    /// What it means, and what to do with it.
    pub help: &'static str,
}

/// Makes metrics of a registry.
#[derive(Debug, Default)]
pub(super) struct Maker {
    pub(super) registry: Registry,
    pub(super) described: RefCell<Vec<Described>>,
}

/// A gauge that is left out while its value is not known.
#[derive(Debug)]
pub(super) struct Known(GaugeVec);

impl Known {
    pub(super) fn set(&self, value: Option<f64>) {
        match value {
            Some(value) => self.0.with_label_values::<&str>(&[]).set(value),
            None => self.0.reset(),
        }
    }
}

/// The same for each value of a label, which are few and constant.
#[derive(Debug)]
pub(super) struct Labelled(GaugeVec);

impl Labelled {
    pub(super) fn set(&self, label: &'static str, value: Option<f64>) {
        match value {
            Some(value) => self.0.with_label_values(&[label]).set(value),
            // An error says that it was not there.
            None => drop(self.0.remove_label_values(&[label])),
        }
    }
}

/// Names of labels.
type Labels = &'static [&'static str];

impl Maker {
    fn keep<C: Collector + Clone + 'static>(
        &self,
        described: Described,
        made: prometheus::Result<C>,
    ) -> C {
        self.described.borrow_mut().push(described);
        let kept = made.and_then(|metric| {
            self.registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        });
        kept.unwrap_or_else(|error| unreachable!("names are constants: {error}"))
    }

    /// Which program this is.
    pub(super) fn build_info(&self) {
        let info = self.gauges(
            "audit_build_info",
            "The version of the service, as a label; always 1. Two versions for long: a deploy stands still.",
            &["version"],
        );
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        let described = Described { name, kind: "counter", labels: &[], help };
        self.keep(described, IntCounter::new(name, help))
    }

    pub(super) fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
    ) -> IntCounterVec {
        let described = Described { name, kind: "counter", labels, help };
        self.keep(described, IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A counter of time.
    pub(super) fn time(&self, name: &'static str, help: &'static str) -> Counter {
        let described = Described { name, kind: "counter", labels: &[], help };
        self.keep(described, Counter::new(name, help))
    }

    pub(super) fn gauge(&self, name: &'static str, help: &'static str) -> IntGauge {
        let described = Described { name, kind: "gauge", labels: &[], help };
        self.keep(described, IntGauge::new(name, help))
    }

    pub(super) fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
    ) -> IntGaugeVec {
        let described = Described { name, kind: "gauge", labels, help };
        self.keep(described, IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A gauge of a time that is always known.
    pub(super) fn seconds(&self, name: &'static str, help: &'static str) -> Gauge {
        let described = Described { name, kind: "gauge", labels: &[], help };
        self.keep(described, Gauge::new(name, help))
    }

    pub(super) fn known(&self, name: &'static str, help: &'static str) -> Known {
        let described = Described { name, kind: "gauge", labels: &[], help };
        Known(self.keep(described, GaugeVec::new(Opts::new(name, help), &[])))
    }

    pub(super) fn labelled(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str; 1],
    ) -> Labelled {
        let described = Described { name, kind: "gauge", labels, help };
        Labelled(self.keep(described, GaugeVec::new(Opts::new(name, help), labels)))
    }

    pub(super) fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Histogram {
        let described = Described { name, kind: "histogram", labels: &[], help };
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.keep(described, Histogram::with_opts(options))
    }

    pub(super) fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: Labels,
    ) -> HistogramVec {
        let described = Described { name, kind: "histogram", labels, help };
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.keep(described, HistogramVec::new(options, labels))
    }
}

/// A number that Prometheus keeps as a float anyway.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(super) fn float(number: i64) -> f64 {
    number as f64
}

/// The same of a size.
pub(super) fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
