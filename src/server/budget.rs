//! Memory for the bodies of reviews: so many bytes for all of them that are more than small.
//!
//! A body takes its whole share before it is read any further, so that two never wait for each other's halves, and
//! waits for a while if there is none. Who waits is served by what his [`Peer`] holds already, the least first. While
//! somebody waits, a body that still arrives has to go
//!
//! * if its last [`PIECE`] has taken longer than [`GRACE`], many times what an API server's takes, or
//! * if its peer holds more than the one that waits would,
//!
//! the longest arriving first. So bodies that never end cost others a second at most, and bodies from elsewhere nothing.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::peer::Peer;

/// What of a body has to come within [`GRACE`].
const PIECE: usize = 1024 * 1024;

/// On a slow network of 100 Mbit/s a [`PIECE`] takes 0.1 s.
const GRACE: Duration = Duration::from_secs(1);

/// While somebody waits: how soon to look for a body that has used up its grace.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The bytes for all bodies. Shared behind an `Arc`.
pub(crate) struct Budget {
    total: usize,
    state: Mutex<State>,
    /// Bytes that are taken.
    used: Gauge,
}

#[derive(Default)]
struct State {
    used: usize,
    next: u64,
    /// In the order of asking.
    shares: BTreeMap<u64, Entry>,
    waiting: usize,
}

struct Entry {
    peer: Peer,
    bytes: usize,
    stage: Stage,
    /// Tells one that waits that it has its share, and one that arrives that it has to go.
    changed: Arc<Notify>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Arriving {
        since: Instant,
    },
    /// Told to go.
    Going,
    Arrived,
}

