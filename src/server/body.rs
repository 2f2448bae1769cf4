//! Reading the body of a review, within a size, a time and a share of memory; and swallowing one that will not be read.

use std::{pin::pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody as _};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body_util::BodyExt as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout, timeout_at},
};

use super::refusal::Refusal;

/// A body up to this size needs no place: as much as a connection may buffer anyway, and more than most reviews have.
const SMALL: usize = 64 * 1024;

/// Larger bodies in memory at a time. Nothing else bounds what clients that nobody knows can make podgate hold:
/// with the default limit of 7 MiB these are 112 MiB, for reviews that an API server sends in milliseconds.
pub(crate) const MAX_LARGE: usize = 16;

/// How much of a refused body is swallowed, as a multiple of the limit.
const MAX_SWALLOWED: usize = 4;

/// A body that arrived, and its place among the large ones if it is one.
pub(crate) struct Arrived<'a> {
    pub(crate) bytes: Bytes,
    _place: Option<SemaphorePermit<'a>>,
}

/// How to read a body.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Bytes at most.
    pub(crate) limit: usize,
    /// For all of it to arrive.
    pub(crate) within: Duration,
    /// [`MAX_LARGE`] places.
    pub(crate) large: &'a Semaphore,
    /// For such a place.
    pub(crate) wait: Duration,
}

// === impl Reading ===

impl<'a> Reading<'a> {
    /// The whole body. One that arrived in one piece is handed on as it is, without a copy.
    pub(crate) async fn read(self, body: &mut Body) -> Result<Arrived<'a>, Refusal> {
        let until = Instant::now() + self.within;
        timeout_at(until, self.collect(body))
            .await
            .unwrap_or(Err(Refusal::SlowBody(self.within)))
    }

    async fn collect(self, body: &mut Body) -> Result<Arrived<'a>, Refusal> {
        let mut body = pin!(body);
        let first = next(&mut body).await?.unwrap_or_default();
        within(first.len(), self.limit)?;
        let mut place = None;
        if body.is_end_stream() {
            return Ok(Arrived {
                bytes: first,
                _place: place,
            });
        }
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let announced = first.len().saturating_add(announced).min(self.limit);
        let mut whole = Vec::with_capacity(announced.clamp(first.len(), SMALL.max(first.len())));
        whole.extend_from_slice(&first);
        while let Some(data) = next(&mut body).await? {
            within(whole.len() + data.len(), self.limit)?;
            if place.is_none() && whole.len() + data.len() > SMALL {
                place = Some(self.place().await?);
                whole.reserve_exact(announced.saturating_sub(whole.len()));
            }
            whole.extend_from_slice(&data);
        }
        Ok(Arrived {
            bytes: whole.into(),
            _place: place,
        })
    }

    async fn place(self) -> Result<SemaphorePermit<'a>, Refusal> {
        // The semaphore is never closed, so what is no permit is the time that ran out.
        match timeout(self.wait, self.large.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Refusal::OverloadedByBodies { limit: MAX_LARGE }),
        }
    }
}

/// Refuses a body that announces itself as too large, before a byte of it is read.
pub(crate) fn check_length(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(length) if length > limit as u64 => Err(Refusal::TooLarge { limit }),
        _ => Ok(()),
    }
}

/// Swallows what a refused client still sends, beside the answer: closing on unread bytes makes the kernel reset the
/// connection, and the client may then never see why. Bounded in size and time.
pub(crate) fn swallow(headers: &HeaderMap, mut body: Body, limit: usize, within: Duration) {
    // A client that waits for `100 Continue` sends nothing once it has been refused.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    tokio::spawn(timeout(within, async move {
        let mut left = limit.saturating_mul(MAX_SWALLOWED);
        // Not until `frame` gives none: once the answer is out, hyper tells the end of a body of known length only when
        // the next request comes.
        while !body.is_end_stream() {
            let Some(Ok(frame)) = body.frame().await else {
                return;
            };
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else {
                return;
            };
            left = rest;
        }
    }));
}

/// The next piece of data; trailers are passed over.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Refusal>
where
    B: axum::body::HttpBody<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Refusal::BrokenBody)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn within(length: usize, limit: usize) -> Result<(), Refusal> {
    if length > limit {
        Err(Refusal::TooLarge { limit })
    } else {
        Ok(())
    }
}
