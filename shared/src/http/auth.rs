//! Who may call: HTTP basic with argon2id hashes, bearer tokens with an issuer's keys.
//!
//! Credentials come in through [`door::pass`], before anything of a request is read but its head.
//! What was accepted a moment ago is found again by a keyed digest ([`remembered`](self)); anything
//! else is checked from scratch. Nothing here is taken from a token before its signature is
//! verified, except the key id; and the algorithm comes from the settings alone.
//!
//! Nothing here logs, shows or keeps a password or a token.

mod authenticator;
mod basic;
mod bearer;
mod caller;
mod claims;
pub mod door;
mod issuer_keys;
#[doc(hidden)]
pub mod issuers_bytes;
mod key_set;
mod metrics;
mod open_door;
mod password;
mod refused;
mod remembered;
mod strict_json;
mod token;

pub use authenticator::{AuthSetupError, Authenticator, WRONG_AT_ONCE, WRONG_PER_SECOND};
pub use caller::{Caller, NotAllowed};
pub use password::{PasswordError, hash_password};
pub use refused::Refused;
pub use token::{LONGEST_TOKEN, TokenProblem, UnverifiedToken};
