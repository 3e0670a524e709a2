//! A large reply on its way out.

use super::activity::UnderWay;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What goes into the connection's write buffer as it is.
const SMALL: u64 = 64 * 1024;

/// The body of a large reply; until it is sent its connection is at work, though it may not take longer
/// for that than it may be quiet.
#[derive(Debug)]
pub struct Sending {
    body: BoxBody,
    _under_way: UnderWay,
}

impl Sending {
    /// Whether a body of this size is not sent at once.
    pub(super) fn takes_time(size: BodySize) -> bool {
        match size {
            BodySize::None => false,
            BodySize::Sized(bytes) => bytes > SMALL,
            BodySize::Stream => true,
        }
    }

    pub(super) fn begin(body: BoxBody, under_way: UnderWay) -> Self {
        under_way.sends();
        Self {
            body,
            _under_way: under_way,
        }
    }
}

impl MessageBody for Sending {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
