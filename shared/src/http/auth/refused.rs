//! Why a request was not let in, and the reply to it: one table.

use super::tokens::TokenProblem;
use crate::http::feedback::{Feedback, Problem};
use crate::settings::RoleName;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};

/// Why a request was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("show credentials in the header Authorization, once")]
    NoCredentials,
    #[error("credentials of this kind are not taken here")]
    WrongScheme,
    #[error("name or password is wrong")]
    WrongPassword,
    #[error("the token is not accepted: {0}")]
    Token(#[from] TokenProblem),
    #[error("this caller may not do this; it takes the role {}", role_name(*.0))]
    RoleMissing(RoleName),
    #[error("tokens cannot be verified at the moment")]
    KeysUnknown,
    #[error("too many passwords are being checked at the moment")]
    Busy,
    /// Seconds until the next password is looked at.
    #[error("too many wrong passwords came from this address")]
    TooOften(u64),
}

/// Seconds after which what cannot be checked now may be tried again.
const COME_BACK: u64 = 2;

impl Refused {
    /// Its label in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::WrongScheme => "wrong_scheme",
            Self::WrongPassword => "wrong_password",
            Self::Token(problem) => problem.label(),
            Self::RoleMissing(_) => "role_missing",
            Self::KeysUnknown => "keys_unknown",
            Self::Busy => "busy",
            Self::TooOften(_) => "too_often",
        }
    }

    fn status_and_code(self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCredentials | Self::WrongScheme | Self::WrongPassword | Self::Token(_) => {
                (StatusCode::UNAUTHORIZED, "inventory.authentication.error")
            }
            Self::RoleMissing(_) => (StatusCode::FORBIDDEN, "inventory.authorization.error"),
            Self::KeysUnknown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "inventory.authentication.unavailable.error",
            ),
            Self::Busy | Self::TooOften(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "inventory.throttled.error")
            }
        }
    }

    /// The reply; `challenges` say what is taken here.
    pub(super) fn reply(self, challenges: &[HeaderValue]) -> HttpResponse {
        let (status, code) = self.status_and_code();
        let mut reply = HttpResponse::build(status);
        reply.insert_header((CACHE_CONTROL, "no-store"));
        match self {
            Self::KeysUnknown | Self::Busy => {
                reply.insert_header((RETRY_AFTER, COME_BACK));
            }
            Self::TooOften(seconds) => {
                reply.insert_header((RETRY_AFTER, seconds));
            }
            Self::RoleMissing(_) => {}
            _ => {
                for challenge in challenges {
                    reply.append_header((WWW_AUTHENTICATE, challenge.clone()));
                }
            }
        }
        reply.json(Feedback::from(Problem::new(status, code, self.to_string())))
    }
}

fn role_name(role: RoleName) -> &'static str {
    match role {
        RoleName::Browse => "browse",
        RoleName::Order => "order",
        RoleName::Operate => "operate",
    }
}
