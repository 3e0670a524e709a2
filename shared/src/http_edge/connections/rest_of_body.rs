//! Whether a body in chunks was read to its end.

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::TRANSFER_ENCODING;
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of a body in chunks.
pub(super) struct RestOfBody(Arc<AtomicBool>);

impl RestOfBody {
    /// Watches the request's body, if it comes in chunks: what is left of one whose length is known the
    /// HTTP library does not wait for.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let is_read = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&is_read);
        let end = futures_util::stream::poll_fn(move |_| {
            noted.store(true, Ordering::Relaxed);
            std::task::Poll::Ready(None)
        });
        let watched = request.take_payload().chain(end);
        request.set_payload(Payload::Stream {
            payload: Box::pin(watched),
        });
        Some(Self(is_read))
    }

    /// Whether its end was seen.
    pub(super) fn is_read(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
