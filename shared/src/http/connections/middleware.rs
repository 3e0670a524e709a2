//! Notes what a connection's requests do.

use super::activity::{Activity, UnderWay};
use super::stream::ConnectionData;
use actix_web::HttpMessage;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::StreamExt;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long the rest of a body in chunks may take that its handler did not read: the library reads, and throws
/// away, as much as comes.
const REST_OF_BODY: Duration = Duration::from_secs(2);
/// A reply that goes into the connection's write buffer as it is.
const SMALL_REPLY: u64 = 64 * 1024;

/// Middleware (`wrap(from_fn(connections::note_request))`), outermost: while it runs, the
/// connection is not quiet.
pub async fn note_request<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, Sending>>, actix_web::Error> {
    let Some(ConnectionData(activity)) = request.conn_data::<ConnectionData>().cloned() else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    let mut under_way = UnderWay::begin(&activity);
    let is_read = follow_body(&mut request, activity);
    // What is left of a body whose length is known the library does not wait for.
    let is_in_chunks = request.headers().contains_key(TRANSFER_ENCODING);
    let reply = next.call(request).await;
    if is_in_chunks && is_read.is_some_and(|is_read| !is_read.get()) {
        under_way.is_quiet_for(REST_OF_BODY);
    }
    let mut reply = reply?;
    if under_way.was_large() {
        let head = reply.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    let is_small = match reply.response().body().size() {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes <= SMALL_REPLY,
        BodySize::Stream => false,
    };
    Ok(if is_small {
        reply.map_into_left_body()
    } else {
        under_way.sends();
        reply.map_body(|_, body| {
            EitherBody::right(Sending {
                body: body.boxed(),
                _under_way: under_way,
            })
        })
    })
}

/// Has the connection read as the handler reads the request's body. True is noted at the body's end.
fn follow_body(request: &mut ServiceRequest, activity: Arc<Activity>) -> Option<Rc<Cell<bool>>> {
    let mut body = request.take_payload();
    if matches!(body, Payload::None) {
        return None;
    }
    let is_read = Rc::new(Cell::new(false));
    let noted = Rc::clone(&is_read);
    let followed = futures_util::stream::poll_fn(move |cx| {
        let piece = body.poll_next_unpin(cx);
        activity.note_wanted(piece.is_pending());
        noted.set(matches!(piece, Poll::Ready(None)));
        piece
    });
    request.set_payload(Payload::Stream {
        payload: Box::pin(followed),
    });
    Some(is_read)
}

/// The body of a large reply. Until it is sent its connection is not idle.
#[derive(Debug)]
pub struct Sending {
    body: BoxBody,
    _under_way: UnderWay,
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
