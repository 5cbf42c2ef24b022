//! The body of an answer, which may last until a moment, and keeps something until it has ended.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// A body that breaks off when time is up.
pub(super) struct Lasting<K> {
    body: Body,
    end: Pin<Box<Sleep>>,
    _kept: K,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the answer took longer than the container's timeout")]
struct TookTooLong;

impl<K> Lasting<K> {
    pub(super) fn new(body: Body, until: Instant, kept: K) -> Self {
        Self { body, end: Box::pin(sleep_until(until)), _kept: kept }
    }
}

impl<K: Unpin> HttpBody for Lasting<K> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        self.end.as_mut().poll(context).map(|()| Some(Err(axum::Error::new(TookTooLong))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