/// The share of one body, until dropped.
pub(crate) struct Share {
    budget: Arc<Budget>,
    id: u64,
    changed: Arc<Notify>,
    /// Bytes that had arrived when the grace began.
    arrived: usize,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(total: usize, used: Gauge) -> Arc<Self> {
        Arc::new(Self {
            total,
            state: Mutex::default(),
            used,
        })
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Waits this long for a share, which may not be more than all. None if the time ran out.
    pub(crate) async fn take(
        self: &Arc<Self>,
        peer: Peer,
        bytes: usize,
        wait: Duration,
    ) -> Option<Share> {
        let until = Instant::now() + wait;
        let share = self.ask(peer, bytes);
        while self.stage(share.id) == Some(Stage::Waiting) {
            if Instant::now() >= until {
                return None;
            }
            let look_again = until.min(Instant::now() + LOOK_AGAIN);
            if timeout_at(look_again, share.changed.notified())
                .await
                .is_err()
            {
                self.settle(&mut self.state());
            }
        }
        Some(share)
    }

    fn ask(self: &Arc<Self>, peer: Peer, bytes: usize) -> Share {
        let changed = Arc::new(Notify::new());
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.waiting += 1;
        let entry = Entry {
            peer,
            bytes,
            stage: Stage::Waiting,
            changed: changed.clone(),
        };
        state.shares.insert(id, entry);
        self.settle(&mut state);
        drop(state);
        let budget = self.clone();
        Share {
            budget,
            id,
            changed,
            arrived: 0,
        }
    }

    fn stage(&self, id: u64) -> Option<Stage> {
        self.state().shares.get(&id).map(|entry| entry.stage)
    }

    /// Gives what is free to those who wait, and makes room for the next one.
    fn settle(&self, state: &mut State) {
        let now = Instant::now();
        while state.waiting > 0 {
            let Some((next, peer, bytes)) = state.next_in_turn() else {
                break;
            };
            if bytes > self.total - state.used {
                state.make_room(peer, bytes, self.total, now);
                break;
            }
            state.used += bytes;
            state.waiting -= 1;
            if let Some(entry) = state.shares.get_mut(&next) {
                entry.stage = Stage::Arriving { since: now };
                entry.changed.notify_one();
            }
        }
        self.used.set(i64::try_from(state.used).unwrap_or(i64::MAX));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Of those who wait, the one whose peer holds least; of several the first.
    fn next_in_turn(&self) -> Option<(u64, Peer, usize)> {
        let held = self.held();
        let waiting = self
            .shares
            .iter()
            .filter(|(_, entry)| entry.stage == Stage::Waiting);
        waiting
            .min_by_key(|(id, entry)| (held.get(&entry.peer).copied(), **id))
            .map(|(id, entry)| (*id, entry.peer, entry.bytes))
    }

    /// Bytes by peer.
    fn held(&self) -> BTreeMap<Peer, usize> {
        let mut held = BTreeMap::new();
        for entry in self.shares.values() {
            if entry.stage != Stage::Waiting {
                *held.entry(entry.peer).or_default() += entry.bytes;
            }
        }
        held
    }

    /// Tells as many to go as it takes, if so many may be told.
    fn make_room(&mut self, peer: Peer, bytes: usize, total: usize, now: Instant) {
        let held = self.held();
        let holds = |peer| held.get(&peer).copied().unwrap_or_default();
        let going = self
            .shares
            .values()
            .filter(|entry| entry.stage == Stage::Going);
        let mut free = total - self.used + going.map(|entry| entry.bytes).sum::<usize>();
        let fair = holds(peer) + bytes;
        let mut arriving: Vec<_> = self
            .shares
            .values_mut()
            .filter_map(|entry| match entry.stage {
                Stage::Arriving { since }
                    if since + GRACE <= now || (entry.peer != peer && holds(entry.peer) > fair) =>
                {
                    Some((Reverse(holds(entry.peer)), since, entry))
                }
                _ => None,
            })
            .collect();
        arriving.sort_by_key(|(holds, since, _)| (*holds, *since));
        for (_, _, entry) in arriving {
            if free >= bytes {
                break;
            }
            free += entry.bytes;
            entry.stage = Stage::Going;
            entry.changed.notify_one();
        }
    }
}

// === impl Share ===

impl Share {
    /// Returns when this body, which still arrives, has to give its share to somebody else.
    pub(crate) async fn told_to_go(&self) {
        while self.budget.stage(self.id) != Some(Stage::Going) {
            self.changed.notified().await;
        }
    }

    /// So much of the body has arrived.
    pub(crate) fn arriving(&mut self, bytes: usize) {
        if bytes < self.arrived + PIECE {
            return;
        }
        self.arrived = bytes;
        let mut state = self.budget.state();
        if let Some(Stage::Arriving { since }) =
            state.shares.get_mut(&self.id).map(|entry| &mut entry.stage)
        {
            *since = Instant::now();
        }
    }

    /// The body is complete, and keeps its share whatever comes.
    pub(crate) fn arrived(&self) {
        let mut state = self.budget.state();
        if let Some(entry) = state.shares.get_mut(&self.id) {
            entry.stage = Stage::Arrived;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        match state.shares.remove(&self.id) {
            Some(entry) if entry.stage == Stage::Waiting => state.waiting -= 1,
            Some(entry) => state.used -= entry.bytes,
            None => {}
        }
        self.budget.settle(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    const WAIT: Duration = Duration::from_secs(2);

    fn peer(last: u8) -> Peer {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn take(budget: &Arc<Budget>, from: u8, bytes: usize) -> Option<Share> {
        let taken = budget.take(peer(from), bytes, WAIT).now_or_never();
        taken.map(|share| share.expect("no time has passed"))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_comes_back() {
        let used = Gauge::default();
        let budget = Budget::new(10, used.clone());
        let (one, other) = (take(&budget, 1, 6), take(&budget, 1, 4));
        assert_eq!(used.get(), 10);
        assert!(take(&budget, 1, 1).is_none());
        drop((one, other));
        assert_eq!(used.get(), 0);
        let state = budget.state();
        assert_eq!((state.shares.len(), state.waiting), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_arrives_for_long_goes_when_another_waits_and_stays_otherwise() {
        let budget = Budget::new(10, Gauge::default());
        let mut slow = take(&budget, 1, 10).expect("there is room");
        advance(GRACE * 5).await;
        assert!(slow.told_to_go().now_or_never().is_none(), "nobody waits");
        slow.arriving(PIECE);
        assert!(take(&budget, 1, 1).is_none());
        assert!(slow.told_to_go().now_or_never().is_none(), "it comes");
        advance(GRACE).await;
        slow.arriving(PIECE * 2 - 1);
        let (waiting, ()) = tokio::join!(budget.take(peer(1), 1, WAIT), async {
            slow.told_to_go().await;
            drop(slow);
        });
        assert!(waiting.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_holds_more_makes_room_at_once_and_one_that_holds_less_does_not() {
        let budget = Budget::new(10, Gauge::default());
        let greedy: Vec<_> = (0..5).filter_map(|_| take(&budget, 1, 2)).collect();
        let mut waiting = Box::pin(budget.take(peer(2), 3, WAIT));
        assert!((&mut waiting).now_or_never().is_none());
        let mut again = Box::pin(budget.take(peer(1), 2, WAIT));
        assert!((&mut again).now_or_never().is_none());
        let told = |share: &Share| share.told_to_go().now_or_never().is_some();
        let (going, staying): (Vec<_>, Vec<_>) = greedy.into_iter().partition(told);
        assert_eq!((going.len(), staying.len()), (2, 3), "as many as it takes");
        drop(going);
        let share = (&mut waiting).now_or_never().flatten();
        assert!(share.is_some(), "not the one that holds more");
        assert!((&mut again).now_or_never().is_none());
        assert!(
            !staying.iter().any(told),
            "its own are as good as the new one"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_arrived_keeps_its_share_and_who_waits_for_it_gives_up() {
        let budget = Budget::new(10, Gauge::default());
        let whole = take(&budget, 1, 10).expect("there is room");
        whole.arrived();
        let begun = Instant::now();
        assert!(budget.take(peer(2), 1, WAIT).await.is_none());
        assert_eq!(begun.elapsed(), WAIT);
        assert!(whole.told_to_go().now_or_never().is_none());
        drop(whole);
        assert!(take(&budget, 2, 10).is_some());
    }
}
