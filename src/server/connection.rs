//! One HTTP/1.1 connection, served to its end under the deadlines of its [`Pace`].

mod handshake;
mod pace;

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use self::pace::{Paced, PacedBody, State};
pub(crate) use self::{
    handshake::handshake,
    pace::{Pace, Phase},
};
use super::room::Stay;

/// Bytes of a head, and of what is read at once. An API server's head has about 300. Every connection may hold as much.
const MAX_BUFFER: usize = 32 * 1024;

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

/// Serves one connection to its end. `closing` makes every answer the last one on its connection; `finish` makes the
/// connection end as soon as no request is lost by it. Its requests find `stay` among their extensions.
pub(crate) async fn drive<S>(
    stream: S,
    router: Router,
    pace: Arc<Pace>,
    stay: Arc<Stay>,
    closing: Arc<AtomicBool>,
    finish: CancellationToken,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    pace.greeted();
    let stream = Paced::new(stream, pace.clone());
    let service = {
        let pace = pace.clone();
        service_fn(move |request: Request<Incoming>| {
            pace.requested();
            let mut request = request.map(|body| Body::new(PacedBody::new(body, pace.clone())));
            request.extensions_mut().insert(stay.clone());
            let answer = router.clone().call(request);
            let (pace, closing) = (pace.clone(), closing.clone());
            async move {
                let mut response = answer.await?;
                if closing.load(Ordering::Relaxed) {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                pace.answered();
                Ok::<_, Infallible>(response)
            }
        })
    };
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut timer = pin!(sleep_until(pace.state().deadline));
    let mut finish = pin!(finish.cancelled());
    let mut finishing = false;
    poll_fn(|cx| {
        if !finishing && finish.as_mut().poll(cx).is_ready() {
            finishing = true;
            pace.expect_last_request();
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended.map_or_else(End::Broken, |()| End::Closed));
        }
        let State {
            phase,
            deadline,
            used,
            ..
        } = *pace.state();
        if finishing && used && phase == Phase::Idle {
            connection.as_mut().graceful_shutdown();
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_or_else(End::Broken, |()| End::Closed));
            }
        }
        // The timer may be early, never late: while requests come and go it is left as it is.
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if deadline <= Instant::now() {
                return Poll::Ready(End::Cut(phase));
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}
