//! One HTTP/1.1 connection, and the deadline that it is under in each of its phases.
//!
//! hyper has one timeout for reading a head, and it runs while a kept-alive connection is idle too, so it cannot be
//! both short for a slow client and longer than the 90 s that the API server keeps its idle connections. Here the
//! connection is watched from outside, as a state machine:
//!
//! ```text
//!          first byte          head complete         answer begun          answer flushed
//!   Idle ─────────────► Head ─────────────► Exchange ───────────► Answered ──────────────► Idle
//!   idle                head                exchange              (the same)
//! ```
//!
//! A fresh connection starts as idle, not as a late request: Go's client may open one, find another free in the
//! meantime, and keep the fresh one for later; were it cut early, that later POST could meet the cut and fail.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::Watcher};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, sleep_until},
};
use tower::Service as _;

use super::config::Timeouts;

/// Bytes of a head, and of what is read at once. An API server's head has about 300.
const MAX_BUFFER: usize = 64 * 1024;

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Either side closed it in good order.
    Closed,
    /// It broke, or what came was not HTTP.
    Broken(hyper::Error),
    /// It was cut at the deadline of the phase.
    Cut(Phase),
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Idle,
    Head,
    Exchange,
    Answered,
}

/// The phase of one connection and when it must end. Locked by one task only, so never waited for.
struct Pace {
    timeouts: Timeouts,
    state: Mutex<(Phase, Instant)>,
}

/// A stream that tells the pace what passes through it.
struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
}

/// Serves one connection to its end. `closing` makes every answer the last one on its connection.
pub(crate) async fn drive<S>(
    stream: S,
    router: Router,
    timeouts: Timeouts,
    closing: Arc<AtomicBool>,
    watcher: Watcher,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let pace = Arc::new(Pace::new(timeouts));
    let stream = Paced {
        stream,
        pace: pace.clone(),
    };
    let service = {
        let pace = pace.clone();
        service_fn(move |request: Request<Incoming>| {
            pace.enter(Phase::Exchange);
            let answer = router.clone().call(request.map(Body::new));
            let (pace, closing) = (pace.clone(), closing.clone());
            async move {
                let mut response = answer.await?;
                if closing.load(Ordering::Relaxed) {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                pace.enter(Phase::Answered);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(watcher.watch(connection));
    let mut timer = pin!(sleep_until(pace.deadline()));
    poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended.map_or_else(End::Broken, |()| End::Closed));
        }
        // The timer may be early, never late: while requests come and go it is left as it is.
        if pace.deadline() < timer.deadline() {
            timer.as_mut().reset(pace.deadline());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let deadline = pace.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(End::Cut(pace.phase()));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}

// === impl Pace ===

impl Pace {
    fn new(timeouts: Timeouts) -> Self {
        Self {
            state: Mutex::new((Phase::Idle, Instant::now() + timeouts.idle)),
            timeouts,
        }
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        let time = match phase {
            Phase::Idle => self.timeouts.idle,
            Phase::Head => self.timeouts.head,
            Phase::Exchange => self.timeouts.exchange,
            Phase::Answered => {
                state.0 = phase;
                return;
            }
        };
        *state = (phase, Instant::now() + time);
    }

    fn enter_from(&self, from: Phase, to: Phase) {
        if self.phase() == from {
            self.enter(to);
        }
    }

    fn phase(&self) -> Phase {
        self.state().0
    }

    fn deadline(&self) -> Instant {
        self.state().1
    }

    fn state(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Paced ===

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pace.enter_from(Phase::Idle, Phase::Head);
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
            self.pace.enter_from(Phase::Answered, Phase::Idle);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
