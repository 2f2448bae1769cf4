//! Turns for work that keeps a processor busy: TLS handshakes, reviews of large bodies.
//! Only so many are under way at a time, so that a processor is left for everything else, and who waits is served
//! peer by peer: one that asks a thousand times makes another wait for one turn, not for a thousand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::available_parallelism,
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::oneshot;

use super::peer::Peer;

/// A number of turns, shared behind an `Arc`.
pub(crate) struct Turns {
    state: Mutex<State>,
    /// How many wait.
    waiting: Gauge,
}

#[derive(Default)]
struct State {
    free: usize,
    /// Nobody is in here who does not wait.
    waiting: BTreeMap<Peer, VecDeque<oneshot::Sender<Turn>>>,
    /// The peers that wait, the next one first.
    order: VecDeque<Peer>,
}

/// One turn. The next one comes when it is dropped.
pub(crate) struct Turn(Arc<Turns>);

/// One who waits, for the gauge.
struct Waiting<'a>(&'a Gauge);

// === impl Turns ===

impl Turns {
    /// Half of the processors, at least one and not more than `most`.
    pub(crate) fn for_half_of_the_processors(most: usize, waiting: Gauge) -> Arc<Self> {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new((processors / 2).clamp(1, most.max(1)), waiting)
    }

    fn new(free: usize, waiting: Gauge) -> Arc<Self> {
        let state = Mutex::new(State {
            free,
            ..State::default()
        });
        Arc::new(Self { state, waiting })
    }

    /// Waits for a turn.
    pub(crate) async fn take(self: &Arc<Self>, peer: Peer) -> Turn {
        let mut next = match self.ask(peer) {
            Ok(turn) => return turn,
            Err(next) => next,
        };
        let _counted = Waiting::new(&self.waiting);
        loop {
            match next.await {
                Ok(turn) => return turn,
                // No sender is dropped unused while its receiver waits; if one ever were, it asks again.
                Err(_) => match self.ask(peer) {
                    Ok(turn) => return turn,
                    Err(again) => next = again,
                },
            }
        }
    }

    fn ask(self: &Arc<Self>, peer: Peer) -> Result<Turn, oneshot::Receiver<Turn>> {
        let mut state = self.state();
        if let Some(free) = state.free.checked_sub(1) {
            state.free = free;
            return Ok(Turn(self.clone()));
        }
        let (sender, receiver) = oneshot::channel();
        let queue = state.waiting.entry(peer).or_default();
        queue.push_back(sender);
        if queue.len() == 1 {
            state.order.push_back(peer);
        }
        Err(receiver)
    }

    /// Hands a turn that has ended to the next one, or keeps it.
    fn pass_on(self: &Arc<Self>) {
        let mut state = self.state();
        let Some(next) = state.next() else {
            state.free += 1;
            return;
        };
        drop(state);
        // Who has gone away at this very moment drops the turn, which passes it on.
        drop(next.send(Turn(self.clone())));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// The next one that still waits; its peer's further ones go to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        loop {
            let peer = self.order.pop_front()?;
            let mut queue = self.waiting.remove(&peer).unwrap_or_default();
            let next = loop {
                match queue.pop_front() {
                    Some(gone) if gone.is_closed() => {}
                    next => break next,
                }
            };
            if !queue.is_empty() {
                self.waiting.insert(peer, queue);
                self.order.push_back(peer);
            }
            if next.is_some() {
                return next;
            }
        }
    }
}

// === impl Turn ===

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures_util::FutureExt as _;

    use super::*;

    fn peer(last: u8) -> Peer {
        IpAddr::from([10, 0, 0, last]).into()
    }

    #[test]
    fn turns_go_round_the_peers() {
        let turns = Turns::new(1, Gauge::default());
        let mut held = turns.take(peer(1)).now_or_never();
        assert!(held.is_some(), "the first one is free");
        let mut waiting: Vec<_> = [1, 1, 1, 2, 3, 3]
            .into_iter()
            .map(|last| (last, Box::pin(turns.take(peer(last)))))
            .collect();
        for (_, one) in &mut waiting {
            assert!(one.now_or_never().is_none(), "all others wait");
        }
        assert_eq!(turns.waiting.get(), 6);
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(held.take());
            let at = waiting.iter_mut().position(|(_, one)| {
                held = one.now_or_never();
                held.is_some()
            });
            order.push(waiting.remove(at.expect("one of them is next")).0);
        }
        assert_eq!(order, [1, 2, 3, 1, 3, 1]);
        assert_eq!(turns.waiting.get(), 0);
    }

    #[test]
    fn who_goes_away_while_waiting_takes_no_turn() {
        let turns = Turns::new(1, Gauge::default());
        let held = turns.take(peer(1)).now_or_never();
        let (mut before, mut granted) =
            (Box::pin(turns.take(peer(2))), Box::pin(turns.take(peer(3))));
        assert!((&mut before).now_or_never().is_none());
        assert!((&mut granted).now_or_never().is_none());
        drop(before);
        drop(held);
        // It was handed the turn and never looked.
        drop(granted);
        assert!(turns.take(peer(4)).now_or_never().is_some());
    }
}
