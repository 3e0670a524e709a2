//! The middleware both services put before their routes.

use super::authenticator::Authenticator;
use super::refused::Refused;
use super::{Caller, metrics};
use crate::http::caller_key::CallerKey;
use crate::http::route_pattern::route_pattern;
use crate::http::secret_headers;
use crate::process::guards;
use crate::settings::RoleName;
use actix_web::HttpMessage;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::sync::Arc;

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The route checks its callers in a way of its own.
    OwnDoor,
    /// Some known caller.
    Caller,
    /// A caller with this role.
    Role(RoleName),
}

/// Who may call, and what each route asks for; app data of a service.
#[derive(Debug, Clone)]
pub struct Door {
    authenticator: Arc<Authenticator>,
    need: fn(Option<&str>) -> Need,
}

impl Door {
    /// `need` knows the routes by their pattern; no pattern is a path that does not exist.
    pub fn new(authenticator: Arc<Authenticator>, need: fn(Option<&str>) -> Need) -> Self {
        Self {
            authenticator,
            need,
        }
    }

    async fn let_in(&self, request: &ServiceRequest) -> Result<Option<Arc<Caller>>, Refused> {
        let role = match (self.need)(route_pattern(request).as_deref()) {
            Need::OwnDoor => return Ok(None),
            Need::Caller => None,
            Need::Role(role) => Some(role),
        };
        let caller = self
            .authenticator
            .caller(request.headers(), &CallerKey::of(request.request()))
            .await?;
        match role {
            Some(role) if !caller.has_role(role) => {
                let refused = Refused::RoleMissing(role);
                metrics::refused(refused);
                Err(refused)
            }
            _ => Ok(Some(caller)),
        }
    }
}

/// Middleware (`wrap(from_fn(door::pass))`): lets a request through with its [`Caller`], or turns it
/// away before anything of its body is read. An app without a [`Door`] lets nobody in.
pub async fn pass<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    secret_headers::hide(&mut request);
    let door = request.app_data::<Data<Door>>().cloned();
    let let_in = match &door {
        Some(door) => door.let_in(&request).await,
        None => Err(Refused::NoCredentials),
    };
    guards::panic_if_wanted(|| format!("{request:?} {let_in:?} {door:?}"));
    match let_in {
        Ok(caller) => {
            if let Some(caller) = caller {
                if let Some(name) = caller.name() {
                    request.extensions_mut().insert(name);
                }
                request.extensions_mut().insert(caller);
            }
            let answer = next.call(request).await?;
            Ok(answer.map_into_left_body())
        }
        Err(refused) => {
            tracing::debug!(
                reason = refused.label(),
                "a request was not let in: {refused}"
            );
            let challenges = door.as_ref().map(|door| door.authenticator.challenges());
            let reply = refused.reply(challenges.unwrap_or_default());
            Ok(request.into_response(reply).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests;
