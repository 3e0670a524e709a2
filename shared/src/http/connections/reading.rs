//! Whether a connection is read on: not while a request is in a handler that wants nothing more of it,
//! and not while replies cannot be written. So what one connection can make the process hold is bounded,
//! however much it sends.
//!
//! Shared by the two ends of one connection, the stream and the request in the handler, which are of
//! one thread.

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use futures_util::StreamExt;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// What one connection waits for.
#[derive(Debug, Default)]
pub(super) struct Reading {
    in_handler: Cell<bool>,
    handler_wants_more: Cell<bool>,
    is_blocked: Cell<bool>,
    /// Who wanted to read while that was not allowed.
    held_back: RefCell<Option<Waker>>,
}

impl Reading {
    /// Whether more may be read now.
    pub(super) fn is_allowed(&self) -> bool {
        !self.is_blocked.get() && (!self.in_handler.get() || self.handler_wants_more.get())
    }

    /// Wakes this one when it is allowed.
    pub(super) fn hold_back(&self, reader: &Waker) {
        self.held_back.replace(Some(reader.clone()));
    }

    /// A request is in a handler, or not any more.
    pub(super) fn note_handler(&self, is_at_work: bool) {
        self.in_handler.set(is_at_work);
        self.handler_wants_more.set(false);
        self.go_on();
    }

    /// The system takes no more of what is written, or does again.
    pub(super) fn note_blocked(&self, is_blocked: bool) {
        if self.is_blocked.replace(is_blocked) && !is_blocked {
            self.go_on();
        }
    }

    fn note_wanted(&self, is_wanted: bool) {
        self.handler_wants_more.set(is_wanted);
        if is_wanted {
            self.go_on();
        }
    }

    fn go_on(&self) {
        if self.is_allowed()
            && let Some(reader) = self.held_back.take()
        {
            reader.wake();
        }
    }
}

/// Has the connection read as the handler reads the request's body. True is noted at the body's end.
pub(super) fn follow_body(
    request: &mut ServiceRequest,
    reading: &Rc<Reading>,
) -> Option<Rc<Cell<bool>>> {
    let mut body = request.take_payload();
    if matches!(body, Payload::None) {
        return None;
    }
    let (is_read, reading) = (Rc::new(Cell::new(false)), Rc::clone(reading));
    let noted = Rc::clone(&is_read);
    let followed = futures_util::stream::poll_fn(move |cx| {
        let piece = body.poll_next_unpin(cx);
        reading.note_wanted(piece.is_pending());
        noted.set(matches!(piece, Poll::Ready(None)));
        piece
    });
    request.set_payload(Payload::Stream {
        payload: Box::pin(followed),
    });
    Some(is_read)
}
