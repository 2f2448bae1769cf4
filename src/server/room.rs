//! Room for connections: so many at a time, and when they are all there, a newcomer is let in at the expense of the one
//! that is worth least.
//!
//! Whoever reaches the port can open connections and let them lie; were newcomers to wait, a thousand such would shut
//! out the API server. So, as in a segmented cache:
//!
//! * A connection is a *stranger* until a review that came over it has been answered; then it is *proven*.
//! * Strangers give way first, unless the proven ones are more than half: each kind is sure of half of the room.
//!   (Everybody can send a review, so being proven alone must not be enough to stay.)
//! * Among them it is the [`Peer`] with most of them that gives way.
//! * Of its strangers the oldest goes: a client in earnest has proven itself within milliseconds. Of its proven ones it
//!   is the one that has been idle longest, and only when none is idle one that is still sending.
//! * A review that is being answered is never given up. When there is nothing else, the newcomer waits.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::{sync::Notify, time::timeout};

use super::{
    connection::{Pace, Phase},
    peer::Peer,
};

/// Connections that have been told to go and are still there, at most: each ends as soon as its task runs.
const LEAVING: usize = 64;

/// When there is nobody who could go: how soon to look again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The connections of one listener. Shared behind an `Arc`.
pub(crate) struct Room {
    capacity: usize,
    seats: Mutex<Seats>,
    left: Notify,
    closed: Closed,
}

/// Connections that were closed to make room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed {
    pub(crate) strangers: Counter,
    pub(crate) proven: Counter,
}

#[derive(Default)]
struct Seats {
    next: u64,
    /// Those that stay: neither told to go nor gone.
    staying: usize,
    proven: usize,
    leaving: usize,
    /// Those that stay; no crowd is empty.
    crowds: BTreeMap<Peer, Crowd>,
}

/// What stays of one peer, in the order of arrival.
#[derive(Default)]
struct Crowd {
    strangers: BTreeMap<u64, Arc<Seat>>,
    proven: BTreeMap<u64, Arc<Seat>>,
}

/// One connection, as the room and its own task know it.
pub(crate) struct Seat {
    id: u64,
    peer: Peer,
    pace: Arc<Pace>,
    is_proven: AtomicBool,
    told_to_go: Notify,
}

/// A connection's stay in the room, until dropped. A request finds it among its extensions.
pub(crate) struct Stay {
    room: Arc<Room>,
    seat: Arc<Seat>,
}

// === impl Room ===

