//! Reading the body of a review, within a size, a time and a share of memory; and swallowing one that will not be read.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::body::{Body, Bytes, HttpBody as _};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    budget::{Budget, Share},
    peer::Peer,
    refusal::Refusal,
};

/// A body up to this size needs no share of the budget: as much as a connection may buffer anyway, and more than most
/// reviews have.
const SMALL: usize = 16 * 1024;

/// How much of a refused body is swallowed, as a multiple of the limit.
const MAX_SWALLOWED: usize = 4;

/// A body that arrived, and its share of the budget if it is a large one.
pub(crate) struct Arrived {
    pub(crate) bytes: Bytes,
    pub(crate) share: Option<Share>,
}

/// How to read a body.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Bytes at most.
    pub(crate) limit: usize,
    /// For all of it to arrive.
    pub(crate) within: Duration,
    /// Of all large bodies, no less than `limit`.
    pub(crate) budget: &'a Arc<Budget>,
    /// For a share of it.
    pub(crate) wait: Duration,
    /// Who sends it.
    pub(crate) peer: Peer,
}

// === impl Reading ===

impl Reading<'_> {
    /// The whole body. One that arrived in one piece is handed on as it is, without a copy.
    pub(crate) async fn read(self, body: &mut Body) -> Result<Arrived, Refusal> {
        let until = Instant::now() + self.within;
        timeout_at(until, self.collect(body))
            .await
            .unwrap_or(Err(Refusal::SlowBody(self.within)))
    }

    async fn collect(self, body: &mut Body) -> Result<Arrived, Refusal> {
        let mut body = pin!(body);
        let first = next(&mut body).await?.unwrap_or_default();
        within(first.len(), self.limit)?;
        if body.is_end_stream() {
            return Ok(Arrived {
                bytes: first,
                share: None,
            });
        }
        let announced = match body.size_hint().exact() {
            Some(rest) => usize::try_from(rest).unwrap_or(usize::MAX),
            None => self.limit,
        };
        let announced = first.len().saturating_add(announced).min(self.limit);
        let mut whole = Vec::with_capacity(announced.clamp(first.len(), SMALL.max(first.len())));
        whole.extend_from_slice(&first);
        drop(first);
        let mut share: Option<Share> = None;
        loop {
            let data = match &share {
                None => next(&mut body).await?,
                Some(share) => tokio::select! {
                    biased;
                    data = next(&mut body) => data?,
                    () = share.told_to_go() => return Err(Refusal::GaveWay),
                },
            };
            let Some(data) = data else {
                break;
            };
            within(whole.len() + data.len(), self.limit)?;
            if share.is_none() && whole.len() + data.len() > SMALL {
                share = Some(self.share(announced).await?);
                whole.reserve_exact(announced.saturating_sub(whole.len()));
            }
            whole.extend_from_slice(&data);
            if let Some(share) = &mut share {
                share.arriving(whole.len());
            }
        }
        if let Some(share) = &share {
            share.arrived();
        }
        let bytes = whole.into();
        Ok(Arrived { bytes, share })
    }

    async fn share(self, bytes: usize) -> Result<Share, Refusal> {
        let share = self.budget.take(self.peer, bytes, self.wait).await;
        share.ok_or(Refusal::OverloadedByBodies {
            budget: self.budget.total(),
        })
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
