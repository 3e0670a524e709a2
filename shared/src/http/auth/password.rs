//! Making a password's hash.

use crate::settings::Secret;
use argon2::Argon2;
use argon2::password_hash::PasswordHasher;

/// Shortest password a hash is made of, in characters.
const SHORTEST: usize = 12;

/// Why no hash was made.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It could be guessed.
    #[error("the password has {0} characters; give it at least {SHORTEST}")]
    TooShort(usize),
    /// It cannot be sent as HTTP basic.
    #[error("the password has a control character, which HTTP basic cannot carry")]
    ControlCharacter,
    /// The system has no memory or no random numbers.
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The argon2id hash of a password in PHC form, with a fresh salt: 19 MiB, two passes.
pub fn hash_password(password: &Secret) -> Result<String, PasswordError> {
    let text = password.expose();
    let length = text.chars().count();
    if text.chars().any(char::is_control) {
        return Err(PasswordError::ControlCharacter);
    }
    if length < SHORTEST {
        return Err(PasswordError::TooShort(length));
    }
    let hash = Argon2::default().hash_password(text.as_bytes());
    hash.map(|hash| hash.to_string())
        .map_err(PasswordError::Hash)
}
