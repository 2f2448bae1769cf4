//! What is to be done next with the stored certificates. Pure: the time, and what clients were told, are given.
//!
//! ```text
//! serving pair   Issue: when a third of its time is left, or it would not be accepted; its authority is trusted already
//! authority      Prepare ── all caBundles have it ──► Announced ── overlap ──► Promote ── overlap ──► Retire
//!                (next)                               (known to API servers)   (signs what is served) (previous goes)
//! ```
//!
//! So nobody is ever served a certificate whose authority he has not been told of for the length of the overlap, and no
//! authority is dropped while a replica that is late may still serve what it signed.

use std::time::Duration;

use jiff::Timestamp;

use super::authority::{Pair, PairError, Use, new_authority, plus};
use super::stored::{Asked, Stored};

/// Authorities that are still trusted, at most: a bundle must not grow for ever.
const MAX_PREVIOUS: usize = 8;

/// How long what is made is good, and how long two authorities are trusted beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of an authority.
    pub authority: Duration,
    /// Of a serving certificate.
    pub serving: Duration,
    /// From announcing an authority to signing with it, and from there to dropping the one before.
    pub overlap: Duration,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The authority itself is of no use: another at once.
    Replace,
    /// An authority that is to follow.
    Prepare,
    /// All clients have been told of it.
    Announced,
    /// It takes over.
    Promote,
    /// The ones before are forgotten.
    Retire,
    /// Another serving certificate.
    Issue,
}

/// What an [`Action`] depends on beside what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances<'a> {
    pub(super) now: Timestamp,
    /// Everything to be trusted is in every webhook configuration.
    pub(super) told: bool,
    pub(super) asked: Option<Asked>,
    pub(super) lifetimes: Lifetimes,
    /// What the serving certificate is to be good for.
    pub(super) names: &'a [String],
}

// === impl Lifetimes ===

impl Default for Lifetimes {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            authority: 365 * DAY,
            serving: 90 * DAY,
            overlap: Duration::from_hours(1),
        }
    }
}

// === impl Stored ===

impl Stored {
    /// The first certificates of a gate, beside those that clients trust already.
    pub(super) fn begin(
        previous: Vec<String>,
        circumstances: Circumstances<'_>,
    ) -> Result<Self, PairError> {
        let Circumstances {
            now,
            lifetimes,
            names,
            ..
        } = circumstances;
        let authority = new_authority(now, lifetimes.authority)?;
        Ok(Self {
            serving: authority.sign(Use::Server(names), now, lifetimes.serving)?,
            authority,
            next: None,
            previous,
            announced: None,
            promoted: Some(now),
        })
    }

    /// What is due, if anything is.
    pub(super) fn due(&self, circumstances: Circumstances<'_>) -> Option<Action> {
        let Circumstances {
            now,
            told,
            asked,
            lifetimes,
            names,
        } = circumstances;
        let usable = |pair: &Pair| pair.validity().is_ok_and(|it| it.contains(now));
        if !usable(&self.authority) {
            return Some(Action::Replace);
        }
        let accepted = self
            .serving
            .check_server(&self.authority.certificate, names, now)
            .is_ok();
        if !accepted
            || asked == Some(Asked::Serving)
            || is_late(&self.serving, now, lifetimes.serving)
        {
            return Some(Action::Issue);
        }
        match (&self.next, self.announced) {
            // One that expired while it waited is made again.
            (Some(next), _) if !usable(next) => Some(Action::Prepare),
            (Some(_), None) if told => Some(Action::Announced),
            (Some(_), None) => None,
            (Some(_), Some(announced)) => {
                is_over(announced, now, lifetimes.overlap).then_some(Action::Promote)
            }
            (None, _)
                if asked == Some(Asked::Authority)
                    || is_late(&self.authority, now, lifetimes.authority) =>
            {
                Some(Action::Prepare)
            }
            (None, _) => {
                let over = self
                    .promoted
                    .is_none_or(|promoted| is_over(promoted, now, lifetimes.overlap));
                (!self.previous.is_empty() && over).then_some(Action::Retire)
            }
        }
    }

