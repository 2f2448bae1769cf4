//! What a connection is doing, and the deadline that it is under while it does.
//!
//! hyper has one timeout for reading a head, and it runs while a kept-alive connection is idle too, so it cannot be
//! both short for a slow client and longer than the 90 s that the API server keeps its idle connections. Here the
//! connection is watched from outside, as a state machine:
//!
//! ```text
//!              TLS        first byte        head complete         body complete
//!   Handshake ─────► Idle ──────────► Head ─────────────► Exchange ─────────────► Review
//!                     ▲                                      │ refused              │
//!                     │   flushed, body read                 ▼                      │ answer begun
//!                     ├─────────────────────────────────► Answered ◄────────────────┘
//!                     │   body read or let go                │ flushed
//!                     └─────────────────────────────────► Leftover
//! ```
//!
//! Handshake, Idle and Head have deadlines of their own; Exchange has one that goes on through Review, Answered and
//! Leftover, the phase in which the rest of a refused body still comes: its bytes are not the start of a head. In
//! Review a connection is never closed to make room for another.
//!
//! A fresh connection starts as idle, not as a late request: Go's client may open one, find another free in the
//! meantime, and keep the fresh one for later; were it cut early, that later POST could meet the cut and fail.
//!
//! When the server ends, a connection finishes what it is doing, with `Connection: close`. One that is idle is closed
//! at once if it has been used, and if it is fresh gets a moment for the request that it was opened for. (hyper's own
//! graceful shutdown closes fresh connections, and loses requests that are on their way.)

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::server::config::Timeouts;

/// For the first request of a connection that was opened while the server was about to end.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Handshake,
    Idle,
    Head,
    Exchange,
    Review,
    Answered,
    Leftover,
}

/// What one connection is doing and when that must end. Locked for an instant only, and by two tasks at most.
pub(crate) struct Pace {
    timeouts: Timeouts,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) deadline: Instant,
    /// A request has begun on it.
    pub(super) used: bool,
    /// Bodies that somebody still reads; what arrives then is no head.
    bodies: usize,
}

/// The body of a request, which tells the pace when nobody reads it any more.
pub(super) struct PacedBody {
    body: Incoming,
    pace: Arc<Pace>,
}

/// A stream that tells the pace what passes through it.
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

// === impl Pace ===

impl Pace {
    /// Of a connection that has just been accepted.
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let deadline = Instant::now() + timeouts.handshake;
        let state = State {
            phase: Phase::Handshake,
            deadline,
            used: false,
            bodies: 0,
        };
        Self {
            timeouts,
            state: Mutex::new(state),
        }
    }

    /// From now on requests may come.
    pub(super) fn greeted(&self) {
        self.enter(&mut self.state(), Phase::Idle);
    }

    pub(crate) fn requested(&self) {
        let mut state = self.state();
        state.used = true;
        state.bodies += 1;
        self.enter(&mut state, Phase::Exchange);
    }

    pub(crate) fn reviewing(&self) {
        self.enter(&mut self.state(), Phase::Review);
    }

    pub(crate) fn answered(&self) {
        self.enter(&mut self.state(), Phase::Answered);
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        state.phase = phase;
        let time = match phase {
            Phase::Handshake => self.timeouts.handshake,
            Phase::Idle => self.timeouts.idle,
            Phase::Head => self.timeouts.head,
            Phase::Exchange => self.timeouts.exchange,
            // Giving the rest of the body, and taking the answer, belong to the exchange.
            Phase::Review | Phase::Answered | Phase::Leftover => return,
        };
        state.deadline = Instant::now() + time;
    }

    fn read(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            self.enter(&mut state, Phase::Head);
        }
    }

    pub(crate) fn flushed(&self) {
        let mut state = self.state();
        if state.phase == Phase::Answered {
            let next = if state.bodies == 0 {
                Phase::Idle
            } else {
                Phase::Leftover
            };
            self.enter(&mut state, next);
        }
    }

    pub(crate) fn body_ended(&self) {
        let mut state = self.state();
        state.bodies -= 1;
        if state.phase == Phase::Leftover && state.bodies == 0 {
            self.enter(&mut state, Phase::Idle);
        }
    }

    /// A fresh connection does not wait any longer than this for its first request.
    pub(super) fn expect_last_request(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            state.deadline = state.deadline.min(Instant::now() + LAST_REQUEST);
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Paced ===

impl<S> Paced<S> {
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty: what was answered is then on its way.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if matches!(polled, Poll::Ready(Ok(()))) {
            self.pace.flushed();
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

// === impl PacedBody ===

impl PacedBody {
    /// For the body of a request that the pace knows of already.
    pub(super) fn new(body: Incoming, pace: Arc<Pace>) -> Self {
        Self { body, pace }
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for PacedBody {
    fn drop(&mut self) {
        self.pace.body_ended();
    }
}
