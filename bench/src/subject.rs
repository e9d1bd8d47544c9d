//! What is measured.

use std::fmt;

/// Something that writes, with so many connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) connections: usize,
}

/// What writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The service, one entry a request.
    Single,
    /// The same, each request with an Idempotency-Key.
    Keyed,
    /// (a) A service that parses, authorises, checks and answers, and stores nothing.
    Null,
    /// (b) A service that does an INSERT a request.
    Insert,
    /// (c) An INSERT and its commit, without any service.
    Commit,
    /// The same from pgbench.
    Pgbench,
    /// The service, 1,000 entries a request.
    Bulk,
    /// COPY in binary, 1,000 rows a commit.
    Copy,
    /// The service, one entry a request, for a minute.
    Sustained,
}

impl Kind {
    pub(crate) const fn at(self, connections: usize) -> Subject {
        Subject { kind: self, connections }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Keyed => "keyed",
            Self::Null => "null",
            Self::Insert => "insert",
            Self::Commit => "commit",
            Self::Pgbench => "pgbench",
            Self::Bulk => "bulk",
            Self::Copy => "copy",
            Self::Sustained => "sustained",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Single => "POST",
            Self::Keyed => "POST with a key",
            Self::Null => "(a) storing nothing",
            Self::Insert => "(b) an INSERT a request",
            Self::Commit => "(c) a raw commit",
            Self::Pgbench => "pgbench, an INSERT a commit",
            Self::Bulk => "POST of 1,000",
            Self::Copy => "COPY BINARY of 1,000",
            Self::Sustained => "POST, sustained",
        }
    }
}

impl Subject {
    /// In the order of a round and of the table: what is compared stands close together.
    pub(crate) const ROUND: [Self; 19] = [
        Kind::Single.at(1),
        Kind::Keyed.at(1),
        Kind::Null.at(1),
        Kind::Insert.at(1),
        Kind::Commit.at(1),
        Kind::Single.at(32),
        Kind::Keyed.at(32),
        Kind::Null.at(32),
        Kind::Insert.at(32),
        Kind::Pgbench.at(32),
        Kind::Single.at(256),
        Kind::Keyed.at(256),
        Kind::Null.at(256),
        Kind::Insert.at(256),
        Kind::Pgbench.at(256),
        Kind::Bulk.at(1),
        Kind::Copy.at(1),
        Kind::Bulk.at(4),
        Kind::Copy.at(4),
    ];

    /// Not in rounds: once, after them.
    pub(crate) const SUSTAINED: Self = Kind::Sustained.at(256);

    /// For `--only`, like `single-256`.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.kind.name(), self.connections)
    }

    /// Whether `--only` asks for it; nothing asked is everything.
    pub(crate) fn is_among(self, only: &[String]) -> bool {
        let name = self.name();
        only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.connections == 1 { "" } else { "s" };
        write!(f, "{}, {} connection{s}", self.kind.title(), self.connections)
    }
}
