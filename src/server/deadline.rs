//! How long one review may take: what the API server allows (`?timeout=10s`), less a margin for the way back.

use std::time::Duration;

/// What the API server uses when a webhook configuration names no `timeoutSeconds`.
const DEFAULT: Duration = Duration::from_secs(10);

/// The most that a webhook configuration may ask for; more is no API server's wish.
const LONGEST: Duration = Duration::from_secs(30);

/// An answer that is ready this close to the end would not arrive in time.
const MARGIN: Duration = Duration::from_millis(200);

/// The time to answer in: the timeout less 10 %, at least 200 ms, but never more than half of it.
/// A missing or unreadable timeout counts as the API server's default of 10 s.
pub(crate) fn budget(query: Option<&str>) -> Duration {
    let timeout = query
        .and_then(|query| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix("timeout="))
        })
        .and_then(parse_go_duration)
        .filter(|timeout| !timeout.is_zero())
        .map_or(DEFAULT, |timeout| timeout.min(LONGEST));
    timeout.saturating_sub((timeout / 10).max(MARGIN).min(timeout / 2))
}

/// Reads what Go's `time.ParseDuration` reads, but for signs: `10s`, `1m30s`, `1.5h`, `250ms`, `0`.
#[must_use]
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        total = total.checked_add(seconds(number, unit)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

fn seconds(number: &str, unit: &str) -> Option<Duration> {
    let scale = match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations_and_nothing_else() {
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            ("250ms", 250),
            ("0", 0),
            ("1h", 3_600_000),
            (".5s", 500),
        ] {
            assert_eq!(
                parse_go_duration(text),
                Some(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "10x",
            "-5s",
            "1s2",
            "1..2s",
            ".s",
            "99999999999999999999999h",
            "1 s",
        ] {
            assert_eq!(parse_go_duration(text), None, "{text}");
        }
    }

    #[test]
    fn leaves_a_margin_for_the_way_back() {
        for (query, milliseconds) in [
            (Some("timeout=10s"), 9_000),
            (Some("timeout=1s"), 800),
            (Some("timeout=100ms"), 50),
            (Some("dry=1&timeout=30s"), 27_000),
            (Some("timeout=1h"), 27_000),
            (Some("timeout=0s"), 9_000),
            (Some("timeout=soon"), 9_000),
            (None, 9_000),
        ] {
            assert_eq!(
                budget(query),
                Duration::from_millis(milliseconds),
                "{query:?}"
            );
        }
    }
}
