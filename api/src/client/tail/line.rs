//! An entry as a line for people: aligned, coloured, and never more than a line.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::client::plain::plain;

/// Columns of the terminal for each part; what is longer is cut.
const SEVERITY_WIDTH: usize = 8;
const ACTOR_WIDTH: usize = 16;
const ACTION_WIDTH: usize = 16;
const RESOURCE_WIDTH: usize = 32;
const MESSAGE_WIDTH_MAX: usize = 500;

/// Of what is no entry that we know, so much is shown.
const UNKNOWN_WIDTH_MAX: usize = 2_000;

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S%.3f";

/// Orders to the terminal: colours, and an end of them.
mod color {
    pub(super) const NONE: &str = "";
    pub(super) const DIM: &str = "\x1b[2m";
    pub(super) const BOLD: &str = "\x1b[1m";
    pub(super) const GREEN: &str = "\x1b[32m";
    pub(super) const YELLOW: &str = "\x1b[33m";
    pub(super) const RED: &str = "\x1b[1;31m";
    pub(super) const RED_ALL_OVER: &str = "\x1b[1;37;41m";
    pub(super) const CYAN: &str = "\x1b[36m";
    pub(super) const END: &str = "\x1b[0m";
}

/// How lines look.
#[derive(Debug)]
pub struct Look {
    /// Whether the terminal shall have colours.
    pub colors: bool,
    /// Whose clock times are shown by.
    pub zone: TimeZone,
}

/// What of an entry is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shown {
    recorded_at: String,
    severity: String,
    user_id: String,
    user_name: Option<String>,
    action: String,
    resource_type: String,
    resource_id: Option<String>,
    message: Option<String>,
}

impl Look {
    /// The line of an entry, with its end.
    pub fn line(&self, entry: &str) -> String {
        let Ok(shown) = serde_json::from_str::<Shown>(entry) else {
            return cut(&plain(entry), UNKNOWN_WIDTH_MAX) + "\n";
        };
        let actor = shown.user_name.filter(|name| !name.is_empty()).unwrap_or(shown.user_id);
        let resource = match shown.resource_id {
            Some(id) => format!("{}/{id}", shown.resource_type),
            None => shown.resource_type,
        };
        let severity_color = color_of(&shown.severity);
        let mut line = String::with_capacity(160);
        self.column(&mut line, color::DIM, &self.time(&shown.recorded_at), 0);
        self.column(&mut line, severity_color, &shown.severity, SEVERITY_WIDTH);
        self.column(&mut line, color::BOLD, &actor, ACTOR_WIDTH);
        self.column(&mut line, color::CYAN, &shown.action, ACTION_WIDTH);
        self.column(&mut line, color::NONE, &resource, RESOURCE_WIDTH);
        line.push_str(&cut(&plain(&shown.message.unwrap_or_default()), MESSAGE_WIDTH_MAX));
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    /// The time on the wall; what is no time as it came.
    fn time(&self, text: &str) -> String {
        let Ok(at) = text.parse::<Timestamp>() else { return text.to_owned() };
        at.to_zoned(self.zone.clone()).strftime(TIME_FORMAT).to_string()
    }

    /// Text of exactly this width, or of its own where that is 0, and a space that parts columns.
    fn column(&self, line: &mut String, color: &str, text: &str, width: usize) {
        let text = plain(text);
        let text = if width == 0 { text.into_owned() } else { cut(&text, width) };
        let padding = width.saturating_sub(text.width()) + 2;
        let end = if self.colors && !color.is_empty() { color::END } else { "" };
        let color = if self.colors { color } else { "" };
        // Writing to a string does not fail.
        let _ = write!(line, "{color}{text}{end}{:padding$}", "");
    }
}

fn color_of(severity: &str) -> &'static str {
    match severity {
        "INFO" => color::GREEN,
        "WARNING" => color::YELLOW,
        "ERROR" => color::RED,
        "CRITICAL" => color::RED_ALL_OVER,
        _ => color::NONE,
    }
}

/// The text, or as much of it as fits before a sign that there is more.
fn cut(text: &str, width_max: usize) -> String {
    if text.width() <= width_max {
        return text.to_owned();
    }
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or_default();
        width < width_max
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that unwraps fails loudly, as it should")]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn look(colors: bool) -> Look {
        Look { colors, zone: TimeZone::get("Asia/Kolkata").unwrap() }
    }

    fn entry(members: &Value) -> String {
        let mut entry = json!({
            "id": "x", "seq": 7, "recorded_at": "2026-11-21T22:23:17.123Z", "severity": "WARNING",
            "user_id": "u-17", "user_name": null, "action": "invoice.approved",
            "resource_type": "invoice", "resource_id": "inv-1", "message": null,
        });
        let members = members.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(members);
        entry.to_string()
    }

    #[test]
    fn a_line_has_time_severity_actor_action_resource_and_message_in_columns() {
        let first = look(false).line(&entry(&json!({"message": "paid twice"})));
        assert_eq!(
            first,
            "2026-11-22 03:53:17.123  WARNING   u-17              invoice.approved  \
             invoice/inv-1                     paid twice\n"
        );
        let second = look(false).line(&entry(&json!({
            "user_name": "山田 太郎", "severity": "CRITICAL", "message": "paid",
            "action": "an.action.that.is.longer.than.its.column", "resource_id": null,
        })));
        assert!(second.contains("山田 太郎         an.action.that.…  invoice   "), "{second}");
        let at = |line: &str| line[..line.find("paid").unwrap()].width();
        assert_eq!(at(&first), at(&second), "columns stand below each other");
    }

    #[test]
    fn colours_are_there_when_wanted_and_change_nothing_else() {
        let entry = entry(&json!({"severity": "CRITICAL", "message": "m"}));
        let colored = look(true).line(&entry);
        assert!(colored.contains("\x1b[1;37;41mCRITICAL\x1b[0m"), "{colored}");
        let mut without = colored;
        for code in [color::DIM, color::BOLD, color::CYAN, color::RED_ALL_OVER, color::END] {
            without = without.replace(code, "");
        }
        assert_eq!(without, look(false).line(&entry));
    }

    #[test]
    fn what_is_no_entry_of_ours_is_shown_all_the_same() {
        for (text, line) in [
            ("{}", "\n"),
            ("\"\\u001b\u{9b}\"", "\"\\\\u001b\\u{9b}\"\n"),
            (r#"{"recorded_at":"yesterday"}"#, "yesterday\n"),
        ] {
            assert_eq!(look(false).line(text), line);
        }
        let long = look(false).line(&entry(&json!({"message": "x".repeat(8_192)})));
        assert!(long.len() < 700 && long.ends_with("x…\n"), "{long}");
    }

    proptest! {
        #[test]
        fn whatever_an_entry_holds_it_is_one_line_without_orders_to_the_terminal(
            texts in prop::array::uniform8(any::<String>())
        ) {
            let names = [
                "recorded_at", "severity", "user_id", "user_name", "action", "resource_type",
                "resource_id", "message",
            ];
            let members: Value = names.into_iter().zip(texts).collect();
            let line = look(false).line(&entry(&members));
            let text = line.strip_suffix('\n').unwrap();
            prop_assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
        }
    }
}
