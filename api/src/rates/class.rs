//! Kinds of requests that are limited apart.

use axum::http::Method;

/// What a request is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// What changes something, and is none of the others.
    Write,
    /// Entries of `POST /logs/bulk`.
    Bulk,
    /// What reads, and is none of the others.
    Read,
    /// What looks for words, or counts.
    Search,
    /// Exports.
    Export,
    /// Streams that are opened.
    Stream,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Every class, in the order in which they are declared.
    pub const ALL: [Self; 6] =
        [Self::Write, Self::Bulk, Self::Read, Self::Search, Self::Export, Self::Stream];

    /// The class of a request to a route below the base.
    pub fn of(method: &Method, route: &str) -> Self {
        match route {
            "/logs/bulk" => Self::Bulk,
            "/logs/search" | "/logs/stats" => Self::Search,
            "/logs/export" => Self::Export,
            "/logs/stream" => Self::Stream,
            _ if method.is_safe() => Self::Read,
            _ => Self::Write,
        }
    }

    /// The name that settings use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Bulk => "bulk",
            Self::Read => "read",
            Self::Search => "search",
            Self::Export => "export",
            Self::Stream => "stream",
        }
    }

    /// What is counted, for people.
    pub(super) fn counted(self) -> &'static str {
        match self {
            Self::Write => "writing requests",
            Self::Bulk => "entries in bulk",
            Self::Read => "reading requests",
            Self::Search => "searches and statistics",
            Self::Export => "exports",
            Self::Stream => "streams that are opened",
        }
    }

    /// The class of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Every name, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_as_what_it_does() {
        for (method, route, class) in [
            (Method::POST, "/logs", Class::Write),
            (Method::PATCH, "/tenants/self", Class::Write),
            (Method::DELETE, "/logs/cleanup", Class::Write),
            (Method::POST, "/logs/bulk", Class::Bulk),
            (Method::GET, "/logs", Class::Read),
            (Method::HEAD, "/logs/{id}", Class::Read),
            (Method::HEAD, "/logs/search", Class::Search),
            (Method::GET, "/logs/stats", Class::Search),
            (Method::GET, "/logs/export", Class::Export),
            (Method::GET, "/logs/stream", Class::Stream),
            (Method::POST, "/logs/stream/ticket", Class::Write),
        ] {
            assert_eq!(Class::of(&method, route), class, "{method} {route}");
        }
    }
}
