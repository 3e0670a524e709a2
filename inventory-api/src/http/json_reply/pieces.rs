//! A large body, handed to the connection piece by piece.
//!
//! The HTTP library copies what it is given into the connection's write buffer, however slowly the
//! other side reads, and the buffer keeps the size it once had.

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use shared::http::shares::Share;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes of a piece; as many as the library gathers before it writes.
const PIECE: usize = 32 * 1024;

/// What is left of a body.
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Bytes,
    /// Given back when the body was sent.
    _room: Option<Share>,
}

impl Pieces {
    /// Whether a body of this length is better sent so.
    pub(super) fn suit(length: usize) -> bool {
        length > 2 * PIECE
    }

    /// All of it is to be sent.
    pub(super) fn of(body: Bytes, room: Option<Share>) -> Self {
        Self {
            rest: body,
            _room: room,
        }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = PIECE.min(self.rest.len());
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use std::task::Waker;

    #[tokio::test]
    async fn the_pieces_are_the_body() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let body: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let mut pieces = Pieces::of(body.clone().into(), None);
            assert_eq!(pieces.size(), BodySize::Sized(length as u64));
            let first = Pin::new(&mut pieces).poll_next(&mut Context::from_waker(Waker::noop()));
            let expected =
                (length > 0).then(|| Ok(Bytes::copy_from_slice(&body[..length.min(PIECE)])));
            assert_eq!(first, Poll::Ready(expected));
            let rest = to_bytes(pieces).await.unwrap();
            assert_eq!(rest, body[length.min(PIECE)..]);
        }
    }
}