    /// What is stored after an action.
    pub(super) fn after(
        mut self,
        action: Action,
        circumstances: Circumstances<'_>,
    ) -> Result<Self, PairError> {
        let Circumstances {
            now,
            lifetimes,
            names,
            ..
        } = circumstances;
        match action {
            Action::Replace => {
                let usable = |pem: &String| {
                    let pair = Pair {
                        certificate: pem.clone(),
                        key: String::new(),
                    };
                    pair.validity().is_ok_and(|it| it.contains(now))
                };
                let mut previous = self.previous;
                previous.extend(self.next.map(|it| it.certificate));
                previous.retain(usable);
                return Self::begin(previous, circumstances);
            }
            Action::Prepare => {
                self.next = Some(new_authority(now, lifetimes.authority)?);
                self.announced = None;
            }
            Action::Announced => self.announced = Some(now),
            Action::Promote => {
                if let Some(next) = self.next.take() {
                    let before = std::mem::replace(&mut self.authority, next);
                    self.previous.insert(0, before.certificate);
                    self.previous.truncate(MAX_PREVIOUS);
                    self.announced = None;
                    self.promoted = Some(now);
                    self.serving =
                        self.authority
                            .sign(Use::Server(names), now, lifetimes.serving)?;
                }
            }
            Action::Retire => self.previous.clear(),
            Action::Issue => {
                self.serving = self
                    .authority
                    .sign(Use::Server(names), now, lifetimes.serving)?;
            }
        }
        Ok(self)
    }
}

// === impl Action ===

impl Action {
    /// True if this is what a person asked for.
    pub(super) fn fulfils(self, asked: Option<Asked>) -> bool {
        matches!(
            (self, asked),
            (Self::Issue, Some(Asked::Serving))
                | (Self::Prepare | Self::Replace, Some(Asked::Authority))
        )
    }
}

/// Less than a third of its time is left. Of what was made to last for longer, less than a third of today's lifetime.
fn is_late(pair: &Pair, now: Timestamp, lifetime: Duration) -> bool {
    pair.validity()
        .is_ok_and(|it| plus(now, lifetime / 3) > it.not_after)
}

