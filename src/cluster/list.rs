//! Lists of objects, page by page, as the text that the API server sent.
//!
//! No object is decoded here, and one page is held at a time: what a list costs follows the size of a page, not the
//! number of objects. Every page of a list is of the same moment, for as long as the API server keeps it.

use std::time::Duration;

use kube::{
    Client,
    api::ListParams,
    core::{Request, request},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::pod::{json, text::null_default};

/// One list, under way.
pub struct Pages {
    client: Client,
    request: Request,
    /// Where to go on is in its continue token.
    params: ListParams,
    is_metadata: bool,
    is_done: bool,
}

/// One page.
pub struct Page {
    text: String,
    /// Begin and end of each item in `text`.
    items: Vec<(usize, usize)>,
    /// How many more objects there are, if the API server says so.
    pub remaining: Option<u64>,
}

/// Why a page cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The list is older than what the API server keeps: only a fresh one can be read on.
    #[error("the list expired before it was read to its end")]
    Expired,
    /// The API server answered with an error, or did not answer.
    #[error(transparent)]
    Api(Box<kube::Error>),
    /// What was asked for cannot be written as a request.
    #[error("cannot ask for this list: {0}")]
    Request(#[from] request::Error),
    /// The answer is no list.
    #[error("the API server's answer is no list: {0}")]
    Decode(#[from] json::Error),
}

#[derive(Deserialize)]
#[serde(expecting = "a list")]
struct List<'a> {
    #[serde(default, deserialize_with = "null_default")]
    metadata: Metadata,
    #[serde(borrow, default, deserialize_with = "null_default")]
    items: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Metadata {
    #[serde(default, deserialize_with = "null_default")]
    r#continue: String,
    remaining_item_count: Option<u64>,
}

// === impl ListError ===

impl ListError {
    /// When to ask again, if this passes by itself: after `pause`, unless the API server says how long it takes.
    #[must_use]
    pub fn retry_after(&self, pause: Duration) -> Option<Duration> {
        let Self::Api(error) = self else {
            return None;
        };
        retry_after(error, pause)
    }
}

/// When to ask again, if this passes by itself: after `pause`, unless the API server says how long it takes.
pub(crate) fn retry_after(error: &kube::Error, pause: Duration) -> Option<Duration> {
    match error {
        kube::Error::Api(status) if status.code == 429 || status.code >= 500 => {
            let told = status.details.as_ref().map(|it| it.retry_after_seconds);
            let told = told.filter(|it| *it > 0).map(u64::from);
            Some(told.map_or(pause, Duration::from_secs))
        }
        kube::Error::HyperError(_) | kube::Error::Service(_) => Some(pause),
        _ => None,
    }
}

// === impl Pages ===

impl Pages {
    /// The list at this path, such as `/api/v1/namespaces/shop/pods`, as many objects at a time as `params` say.
    #[must_use]
    pub fn new(client: Client, path: &str, params: ListParams) -> Self {
        Self {
            client,
            request: Request::new(path),
            params,
            is_metadata: false,
            is_done: false,
        }
    }

    /// Of each object only its metadata.
    #[must_use]
    pub fn metadata_only(self) -> Self {
        Self {
            is_metadata: true,
            ..self
        }
    }

    /// True when the last page has been read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The next page; `None` behind the last. After an error the same page can be asked for again.
    ///
    /// # Errors
    /// If it cannot be had.
    pub async fn next(&mut self) -> Result<Option<Page>, ListError> {
        if self.is_done {
            return Ok(None);
        }
        let request = if self.is_metadata {
            self.request.list_metadata(&self.params)?
        } else {
            self.request.list(&self.params)?
        };
        let text = self.client.request_text(request).await.map_err(api)?;
        let (page, next) = Page::read(text)?;
        self.is_done = next.is_empty();
        self.params.continue_token = Some(next);
        Ok(Some(page))
    }
}

fn api(error: kube::Error) -> ListError {
    match error {
        kube::Error::Api(status) if status.code == 410 => ListError::Expired,
        error => ListError::Api(Box::new(error)),
    }
}

// === impl Page ===

impl Page {
    /// The page that is this text, and where to go on.
    fn read(text: String) -> Result<(Self, String), ListError> {
        let List { metadata, items } = json::from_str(&text)?;
        let start = text.as_ptr().addr();
        let place = |item: &&RawValue| {
            let from = item.get().as_ptr().addr() - start;
            (from, from + item.get().len())
        };
        let items = items.iter().map(place).collect();
        let page = Self {
            items,
            remaining: metadata.remaining_item_count,
            text,
        };
        Ok((page, metadata.r#continue))
    }

    /// The objects, each as JSON.
    #[must_use]
    pub fn items(&self) -> impl ExactSizeIterator<Item = &str> {
        self.items.iter().map(|&(from, to)| &self.text[from..to])
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, StatusCode};
    use kube::client::Body;

    use super::*;

    fn client() -> Client {
        let service = tower::service_fn(async |request: Request<Body>| {
            let (status, body) = match request.uri().to_string().as_str() {
                "/api/v1/pods?&limit=2" => (
                    StatusCode::OK,
                    r#"{"metadata":{"continue":"a/b","remainingItemCount":1},"items":[{"n": 1}, {"n":2}]}"#,
                ),
                "/api/v1/pods?&limit=2&continue=a%2Fb" => {
                    (StatusCode::OK, r#"{"metadata":{},"items":[{"n":3}]}"#)
                }
                "/old?&limit=2" => (
                    StatusCode::GONE,
                    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"old","code":410}"#,
                ),
                _ => (StatusCode::OK, r#"{"items":7}"#),
            };
            let response = Response::builder().status(status);
            let body = Body::from(body.as_bytes().to_vec());
            Ok::<_, Infallible>(response.body(body).expect("it is a response"))
        });
        Client::new(service, "default")
    }

    fn pages(path: &str) -> Pages {
        Pages::new(client(), path, ListParams::default().limit(2))
    }

    #[tokio::test]
    async fn every_item_of_every_page_comes_once_as_it_was_sent() {
        let mut pages = pages("/api/v1/pods");
        let first = pages.next().await.expect("it is a list").expect("a page");
        assert_eq!(
            first.items().collect::<Vec<_>>(),
            [r#"{"n": 1}"#, r#"{"n":2}"#]
        );
        assert_eq!(first.remaining, Some(1));
        let second = pages.next().await.expect("it is a list").expect("a page");
        assert_eq!(second.items().collect::<Vec<_>>(), [r#"{"n":3}"#]);
        assert!(pages.next().await.expect("it is a list").is_none());
    }

    #[tokio::test]
    async fn an_expired_list_and_an_answer_that_is_none_are_errors_of_their_own() {
        let mut old = pages("/old");
        assert!(matches!(old.next().await, Err(ListError::Expired)));
        let mut odd = pages("/odd");
        assert!(matches!(odd.next().await, Err(ListError::Decode(_))));
    }
}
