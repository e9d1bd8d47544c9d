//! Which span something belongs to, as it goes from one program to the next: W3C's `traceparent`.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// What all versions begin with; the only one that is known has no more.
const LEN: usize = 55;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// A span, as others name it. Of the caller's own `tracestate` nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext(pub(crate) SpanContext);

impl TraceContext {
    /// Reads a `traceparent`. Anything that is none is as good as nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let (known, more) = text.split_at_checked(LEN)?;
        let bytes = known.as_bytes();
        let are_apart = [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
        let are_hex = [0..2, 3..35, 36..52, 53..55].into_iter().all(|part| is_hex(&bytes[part]));
        if !are_apart || !are_hex {
            return None;
        }
        let (version, trace, span) = (&known[..2], &known[3..35], &known[36..52]);
        let flags = &known[53..];
        let is_whole = more.is_empty() || (version != "00" && more.starts_with('-'));
        if version == "ff" || !is_whole {
            return None;
        }
        let context = SpanContext::new(
            TraceId::from_hex(trace).ok()?,
            SpanId::from_hex(span).ok()?,
            // Of the flags only the first bit has a meaning.
            TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & 1),
            true,
            TraceState::NONE,
        );
        context.is_valid().then_some(Self(context))
    }

    /// As it is handed on.
    pub fn traceparent(&self) -> String {
        let flags = self.0.trace_flags().to_u8() & 1;
        format!("00-{}-{}-{flags:02x}", self.0.trace_id(), self.0.span_id())
    }

    /// Whether somebody wants to see what is done behind it.
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    /// The trace's id, for the log.
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }
}

/// Lower-case digits, as the standard has it.
fn is_hex(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte))
}

/// Works on behalf of a span: see [`current`].
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    match context {
        Some(context) => CURRENT.scope(context, work).await,
        None => work.await,
    }
}

/// The span that this task works on behalf of.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// What looks like one, what nearly does, and what does not.
    const FORMS: &str = "[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,9})?\
        |[0-9a-fé-]{50,58}\
        |.{0,60}";

    #[test]
    fn what_is_read_is_handed_on_as_it_was() {
        for flags in ["00", "01"] {
            let text = format!("{}{flags}", &GIVEN[..53]);
            assert_eq!(TraceContext::parse(&text).map(|read| read.traceparent()), Some(text));
        }
        // Of flags and versions to come, what is known today.
        for later in [
            format!("{}03", &GIVEN[..53]),
            format!("01{}", &GIVEN[2..]),
            format!("01{}-more-é", &GIVEN[2..]),
        ] {
            assert_eq!(
                TraceContext::parse(&later).map(|read| read.traceparent()).as_deref(),
                Some(GIVEN)
            );
        }
    }

    #[test]
    fn anything_else_is_as_good_as_nothing() {
        for text in [
            "",
            "00",
            &GIVEN[..54],
            &format!("{GIVEN}-more"),
            &format!("{GIVEN}-"),
            &format!(" {GIVEN}"),
            &format!("01{}more", &GIVEN[2..]),
            &GIVEN.replacen("00-", "0g-", 1),
            &GIVEN.replace("-01", "-0G"),
            &GIVEN.replace("-01", "-+1"),
            &GIVEN.to_uppercase(),
            &GIVEN.replace("b7ad6b7169203331", "0000000000000000"),
            &GIVEN.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GIVEN.replacen("00-", "ff-", 1),
            &GIVEN.replace('-', "_"),
            &GIVEN.replace("0af7", "0xf7"),
            &"é".repeat(28),
            &format!("0{}", "é".repeat(27)),
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        /// Senders send anything: nothing of it panics, and what is read says what it said.
        #[test]
        fn what_is_read_is_what_was_written(text in FORMS) {
            if let Some(read) = TraceContext::parse(&text) {
                let again = read.traceparent();
                proptest::prop_assert_eq!(&again[2..53], &text[2..53]);
                proptest::prop_assert_eq!(TraceContext::parse(&again), Some(read));
            }
        }
    }

    #[tokio::test]
    async fn work_knows_on_whose_behalf_it_is_done() {
        let context = TraceContext::parse(GIVEN);
        assert_eq!(current(), None);
        assert_eq!(within(context.clone(), async { current() }).await, context);
        assert_eq!(within(None, async { current() }).await, None);
    }
}