/// So much time has passed since. A moment that is further ahead than that was told by a wrong clock, and is not waited
/// for; one that is just ahead was told by a clock that counts whole seconds.
fn is_over(since: Timestamp, now: Timestamp, wait: Duration) -> bool {
    now.duration_since(since).unsigned_abs() >= wait
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const DAY: i64 = 24;

    fn names() -> Vec<String> {
        vec!["podgate.podgate-system.svc".into()]
    }

    /// Circumstances so many hours after the beginning.
    fn at(names: &[String], hours: i64) -> Circumstances<'_> {
        let start: Timestamp = "2027-01-01T00:00:00Z".parse().expect("it is a time");
        Circumstances {
            now: start + SignedDuration::from_hours(hours),
            told: false,
            asked: None,
            lifetimes: Lifetimes::default(),
            names,
        }
    }

    fn begun(names: &[String]) -> Stored {
        Stored::begin(Vec::new(), at(names, 0)).expect("it begins")
    }

    fn apply(stored: Stored, circumstances: Circumstances<'_>) -> (Option<Action>, Stored) {
        match stored.due(circumstances) {
            None => (None, stored),
            Some(action) => {
                let after = stored.after(action, circumstances).expect("it is done");
                (Some(action), after)
            }
        }
    }

    #[test]
    fn nothing_is_due_until_a_third_of_the_serving_certificates_time_is_left() {
        let names = names();
        let stored = begun(&names);
        for (hours, expected) in [
            (0, None),
            (59 * DAY, None),
            (61 * DAY, Some(Action::Issue)),
            (89 * DAY, Some(Action::Issue)),
            (120 * DAY, Some(Action::Issue)),
        ] {
            assert_eq!(stored.due(at(&names, hours)), expected, "{hours}");
        }
        let (_, renewed) = apply(stored.clone(), at(&names, 61 * DAY));
        assert_eq!(renewed.authority, stored.authority);
        assert_ne!(renewed.serving, stored.serving);
        assert_eq!(renewed.due(at(&names, 61 * DAY)), None);
    }

    #[test]
    fn an_authority_signs_only_when_clients_have_known_it_and_goes_only_when_nothing_of_it_is_served()
     {
        let names = names();
        let asked = Circumstances {
            asked: Some(Asked::Authority),
            ..at(&names, 1)
        };
        let told = |minutes| Circumstances {
            told: true,
            now: at(&names, 1).now + SignedDuration::from_mins(minutes),
            ..at(&names, 1)
        };
        let first = begun(&names);
        let (action, stored) = apply(first.clone(), asked);
        assert_eq!(action, Some(Action::Prepare));
        assert_eq!(stored.serving, first.serving);
        assert!(stored.trusted().contains(&first.authority.certificate));
        // Not before every configuration has it, however long that takes.
        assert_eq!(stored.due(at(&names, 30 * DAY)), None);
        let (action, stored) = apply(stored, told(0));
        assert_eq!(action, Some(Action::Announced));
        assert_eq!(stored.due(told(59)), None);
        let (action, stored) = apply(stored, told(61));
        assert_eq!(action, Some(Action::Promote));
        assert_eq!(stored.previous.concat(), first.authority.certificate);
        stored
            .serving
            .check_server(&stored.authority.certificate, &names, told(61).now)
            .expect("the new authority signed it");
        assert_eq!(stored.due(told(120)), None);
        let (action, stored) = apply(stored, told(122));
        assert_eq!(action, Some(Action::Retire));
        assert_eq!(stored.trusted(), stored.authority.certificate);
        assert_eq!(stored.due(told(122)), None);
    }

    #[test]
    fn an_authority_is_followed_when_a_third_of_its_time_is_left() {
        let names = names();
        // Its serving certificates are renewed on the way.
        let (_, stored) = apply(begun(&names), at(&names, 240 * DAY));
        assert_eq!(stored.due(at(&names, 243 * DAY)), None);
        assert_eq!(stored.due(at(&names, 244 * DAY)), Some(Action::Prepare));
    }

    #[test]
    fn an_authority_that_is_of_no_use_is_replaced_at_once() {
        let names = names();
        let stored = begun(&names);
        for hours in [366 * DAY, -2 * DAY] {
            let (action, replaced) = apply(stored.clone(), at(&names, hours));
            assert_eq!(action, Some(Action::Replace), "{hours}");
            assert_ne!(replaced.authority, stored.authority);
            assert!(replaced.previous.is_empty());
            assert_eq!(replaced.due(at(&names, hours)), None);
        }
    }

    #[test]
    fn another_name_means_another_certificate() {
        let (names, others) = (names(), vec!["gate.elsewhere.svc".to_owned()]);
        let (action, stored) = apply(begun(&names), at(&others, 1));
        assert_eq!(action, Some(Action::Issue));
        assert_eq!(stored.due(at(&others, 1)), None);
    }

    #[test]
    fn a_moment_that_is_long_to_come_is_not_waited_for() {
        let names = names();
        let mut stored = begun(&names);
        stored.previous = vec![stored.authority.certificate.clone()];
        for (promoted, expected) in [
            (at(&names, 5000 * DAY).now, Some(Action::Retire)),
            (at(&names, 1).now + SignedDuration::from_secs(1), None),
        ] {
            stored.promoted = Some(promoted);
            assert_eq!(stored.due(at(&names, 1)), expected, "{promoted}");
        }
    }

    #[test]
    fn a_wish_is_fulfilled_by_its_own_action_alone() {
        for (action, asked, expected) in [
            (Action::Issue, Some(Asked::Serving), true),
            (Action::Issue, Some(Asked::Authority), false),
            (Action::Prepare, Some(Asked::Authority), true),
            (Action::Promote, Some(Asked::Authority), false),
            (Action::Issue, None, false),
        ] {
            assert_eq!(action.fulfils(asked), expected, "{action:?} {asked:?}");
        }
    }
}
