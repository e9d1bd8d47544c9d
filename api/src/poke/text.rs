//! A report for people: a line for each check.

use std::fmt::Write as _;

use super::check::{Check, Status};

/// The lines; with colours where somebody looks.
pub fn lines(checks: &[Check], colours: bool) -> String {
    let mut text = String::new();
    for check in checks {
        let (on, off) = if colours { (colour(check.status), "\x1b[0m") } else { ("", "") };
        let latency = check.latency_ms.map(|ms| format!("{ms:.1} ms")).unwrap_or_default();
        let said: Vec<_> =
            check.problems.iter().chain(&check.facts).map(|text| plain(text)).collect();
        // A text takes all that is written to it.
        let _ = writeln!(
            text,
            "{on}{:<8}{off} {:<13} {latency:>10}  {}",
            check.status.as_str(),
            check.part,
            said.join("; "),
        );
    }
    text
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Ok => "\x1b[32m",
        Status::Off => "\x1b[2m",
        Status::Unknown | Status::Warning => "\x1b[33m",
        Status::Fault => "\x1b[1;31m",
    }
}

/// On one line, and with nothing in it that a terminal obeys: some of it is what others answered.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(char::is_control, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_one_line_whatever_was_answered() {
        let mut check = Check::new("postgres");
        check.fault("two\nlines\x1b[31m");
        check.fact("PostgreSQL 15");
        let plain = lines(&[check.clone(), Check::off("queue", "not set")], false);
        assert_eq!(plain.lines().count(), 2);
        assert!(plain.starts_with("FAULT    postgres "));
        assert!(plain.contains("two lines[31m; PostgreSQL 15\n"));
        assert!(!plain.contains('\x1b'));
        assert!(lines(&[check], true).starts_with("\x1b[1;31mFAULT"));
    }
}
