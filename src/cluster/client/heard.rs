//! Listens to every answer of the API server on its way to whoever asked.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower::{Layer, Service};

use crate::cluster::clock::ApiClock;

/// Puts a [`Heard`] around a client.
pub(super) struct HeardLayer(pub(super) ApiClock);

/// Tells the clock of each answer.
#[derive(Clone)]
pub(super) struct Heard<S> {
    inner: S,
    clock: ApiClock,
}

// === impl HeardLayer ===

impl<S> Layer<S> for HeardLayer {
    type Service = Heard<S>;

    fn layer(&self, inner: S) -> Heard<S> {
        Heard {
            inner,
            clock: self.0.clone(),
        }
    }
}

// === impl Heard ===

impl<S, A, B> Service<Request<A>> for Heard<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let watches = request
            .uri()
            .query()
            .is_some_and(|it| it.contains("watch=true"));
        let answer = self.inner.call(request);
        let clock = self.clock.clone();
        Box::pin(async move {
            let answer = answer.await?;
            clock.read(answer.headers());
            if watches && answer.status().is_success() {
                clock.watching();
            }
            Ok(answer)
        })
    }
}
