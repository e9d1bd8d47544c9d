//! How the service closes a stream, and what is to be done about it.

use std::fmt;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::client::plain::plain;

/// How long to stay away from a service that cannot keep up.
const TRY_LATER: Duration = Duration::from_secs(5);

/// A close frame: its code, and the service's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    code: Option<u16>,
    reason: String,
}

impl Closing {
    /// Of a connection that was closed, with a reason or without.
    pub fn new(frame: Option<&CloseFrame>) -> Self {
        Self {
            code: frame.map(|frame| frame.code.into()),
            reason: frame.map_or_else(String::new, |frame| frame.reason.to_string()),
        }
    }

    /// Whether coming back with the cursor may help.
    pub fn may_pass(&self) -> bool {
        // A proof that has ended is made anew for each connection; if not, the next answer is 401.
        matches!(self.code, None | Some(1000 | 1001 | 1005 | 1006 | 1011..=1014 | 4401 | 4408))
    }

    /// When to come back.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.code == Some(1013)).then_some(TRY_LATER)
    }

    fn meaning(&self) -> &'static str {
        match self.code {
            None | Some(1000 | 1005) => "the service has closed the stream",
            Some(1001 | 1012) => "the service stops or starts anew",
            Some(1002 | 1003 | 1007 | 1009 | 1010) => {
                "the service does not understand this client; is there a proxy in between, or is \
                 one of them of another version?"
            }
            Some(1008) => "a rule was broken",
            Some(1011) => "the service has failed",
            Some(1013) => "entries were taken too slowly, or the service has too much to do",
            Some(4401) => "the proof of who is calling has ended",
            Some(4403) => "the tenant, or the role in it, is no more",
            Some(4408) => "the service has heard nothing from here for a while",
            Some(_) => "the service has closed the stream for a reason unknown here",
        }
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())?;
        if let Some(code) = self.code {
            write!(f, " (close code {code}")?;
            if !self.reason.is_empty() {
                write!(f, ": {}", plain(&self.reason))?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(code: u16, reason: &str) -> Closing {
        Closing::new(Some(&CloseFrame { code: code.into(), reason: reason.into() }))
    }

    #[test]
    fn who_may_come_back_does_and_who_may_not_stops() {
        for code in [1000, 1001, 1011, 1012, 1013, 4401, 4408] {
            assert!(closing(code, "").may_pass(), "{code}");
        }
        for code in [1002, 1003, 1007, 1008, 1009, 1010, 4400, 4403, 4999] {
            assert!(!closing(code, "").may_pass(), "{code}");
        }
        assert!(Closing::new(None).may_pass());
        assert_eq!(closing(1013, "").retry_after(), Some(TRY_LATER));
        assert_eq!(closing(1012, "").retry_after(), None);
    }

    #[test]
    fn each_documented_code_is_said_in_words_of_its_own() {
        let codes = [1000, 1008, 1012, 1013, 4401, 4403, 4408];
        let meanings: std::collections::HashSet<_> =
            codes.map(|code| closing(code, "").meaning()).into();
        assert_eq!(meanings.len(), codes.len());
        assert_eq!(
            closing(1008, "no binary \u{1b}[2J").to_string(),
            r"a rule was broken (close code 1008: no binary \u{1b}[2J)"
        );
    }
}
