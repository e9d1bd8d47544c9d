//! Settings of live streams.

use std::time::Duration;

use clap::Args;

/// Settings of live streams.
#[derive(Debug, Clone, Args)]
pub struct StreamArgs {
    /// Live streams of this process
    #[arg(long, env = "AUDIT_STREAM_MAX", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub stream_max: u32,
    /// Live streams of one tenant in this process
    #[arg(long, env = "AUDIT_STREAM_TENANT_MAX", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub stream_tenant_max: u32,
    /// How long a stream may last on the word of a gateway, like `900s`, `15m` or `1h`
    #[arg(long, env = "AUDIT_STREAM_MAX_AGE", default_value = "15m", value_name = "TIME",
          value_parser = duration)]
    pub stream_max_age: Duration,
    /// Origins whose pages may open streams, beside our own, like `https://audit.example.com`
    #[arg(long, env = "AUDIT_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGINS",
          value_parser = origin)]
    pub allowed_origins: Vec<String>,
    /// Divides the periods of streams, for tests
    #[arg(long, default_value_t = 1, hide = true)]
    pub stream_hurry: u32,
}

impl Default for StreamArgs {
    fn default() -> Self {
        Self {
            stream_max: 10_000,
            stream_tenant_max: 1_000,
            stream_max_age: Duration::from_mins(15),
            allowed_origins: Vec::new(),
            stream_hurry: 1,
        }
    }
}

/// The longest time that can be set.
const DURATION_MAX: Duration = Duration::from_hours(24 * 7);

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3_600),
        _ => return Err("must be a number with s, m or h behind it, like 15m".to_owned()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let duration = seconds.map(Duration::from_secs);
    duration
        .filter(|duration| (Duration::from_secs(1)..=DURATION_MAX).contains(duration))
        .ok_or_else(|| "must be from 1s to 168h".to_owned())
}

fn origin(text: &str) -> Result<String, String> {
    let text = text.trim();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '@', '?', '#', '*', ' ']);
    host.is_some_and(is_host)
        .then(|| text.to_owned())
        .ok_or_else(|| "must be origins like https://audit.example.com, without a path".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        for (text, seconds) in [("900s", 900), ("15m", 900), ("1h", 3_600), ("168h", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "15", "m", "0s", "-1s", "169h", "1.5h", "15 m", "é", "99999999999999999h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_whole_and_no_more() {
        for text in ["https://a.example", "http://localhost:8000", " https://a.example"] {
            assert!(origin(text).is_ok(), "{text}");
        }
        for text in ["", "a.example", "https://", "https://a.example/", "*", "https://*.example"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }
}
