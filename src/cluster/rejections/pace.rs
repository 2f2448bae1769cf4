//! How much is told: what was told a short while ago is not told again, and only so much a minute.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    time::Duration,
};

use k8s_openapi::api::core::v1::ObjectReference;
use tokio::time::Instant;

/// An Event stays for an hour. A controller tries again after ever longer pauses, up to a quarter of an hour.
const AGAIN: Duration = Duration::from_mins(10);

/// Owners that are remembered; who finds no place is not told.
const MOST_REMEMBERED: usize = 4096;

/// Told within [`WINDOW`], of the whole cluster: a few writes a second are nothing to an API server, and a policy that
/// rejects a hundred workloads at once is told to all of them within minutes.
const MOST: usize = 60;

/// Of these, of one namespace, so that none takes the turns of the others.
const MOST_OF_NAMESPACE: usize = 20;

const WINDOW: Duration = Duration::from_mins(1);

/// An owner, and what is wrong with its Pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    namespace: String,
    /// A uid would be enough, were it not a stranger who writes it.
    owner: [String; 3],
    findings: u64,
}

/// Whether a rejection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Repeated,
    Capped,
}

/// What was told lately.
#[derive(Default)]
pub(super) struct Pace {
    until: HashMap<Key, Instant>,
    /// When, and in which namespace; the oldest first.
    told: VecDeque<(Instant, String)>,
}

// === impl Key ===

impl Key {
    pub(super) fn new(owner: &ObjectReference, findings: u64) -> Self {
        let [kind, name, uid] = [&owner.kind, &owner.name, &owner.uid];
        Self {
            namespace: owner.namespace.clone().unwrap_or_default(),
            owner: [kind, name, uid].map(|it| it.clone().unwrap_or_default()),
            findings,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, name, _] = &self.owner;
        write!(f, "{kind} {}/{name}", self.namespace)
    }
}

// === impl Pace ===

impl Pace {
    /// Whether this is told now; if so, it counts as told, whatever becomes of it.
    pub(super) fn ask(&mut self, now: Instant, key: Key, namespace: &str) -> Verdict {
        if self.until.get(&key).is_some_and(|until| *until > now) {
            return Verdict::Repeated;
        }
        while self.told.front().is_some_and(|(at, _)| *at + WINDOW <= now) {
            self.told.pop_front();
        }
        let of_namespace = self.told.iter().filter(|(_, it)| it == namespace).count();
        if self.told.len() >= MOST || of_namespace >= MOST_OF_NAMESPACE {
            return Verdict::Capped;
        }
        if !self.is_new(now, key) {
            return Verdict::Capped;
        }
        self.told.push_back((now, namespace.to_owned()));
        Verdict::Go
    }

    /// It was not told after all.
    pub(super) fn forget(&mut self, key: &Key) {
        self.until.remove(key);
    }

    /// Remembers it, unless it is remembered already or there is no room.
    pub(super) fn is_new(&mut self, now: Instant, key: Key) -> bool {
        if self.until.len() >= MOST_REMEMBERED {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() >= MOST_REMEMBERED
            || self.until.get(&key).is_some_and(|until| *until > now)
        {
            return false;
        }
        self.until.insert(key, now + AGAIN);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str, findings: u64) -> Key {
        let owner = ObjectReference {
            namespace: Some(namespace.into()),
            name: Some(name.into()),
            ..ObjectReference::default()
        };
        Key::new(&owner, findings)
    }

    /// How many of so many different owners in this namespace are told.
    fn told(pace: &mut Pace, now: Instant, namespace: &str, many: u32) -> usize {
        (0..many)
            .map(|it| pace.ask(now, key(namespace, &it.to_string(), 0), namespace))
            .filter(|it| *it == Verdict::Go)
            .count()
    }

    #[test]
    fn the_same_is_told_again_after_a_while_and_other_findings_at_once() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let mut ask = |now, findings| pace.ask(now, key("shop", "web", findings), "shop");
        assert_eq!(ask(now, 1), Verdict::Go);
        assert_eq!(ask(now + AGAIN / 2, 1), Verdict::Repeated);
        assert_eq!(ask(now + AGAIN / 2, 2), Verdict::Go);
        assert_eq!(ask(now + AGAIN, 1), Verdict::Go);
    }

    #[test]
    fn a_namespace_that_is_full_of_rejections_leaves_turns_for_others() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(told(&mut pace, now, "a", 1000), MOST_OF_NAMESPACE);
        assert_eq!(told(&mut pace, now, "b", 1), 1);
        for namespace in ["c", "d", "e"] {
            told(&mut pace, now, namespace, 1000);
        }
        assert_eq!(told(&mut pace, now, "f", 1), 0);
        assert_eq!(told(&mut pace, now + WINDOW, "f", 1), 1);
    }

    #[test]
    fn what_was_not_told_for_want_of_turns_is_told_later() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let all = u32::try_from(2 * MOST_OF_NAMESPACE).expect("it is small");
        assert_eq!(told(&mut pace, now, "a", all), MOST_OF_NAMESPACE);
        assert_eq!(told(&mut pace, now + WINDOW, "a", all), MOST_OF_NAMESPACE);
        assert_eq!(told(&mut pace, now + 2 * WINDOW, "a", all), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let new = |pace: &mut Pace, now, at: usize| pace.is_new(now, key("a", &at.to_string(), 0));
        let taken = (0..2 * MOST_REMEMBERED).filter(|at| new(&mut pace, now, *at));
        assert_eq!(taken.count(), MOST_REMEMBERED);
        assert!(new(&mut pace, now + AGAIN, 0));
        assert_eq!(pace.until.len(), 1);
    }
}
