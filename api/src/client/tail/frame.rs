//! What the service says on a stream.

use std::borrow::Cow;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::value::RawValue;

/// One message, as far as it is understood here.
#[derive(Debug)]
pub enum Frame<'f> {
    /// The stream begins, or begins anew.
    Hello {
        /// Where it begins.
        cursor: Cow<'f, str>,
        /// The last entry there is.
        head_seq: u64,
    },
    /// An entry.
    Log {
        /// Where to go on after it.
        cursor: Cow<'f, str>,
        /// Its JSON, as it was sent.
        data: &'f str,
    },
    /// Nothing came, or nothing that was asked for.
    Heartbeat {
        /// How far the stream has come.
        cursor: Cow<'f, str>,
    },
    /// Entries that will not come.
    Gap {
        /// The first of them.
        from_seq: u64,
        /// The last of them.
        to_seq: u64,
        /// Why.
        reason: Cow<'f, str>,
        /// Where to go on after it, if it says so.
        cursor: Option<Cow<'f, str>>,
    },
    /// Something was wrong.
    Error {
        /// The stable code.
        code: Cow<'f, str>,
        /// What it says about it.
        detail: Cow<'f, str>,
    },
    /// What a later service may say.
    Other,
}

#[derive(Debug, Deserialize)]
struct Members<'f> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'f, str>,
    #[serde(borrow)]
    cursor: Option<Cow<'f, str>>,
    #[serde(borrow)]
    data: Option<&'f RawValue>,
    head_seq: Option<u64>,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    #[serde(borrow)]
    reason: Option<Cow<'f, str>>,
    #[serde(borrow)]
    code: Option<Cow<'f, str>>,
    #[serde(borrow)]
    detail: Option<Cow<'f, str>>,
}

impl<'f> Frame<'f> {
    /// Reads a message.
    pub fn read(text: &'f str) -> anyhow::Result<Self> {
        let members: Members<'f> =
            serde_json::from_str(text).context("a message is not what a stream has")?;
        let Members { cursor, data, head_seq, from_seq, to_seq, reason, code, detail, .. } =
            members;
        let lacks = |name| format!("a message of type {} lacks its {name}", members.kind);
        Ok(match &*members.kind {
            "hello" => Self::Hello {
                cursor: cursor.with_context(|| lacks("cursor"))?,
                head_seq: head_seq.with_context(|| lacks("head_seq"))?,
            },
            "log" => Self::Log {
                cursor: cursor.with_context(|| lacks("cursor"))?,
                data: data.with_context(|| lacks("data"))?.get(),
            },
            "heartbeat" => Self::Heartbeat { cursor: cursor.with_context(|| lacks("cursor"))? },
            "gap" => Self::Gap {
                from_seq: from_seq.with_context(|| lacks("from_seq"))?,
                to_seq: to_seq.with_context(|| lacks("to_seq"))?,
                reason: reason.unwrap_or_default(),
                cursor,
            },
            "error" => {
                Self::Error { code: code.unwrap_or_default(), detail: detail.unwrap_or_default() }
            }
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_stays_as_it_was_sent() {
        let data = r#"{"seq":1,"before":{"b":1.0,"a":1e400,"a":"é"}}"#;
        let text = format!(r#"{{"type":"log","cursor":"AbC","data":{data}}}"#);
        let Frame::Log { cursor, data: read } = Frame::read(&text).unwrap() else {
            panic!("it is an entry")
        };
        assert_eq!((&*cursor, read), ("AbC", data));
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_broken_is_not() {
        for text in [r#"{"type":"later","data":[1]}"#, r#"{"type":"later","new":{}}"#] {
            assert!(matches!(Frame::read(text).unwrap(), Frame::Other));
        }
        for (text, says) in [
            ("", "not what a stream has"),
            ("[]", "not what a stream has"),
            (r#"{"cursor":"x"}"#, "not what a stream has"),
            (r#"{"type":"log","cursor":"x"}"#, "lacks its data"),
            (r#"{"type":"log","data":{}}"#, "lacks its cursor"),
            (r#"{"type":"hello","cursor":"x"}"#, "lacks its head_seq"),
        ] {
            let error = format!("{:#}", Frame::read(text).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
