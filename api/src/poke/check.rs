//! What was found out about one dependency.

use std::time::Duration;

use serde::Serialize;

/// How it is, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Not configured, so nothing is promised of it.
    Off,
    /// We may not look.
    Unknown,
    /// It works, and somebody should look at it.
    Warning,
    /// A promise is broken, or will be.
    Fault,
}

impl Status {
    /// Its name, as people and programs read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Off => "off",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        }
    }
}

/// One dependency, or one promise about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub part: &'static str,
    /// The worst of what was found.
    pub status: Status,
    /// How long its answer took.
    pub latency_ms: Option<f64>,
    /// What is not as it should be, and what to do.
    pub problems: Vec<String>,
    /// What is there.
    pub facts: Vec<String>,
}

impl Check {
    /// Nothing found yet, neither good nor bad.
    pub fn new(part: &'static str) -> Self {
        let (problems, facts) = (Vec::new(), Vec::new());
        Self { part, status: Status::Ok, latency_ms: None, problems, facts }
    }

    /// One that there is nothing to look at for.
    pub fn off(part: &'static str, why: &str) -> Self {
        let mut check = Self::new(part);
        check.status = Status::Off;
        check.fact(why);
        check
    }

    /// One with this fault alone.
    pub fn broken(part: &'static str, why: impl Into<String>) -> Self {
        let mut check = Self::new(part);
        check.fault(why);
        check
    }

    /// How long its answer took.
    pub fn took(&mut self, latency: Duration) {
        // Microseconds are enough for anybody.
        self.latency_ms = Some((latency.as_secs_f64() * 1e6).round() / 1e3);
    }

    /// Something worth knowing.
    pub fn fact(&mut self, text: impl Into<String>) {
        self.facts.push(text.into());
    }

    /// Something that breaks a promise.
    pub fn fault(&mut self, text: impl Into<String>) {
        self.found(Status::Fault, text);
    }

    /// Something that somebody should look at.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.found(Status::Warning, text);
    }

    /// Something that we may not look at.
    pub fn unknown(&mut self, text: impl Into<String>) {
        self.found(Status::Unknown, text);
    }

    fn found(&mut self, status: Status, text: impl Into<String>) {
        self.status = self.status.max(status);
        self.problems.push(text.into());
    }
}
