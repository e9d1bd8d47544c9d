//! Whose pages may open a stream: a browser sends our cookies and reaches our network for
//! anybody's page, and says only here whose page it was.

use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use domain::ProblemCode;

use crate::error::ApiError;

/// Origins beside our own, like `https://audit.example.com`.
#[derive(Debug)]
pub struct Origins(Vec<String>);

impl Origins {
    pub(super) fn new(allowed: &[String]) -> Self {
        Self(allowed.iter().map(|origin| origin.to_ascii_lowercase()).collect())
    }

    /// No `Origin`, as of a program; that of our own page; or one that is allowed.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        let known = origin.to_str().is_ok_and(|origin| self.knows(origin, headers));
        if known && origins.next().is_none() {
            return Ok(());
        }
        let detail = "a page of this origin may open no stream: AUDIT_ALLOWED_ORIGINS must name it";
        Err(ApiError::new(ProblemCode::OriginNotAllowed, detail))
    }

    fn knows(&self, origin: &str, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let own = match (origin.split_once("://"), host) {
            (Some(("http" | "https", of_origin)), Some(host)) => {
                of_origin.eq_ignore_ascii_case(host)
            }
            _ => false,
        };
        own || self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, origins: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("a header"));
        for origin in origins {
            headers.append(ORIGIN, origin.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn our_own_page_and_those_allowed_may_others_may_not() {
        let origins = Origins::new(&["https://Audit.example.com".to_owned()]);
        let check = |host, sent: &[&str]| origins.check(&headers(host, sent)).is_ok();
        for sent in [
            &[][..],
            &["http://localhost:8000"],
            &["HTTPS://LOCALHOST:8000"].map(|_| "https://LOCALHOST:8000"),
            &["https://audit.example.com"],
        ] {
            assert!(check("localhost:8000", sent), "{sent:?}");
        }
        for sent in [
            &["null"][..],
            &["http://localhost"],
            &["http://localhost:8000.evil.example"],
            &["http://evil.example/localhost:8000"],
            &["http://audit.example.com"],
            &["https://audit.example.com.evil.example"],
            &["localhost:8000"],
            &["ftp://localhost:8000"],
            &["http://localhost:8000", "http://localhost:8000"],
        ] {
            assert!(!check("localhost:8000", sent), "{sent:?}");
        }
    }
}
