//! Why streams end, in the words of both transports.

use super::outlet::Unsent;

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Gone,
    Violation(&'static str),
    Stopping,
    TooSlow,
    Unreadable,
    ProofEnded,
    TenantGone,
    Idle,
}

impl End {
    /// The close code, the code of the error, and what they mean.
    pub(super) fn words(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Gone => (1000, "closed", "the client has closed the stream"),
            Self::Violation(why) => (1008, "rule_broken", why),
            Self::Stopping => (1012, "shutting_down", "restart: come back with the cursor"),
            Self::TooSlow => (1013, "too_slow", "too slow: come back with the cursor"),
            Self::Unreadable => (1013, "log_unreadable", "the log cannot be read: try again later"),
            Self::ProofEnded => (4401, "proof_ended", "the proof of identity has ended: renew it"),
            Self::TenantGone => (4403, "tenant_gone", "the tenant is not known any more"),
            Self::Idle => (4408, "idle", "nothing was heard from the client"),
        }
    }
}

impl From<Unsent> for End {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Gone => Self::Gone,
            Unsent::TooSlow => Self::TooSlow,
        }
    }
}
