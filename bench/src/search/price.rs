//! What AWS asks for a million entries on their way to the index, and for the same one by one.
//!
//! List prices of us-east-1, without the free tier and without what idle polling costs.

use super::queue::Calls;

/// The prices' year; they have been the same for many.
pub(super) const AS_OF: &str = "2026";

/// SQS, standard queues: a million requests, in dollars.
const SQS_MILLION: f64 = 0.40;

/// Each 64 KiB of a request's messages is a request.
const SQS_CHUNK_BYTES: f64 = 65_536.0;

/// Lambda: a million calls, in dollars.
const LAMBDA_MILLION: f64 = 0.20;

/// Lambda on x86: a gigabyte for a second, in dollars; arm64 is a fifth cheaper.
const LAMBDA_GB_SECOND: f64 = 0.000_016_666_7;

/// What a call with ten entries in ten messages is taken to last; nobody bills less than this.
const SMALL_CALL_MS: f64 = 5.0;

/// Messages of a call, a receive, a delete.
const BATCH: f64 = 10.0;

/// What happened on the way of so many entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) entries: f64,
    /// Calls of `SendMessageBatch`.
    pub(super) sends: f64,
    pub(super) messages: f64,
    /// The messages' length, all together.
    pub(super) bytes: f64,
    pub(super) calls: Calls,
    /// The most memory that the function ever had.
    pub(super) memory_used: Option<u64>,
}

/// Dollars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    pub(super) sqs: f64,
    pub(super) lambda: f64,
}

impl Price {
    pub(super) fn all(self) -> f64 {
        self.sqs + self.lambda
    }
}

impl Way {
    /// The same for a million entries.
    pub(super) fn of_a_million(self) -> Self {
        let times = 1e6 / self.entries;
        let Calls { number, ms, .. } = self.calls;
        Self {
            entries: 1e6,
            sends: self.sends * times,
            messages: self.messages * times,
            bytes: self.bytes * times,
            calls: Calls { number: number * times, ms: ms * times, ..self.calls },
            ..self
        }
    }

    /// One message an entry, sent as it comes, received and deleted by tens.
    pub(super) fn one_by_one(self) -> Self {
        let number = self.entries / BATCH;
        let calls = Calls { number, ms: number * SMALL_CALL_MS, ..self.calls };
        Self { sends: self.entries, messages: self.entries, calls, ..self }
    }

    /// Each call of the function is a receive of what it was given, and a delete.
    pub(super) fn price(self) -> Price {
        let calls = self.calls.number;
        let chunks = |requests: f64| requests * (self.bytes / requests / SQS_CHUNK_BYTES).ceil();
        let requests = chunks(self.sends) + chunks(calls) + calls;
        let gb_seconds = self.calls.ms / 1_000.0 * self.calls.memory_mib / 1_024.0;
        Price {
            sqs: requests / 1e6 * SQS_MILLION,
            lambda: calls / 1e6 * LAMBDA_MILLION + gb_seconds * LAMBDA_GB_SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Calls, Way};

    #[test]
    fn one_message_an_entry_costs_what_the_list_says() {
        let calls = Calls { memory_mib: 1_024.0, ..Calls::default() };
        let way =
            Way { entries: 1e6, sends: 1.0, messages: 1.0, bytes: 7e8, calls, memory_used: None };
        let price = way.one_by_one().price();
        // A million sends, a hundred thousand receives and as many deletes.
        assert!((price.sqs - 0.40 * 1.2).abs() < 1e-9, "{price:?}");
        // A hundred thousand calls of 5 ms with 1 GB.
        assert!((price.lambda - (0.02 + 500.0 * 0.000_016_666_7)).abs() < 1e-9, "{price:?}");
    }

    #[test]
    fn every_64_kib_of_a_send_is_a_request() {
        let calls = Calls { number: 1.0, ..Calls::default() };
        let way = Way {
            entries: 1e3,
            sends: 1.0,
            messages: 10.0,
            bytes: 240.0 * 1_024.0,
            calls,
            memory_used: None,
        };
        // Four for the send, four for the receive, one for the delete.
        assert!((way.price().sqs - 9.0 * 0.40 / 1e6).abs() < 1e-12);
    }
}
