//! What a client may say.

use serde::Deserialize;

/// Bytes of one message.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    /// Send nothing more, but heartbeats.
    Pause {},
    /// Go on where it was paused.
    Resume {},
    /// From here on, send what passes this.
    Filter {
        /// As in the query string of the request.
        filter: String,
    },
}

impl Message {
    /// Reads one; what is wrong with it otherwise.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err("a message has at most 16 KiB");
        }
        let wrong = "a message is {\"type\":\"pause\"}, {\"type\":\"resume\"} or \
                     {\"type\":\"filter\",\"filter\":\"…\"}";
        serde_json::from_str(text).map_err(|_| wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_messages_are_known_and_nothing_else() {
        assert_eq!(Message::read("{\"type\":\"pause\"}"), Ok(Message::Pause {}));
        assert_eq!(Message::read(" {\"type\" : \"resume\"}\n"), Ok(Message::Resume {}));
        let filter = Message::Filter { filter: "action=VIEW".to_owned() };
        assert_eq!(Message::read("{\"filter\":\"action=VIEW\",\"type\":\"filter\"}"), Ok(filter));
        for wrong in [
            "",
            "{}",
            "pause",
            "\"pause\"",
            "{\"type\":\"Pause\"}",
            "{\"type\":\"pause\",\"x\":1}",
            "{\"type\":\"pause\",\"type\":\"pause\"}",
            "{\"type\":\"filter\"}",
            "{\"type\":\"filter\",\"filter\":7}",
            "{\"type\":\"filter\",\"filter\":\"\",\"filter\":\"\"}",
            "{\"type\":\"pause\"}{\"type\":\"resume\"}",
        ] {
            assert!(Message::read(wrong).is_err(), "{wrong}");
        }
        let long = format!("{{\"type\":\"filter\",\"filter\":\"{}\"}}", "x".repeat(16 << 10));
        assert!(Message::read(&long).is_err());
    }
}
