//! Reading the body of a review, within a size and a time; and swallowing one that will not be read.

use std::{pin::pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody as _};
use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, EXPECT},
};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::refusal::Refusal;

/// Reserved at once at most, whatever a `Content-Length` claims.
const MAX_RESERVED: usize = 256 * 1024;

/// How much of a refused body is swallowed, as a multiple of the limit.
const MAX_SWALLOWED: usize = 4;

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

/// The whole body. One that arrived in one piece is handed on as it is, without a copy.
pub(crate) async fn read(
    body: &mut Body,
    limit: usize,
    within: Duration,
) -> Result<Bytes, Refusal> {
    let until = Instant::now() + within;
    timeout_at(until, collect(body, limit))
        .await
        .unwrap_or(Err(Refusal::SlowBody(within)))
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

async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut body = pin!(body);
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    within(first.len(), limit)?;
    if body.is_end_stream() {
        return Ok(first);
    }
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut whole = Vec::with_capacity(first.len().saturating_add(announced).min(MAX_RESERVED));
    whole.extend_from_slice(&first);
    while let Some(data) = next(&mut body).await? {
        within(whole.len() + data.len(), limit)?;
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
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
