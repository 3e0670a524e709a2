//! Who may call: HTTP basic with argon2id hashes, bearer tokens with an issuer's keys.
//!
//! Credentials are checked by [`guard::pass`], before anything of a request is read but its head. What was
//! accepted a moment ago is found again by a keyed digest; anything else is checked from scratch. Nothing is
//! taken from a token before its signature is verified, except the key id; the algorithm comes from the
//! settings alone.
//!
//! Nothing here logs, shows or keeps a password or a token.

mod authenticator;
mod caller;
mod credential_cache;
pub mod guard;
mod issuer_keys;
mod metrics;
mod passwords;
mod refused;
mod tokens;

pub use authenticator::{AuthSetupError, Authenticator, WRONG_AT_ONCE, WRONG_PER_SECOND};
pub use caller::{Caller, NotAllowed};
pub use passwords::{PasswordError, hash_password};
pub use refused::Refused;
pub use tokens::{LONGEST_TOKEN, TokenProblem};
