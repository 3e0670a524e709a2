//! The middleware both services put before their routes.

use super::authenticator::Authenticator;
use super::caller::Caller;
use super::metrics;
use super::refused::Refused;
use crate::http::caller_key::CallerKey;
use crate::http::route_pattern::route_pattern;
use crate::http::secret_headers;
use crate::settings::RoleName;
use actix_web::HttpMessage;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Data;
use std::sync::Arc;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Who shows the route's own key: the route checks it.
    OwnKey,
    /// Some known caller.
    Caller,
    /// A caller with this role.
    Role(RoleName),
}

/// Who may call, and what each route asks for; app data of a service.
#[derive(Debug, Clone)]
pub struct AuthGuard {
    authenticator: Arc<Authenticator>,
    access: fn(Option<&str>) -> Access,
}

impl AuthGuard {
    /// `access` knows the routes by their pattern; no pattern is a path that does not exist.
    pub fn new(authenticator: Arc<Authenticator>, access: fn(Option<&str>) -> Access) -> Self {
        Self {
            authenticator,
            access,
        }
    }

    async fn caller(&self, request: &ServiceRequest) -> Result<Option<Arc<Caller>>, Refused> {
        let role = match (self.access)(route_pattern(request).as_deref()) {
            Access::OwnKey => return Ok(None),
            Access::Caller => None,
            Access::Role(role) => Some(role),
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

/// Middleware (`wrap(from_fn(guard::pass))`): lets a request through with its [`Caller`], or turns it
/// away before anything of its body is read. An app without an [`AuthGuard`] lets nobody in.
pub async fn pass<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    secret_headers::hide(&mut request);
    let guard = request.app_data::<Data<AuthGuard>>().cloned();
    let caller = match &guard {
        Some(guard) => guard.caller(&request).await,
        None => Err(Refused::NoCredentials),
    };
    match caller {
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
            let challenges = guard.as_ref().map(|guard| guard.authenticator.challenges());
            let reply = refused.reply(challenges.unwrap_or_default());
            Ok(request.into_response(reply).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests;