impl Room {
    pub(crate) fn new(capacity: usize, closed: Closed) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            seats: Mutex::default(),
            left: Notify::new(),
            closed,
        })
    }

    /// Lets a newcomer in as soon as there is room, which is made if need be.
    pub(crate) async fn enter(self: &Arc<Self>, peer: Peer, pace: &Arc<Pace>) -> Arc<Stay> {
        loop {
            let left = self.left.notified();
            if let Some(stay) = self.try_enter(peer, pace) {
                return stay;
            }
            let _ = timeout(LOOK_AGAIN, left).await;
        }
    }

    /// Lets a newcomer in if there is room, or if somebody could be told to go.
    pub(crate) fn try_enter(self: &Arc<Self>, peer: Peer, pace: &Arc<Pace>) -> Option<Arc<Stay>> {
        let mut seats = self.seats();
        if seats.leaving >= LEAVING {
            return None;
        }
        if seats.staying >= self.capacity && !self.tell_one_to_go(&mut seats) {
            return None;
        }
        Some(self.seat(&mut seats, peer, pace))
    }

    /// Lets a newcomer in, beyond what there is room for.
    pub(crate) fn squeeze_in(self: &Arc<Self>, peer: Peer, pace: &Arc<Pace>) -> Arc<Stay> {
        self.seat(&mut self.seats(), peer, pace)
    }

    /// Tells somebody to go although the room is not full, and waits for that, or this long.
    pub(crate) async fn make(&self, within: Duration) {
        let left = self.left.notified();
        if self.tell_one_to_go(&mut self.seats()) {
            let _ = timeout(within, left).await;
        } else {
            tokio::time::sleep(within).await;
        }
    }

    fn seat(self: &Arc<Self>, seats: &mut Seats, peer: Peer, pace: &Arc<Pace>) -> Arc<Stay> {
        let seat = Arc::new(Seat {
            id: seats.next,
            peer,
            pace: pace.clone(),
            is_proven: AtomicBool::new(false),
            told_to_go: Notify::new(),
        });
        seats.next += 1;
        seats.add(seat.clone());
        let room = self.clone();
        Arc::new(Stay { room, seat })
    }

    fn tell_one_to_go(&self, seats: &mut Seats) -> bool {
        let Some(seat) = seats.worth_least(self.capacity) else {
            return false;
        };
        seats.remove(&seat);
        seats.leaving += 1;
        if seat.is_proven.load(Ordering::Relaxed) {
            self.closed.proven.inc();
        } else {
            self.closed.strangers.inc();
        }
        seat.told_to_go.notify_one();
        true
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seats ===

impl Seats {
    fn add(&mut self, seat: Arc<Seat>) {
        self.staying += 1;
        let crowd = self.crowds.entry(seat.peer).or_default();
        if seat.is_proven.load(Ordering::Relaxed) {
            self.proven += 1;
            crowd.proven.insert(seat.id, seat);
        } else {
            crowd.strangers.insert(seat.id, seat);
        }
    }

    /// Whether it was there.
    fn remove(&mut self, seat: &Seat) -> bool {
        let Some(crowd) = self.crowds.get_mut(&seat.peer) else {
            return false;
        };
        let was_proven = crowd.proven.remove(&seat.id).is_some();
        let was_there = was_proven || crowd.strangers.remove(&seat.id).is_some();
        if crowd.proven.is_empty() && crowd.strangers.is_empty() {
            self.crowds.remove(&seat.peer);
        }
        self.staying -= usize::from(was_there);
        self.proven -= usize::from(was_proven);
        was_there
    }

    fn worth_least(&self, capacity: usize) -> Option<Arc<Seat>> {
        let stranger = || self.of_the_largest(|crowd| crowd.strangers.len(), Crowd::stranger);
        let proven = || self.of_the_largest(|crowd| crowd.proven.len(), Crowd::proven);
        if self.proven > capacity / 2 {
            proven().or_else(stranger)
        } else {
            stranger().or_else(proven)
        }
    }

    /// Of the largest crowd that has one; the older of two that are as large.
    fn of_the_largest(
        &self,
        size: impl Fn(&Crowd) -> usize,
        one: impl Fn(&Crowd) -> Option<&Arc<Seat>>,
    ) -> Option<Arc<Seat>> {
        let mut found: Option<(usize, &Arc<Seat>)> = None;
        for crowd in self.crowds.values() {
            let size = size(crowd);
            if size == 0 || found.is_some_and(|(largest, _)| size < largest) {
                continue;
            }
            if let Some(seat) = one(crowd)
                && found.is_none_or(|(largest, other)| size > largest || seat.id < other.id)
            {
                found = Some((size, seat));
            }
        }
        found.map(|(_, seat)| seat.clone())
    }
}

// === impl Crowd ===

impl Crowd {
    fn stranger(&self) -> Option<&Arc<Seat>> {
        self.strangers
            .values()
            .find(|seat| seat.pace.state().phase != Phase::Review)
    }

    fn proven(&self) -> Option<&Arc<Seat>> {
        let worth = |seat: &Arc<Seat>| {
            let state = *seat.pace.state();
            // What is idle has the same time to live from its last answer on: the first to end is the longest idle.
            let worth = (state.phase != Phase::Idle, state.deadline);
            (state.phase != Phase::Review).then_some(worth)
        };
        let may_go = |seat| Some((worth(seat)?, seat));
        let least = self.proven.values().filter_map(may_go);
        least.min_by_key(|(worth, _)| *worth).map(|(_, seat)| seat)
    }
}

// === impl Stay ===

impl Stay {
    pub(crate) fn peer(&self) -> Peer {
        self.seat.peer
    }

    /// Returns when this connection has to go, which is never while a review is being answered.
    pub(crate) async fn told_to_go(&self) {
        loop {
            self.seat.told_to_go.notified().await;
            let mut seats = self.room.seats();
            if self.seat.pace.state().phase != Phase::Review {
                return;
            }
            // A request came in the meantime. Somebody else goes: the newcomer looks again.
            seats.leaving -= 1;
            seats.add(self.seat.clone());
        }
    }

    /// The body of a review is there. From now on, until it is answered, the connection stays.
    pub(crate) fn reviewing(&self) {
        self.seat.pace.reviewing();
    }

    /// A review has been answered.
    pub(crate) fn proven(&self) {
        let Seat { is_proven, .. } = &*self.seat;
        if is_proven.load(Ordering::Relaxed) {
            return;
        }
        let mut seats = self.room.seats();
        let stays = seats.remove(&self.seat);
        is_proven.store(true, Ordering::Relaxed);
        if stays {
            seats.add(self.seat.clone());
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut seats = self.room.seats();
        if !seats.remove(&self.seat) {
            seats.leaving -= 1;
        }
        drop(seats);
        self.room.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::server::config::Timeouts;

    /// A room, and everybody in it by name.
    struct Hall {
        room: Arc<Room>,
        guests: Vec<(&'static str, Arc<Stay>)>,
    }

    impl Hall {
        fn new(capacity: usize) -> Self {
            Self {
                room: Room::new(capacity, Closed::default()),
                guests: Vec::new(),
            }
        }

        fn enter(&mut self, name: &'static str, from: u8) -> &Arc<Stay> {
            let pace = Arc::new(Pace::new(Timeouts::default()));
            let stay = self
                .room
                .enter(IpAddr::from([10, 0, 0, from]).into(), &pace)
                .now_or_never()
                .expect("there is room");
            self.guests.push((name, stay));
            &self.guests[self.guests.len() - 1].1
        }

        /// Who has gone since it was last asked.
        fn gone(&mut self) -> Vec<&'static str> {
            let gone = self
                .guests
                .extract_if(.., |(_, stay)| stay.told_to_go().now_or_never().is_some());
            gone.map(|(name, _)| name).collect()
        }
    }

    /// Idle, after a review was answered.
    fn prove(stay: &Stay) {
        stay.seat.pace.requested();
        stay.reviewing();
        stay.proven();
        stay.seat.pace.answered();
        stay.seat.pace.body_ended();
        stay.seat.pace.flushed();
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_stranger_of_the_largest_peer_goes_first() {
        let mut hall = Hall::new(4);
        hall.enter("a", 1);
        hall.enter("b", 2);
        hall.enter("c", 2);
        hall.enter("d", 3);
        assert_eq!(hall.gone(), [""; 0], "there was room");
        hall.enter("e", 4);
        assert_eq!(hall.gone(), ["b"]);
        hall.enter("f", 4);
        assert_eq!(hall.gone(), ["a"], "all are as many, so it is the oldest");
        hall.enter("g", 4);
        assert_eq!(hall.gone(), ["e"], "a newcomer's own");
    }

    #[tokio::test(start_paused = true)]
    async fn the_proven_outlast_strangers_up_to_half_of_the_room() {
        let mut hall = Hall::new(8);
        prove(hall.enter("api", 1));
        prove(hall.enter("api", 1));
        for _ in 0..10 {
            hall.enter("stranger", 2);
        }
        assert_eq!(hall.gone(), ["stranger"; 4]);
        for _ in 0..3 {
            prove(hall.enter("liar", 2));
        }
        assert_eq!(hall.gone(), ["stranger"; 3]);
        for _ in 0..10 {
            prove(hall.enter("liar", 2));
        }
        hall.enter("api, fresh", 1);
        assert_eq!(hall.gone(), ["liar"; 11]);
        assert_eq!(hall.room.closed.strangers.get(), 7);
        assert_eq!(hall.room.closed.proven.get(), 11);
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_proven_the_longest_idle_goes_first() {
        let mut hall = Hall::new(2);
        prove(hall.enter("a", 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        prove(hall.enter("b", 1));
        tokio::time::advance(Duration::from_secs(1)).await;
        prove(&hall.guests[0].1.clone());
        hall.enter("c", 1);
        assert_eq!(hall.gone(), ["b"]);
        hall.guests[0].1.seat.pace.requested();
        hall.enter("d", 1);
        assert_eq!(hall.gone(), ["c"], "it sends, and the stranger does not");
    }

    #[tokio::test(start_paused = true)]
    async fn a_review_that_is_being_answered_is_never_given_up() {
        let mut hall = Hall::new(1);
        hall.enter("a", 1).reviewing();
        let pace = Arc::new(Pace::new(Timeouts::default()));
        let (room, peer) = (hall.room.clone(), Peer::NOBODY);
        let mut waiting = Box::pin(room.enter(peer, &pace));
        assert!((&mut waiting).now_or_never().is_none(), "it waits");
        hall.guests[0].1.seat.pace.answered();
        hall.guests[0].1.seat.pace.flushed();
        let stay = waiting.await;
        assert_eq!(hall.gone(), ["a"]);
        // Told to go, and before its task runs the review is there.
        assert!(room.try_enter(peer, &pace).is_some(), "one is told to go");
        stay.reviewing();
        assert!(stay.told_to_go().now_or_never().is_none(), "it stays");
        drop(stay);
        let seats = room.seats();
        assert_eq!((seats.staying, seats.leaving, seats.proven), (0, 0, 0));
        assert!(seats.crowds.is_empty());
    }
}
