//! What the answers of the API server tell beside their content: its time, and that it is there.
//!
//! Whoever verifies a certificate goes by his own clock, not by ours. Every answer carries the API server's time in the
//! header `Date`. It is remembered together with the monotonic time of its arrival, so that a jump of our own clock
//! afterwards changes nothing.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, header::DATE};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};

/// An answer older than this tells nothing: its API server may have been replaced by one with another clock.
const FRESH: Duration = Duration::from_mins(10);

/// The clock of the API server, as its answers tell it. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct ApiClock(Arc<Mutex<Heard>>);

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// A time, and when it was that time.
    time: Option<(Timestamp, Instant)>,
    /// When a watch last began.
    watch: Option<Instant>,
}

// === impl ApiClock ===

impl ApiClock {
    /// Takes the time from the head of an answer. One without a readable date changes nothing.
    pub fn read(&self, headers: &HeaderMap) {
        let told = headers
            .get(DATE)
            .and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
        if let Some(time) = told {
            self.set(time);
        }
    }

    /// The API server says that it is this time now.
    pub fn set(&self, time: Timestamp) {
        self.lock().time = Some((time, Instant::now()));
    }

    /// The API server has agreed to a watch just now: what it tells is what is.
    pub fn watching(&self) {
        self.lock().watch = Some(Instant::now());
    }

    /// How long ago a watch last began, if one ever did.
    #[must_use]
    pub fn since_watching(&self) -> Option<Duration> {
        self.lock().watch.map(|at| at.elapsed())
    }

    /// The API server's time, if it told it lately.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        let (time, at) = self.lock().time?;
        let passed = at.elapsed();
        if passed > FRESH {
            return None;
        }
        time.checked_add(SignedDuration::try_from(passed).ok()?)
            .ok()
    }

    /// The API server's time, or our own while that is not known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.time().unwrap_or_else(Timestamp::now)
    }

    /// How far our own clock is ahead of the API server's, to about a second; none while that is not known.
    #[must_use]
    pub fn ahead(&self) -> Option<SignedDuration> {
        Some(Timestamp::now().duration_since(self.time()?))
    }

    /// Never left half-changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(date: &'static str) -> ApiClock {
        let clock = ApiClock::default();
        clock.read(&HeaderMap::from_iter([(
            DATE,
            http::HeaderValue::from_static(date),
        )]));
        clock
    }

    #[test]
    fn the_time_of_an_answer_goes_on() {
        let clock = told("Tue, 15 Nov 1994 08:12:31 GMT");
        let then: Timestamp = "1994-11-15T08:12:31Z".parse().expect("it is a time");
        let time = clock.time().expect("it was told");
        assert!(time >= then && time < then + SignedDuration::from_mins(5));
        assert!(clock.ahead() > Some(SignedDuration::from_hours(24 * 365 * 30)));
    }

    #[test]
    fn without_a_readable_date_it_is_our_own_time() {
        for clock in [ApiClock::default(), told("yesterday")] {
            assert_eq!(clock.time(), None);
            assert_eq!(clock.ahead(), None);
            assert!(clock.now() > "2026-01-01T00:00:00Z".parse().expect("it is a time"));
        }
    }
}
