//! Connections end with their next reply once the process is about to stop, so that callers come
//! back on new ones, which a load balancer sends elsewhere.

use crate::process::shutdown::Shutdown;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::Next;
use actix_web::web::Data;

/// Middleware (`wrap(from_fn(closing::close_when_stopping))`) of an app whose data hold the
/// [`Shutdown`]: replies carry `Connection: close` from the first signal on.
pub async fn close_when_stopping<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let shutdown = request.app_data::<Data<Shutdown>>().cloned();
    let mut reply = next.call(request).await?;
    if shutdown.is_some_and(|shutdown| shutdown.soft().is_cancelled()) {
        let head = reply.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    Ok(reply)
}
