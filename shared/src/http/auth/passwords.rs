//! Callers with a name and a password, and how a password's hash is made.

use super::caller::{Allowed, Caller};
use super::refused::Refused;
use crate::settings::{BasicUserSettings, Secret};
use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Shortest password a hash is made of, in characters.
const SHORTEST: usize = 12;
/// Passwords that are checked or wait: more would wait in vain, and hold what a request holds meanwhile.
const AT_MOST: usize = 16;
/// Longest wait for a check.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

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

/// What checks work in, 19 MiB each as a rule: kept for the next one. Allocated anew for each check it would
/// stay with the allocator, once for each thread that ever checked.
type Memory = Mutex<Vec<Vec<Block>>>;

/// The users with a password.
pub(super) struct Passwords {
    users: Vec<User>,
    checks: Arc<Semaphore>,
    waiting: Semaphore,
    memory: Arc<Memory>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Passwords").field(&self.users).finish()
    }
}

#[derive(Debug)]
struct User {
    name: String,
    hash: Secret,
    caller: Arc<Caller>,
}

impl Passwords {
    /// The users of the settings; none if there are none.
    pub(super) fn of(users: &[BasicUserSettings]) -> Result<Option<Self>, String> {
        let users = users
            .iter()
            .map(|user| {
                let hash = user.password_hash.clone();
                let hash = hash.ok_or_else(|| format!("{} has no password hash", user.name))?;
                let caller = Caller::new(
                    format!("basic:{}", user.name),
                    user.roles.clone(),
                    Allowed::of(user.channels.as_ref()),
                    Allowed::of(user.tenants.as_ref()),
                );
                Ok(User {
                    name: user.name.clone(),
                    hash,
                    caller: Arc::new(caller),
                })
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok((!users.is_empty()).then(|| Self {
            users,
            checks: Arc::new(Semaphore::new(at_once())),
            waiting: Semaphore::new(AT_MOST),
            memory: Arc::default(),
        }))
    }

    /// Checks what stands after `Basic `.
    pub(super) async fn caller(&self, credentials: &[u8]) -> Result<Arc<Caller>, Refused> {
        let pair = STANDARD
            .decode(credentials)
            .map_err(|_cause| Refused::NoCredentials)?;
        let colon = pair.iter().position(|byte| *byte == b':');
        let (name, password) = pair.split_at(colon.ok_or(Refused::NoCredentials)?);
        let known = self.users.iter().find(|user| user.name.as_bytes() == name);
        // An unknown name costs what a wrong password costs, or names could be tried out.
        let dearest = || self.users.iter().max_by_key(|user| cost(&user.hash));
        let hash = known.or_else(dearest).map(|user| user.hash.clone());
        let hash = hash.ok_or(Refused::WrongPassword)?;
        let password = Secret::new(String::from_utf8_lossy(&password[1..]));
        let is_right = self.is_right(password, hash).await?;
        match known {
            Some(user) if is_right => Ok(Arc::clone(&user.caller)),
            _ => Err(Refused::WrongPassword),
        }
    }

    async fn is_right(&self, password: Secret, hash: Secret) -> Result<bool, Refused> {
        let _waiting = self.waiting.try_acquire().or(Err(Refused::Busy))?;
        let permit = Arc::clone(&self.checks).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(LONGEST_WAIT, permit).await else {
            return Err(Refused::Busy);
        };
        let memory = Arc::clone(&self.memory);
        let check = move || {
            // Held until the work is done, also when the caller has gone.
            let _permit = permit;
            let pool = || memory.lock().unwrap_or_else(PoisonError::into_inner);
            let mut blocks = pool().pop().unwrap_or_default();
            let is_right = is_of(password.expose(), hash.expose(), &mut blocks) == Some(true);
            pool().push(blocks);
            is_right
        };
        tokio::task::spawn_blocking(check)
            .await
            .map_err(|_cause| Refused::Busy)
    }
}

/// Whether a password has this hash; none if the hash cannot be read.
fn is_of(password: &str, hash: &str, blocks: &mut Vec<Block>) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash
        .version
        .map_or(Ok(Version::default()), Version::try_from);
    let (salt, expected) = (hash.salt?, hash.hash?);
    if blocks.len() < params.block_count() {
        blocks.resize(params.block_count(), Block::default());
    }
    let mut found = vec![0; expected.len()];
    Argon2::new(algorithm, version.ok()?, params)
        .hash_password_into_with_memory(password.as_bytes(), salt.as_ref(), &mut found, blocks)
        .ok()?;
    // Compared in constant time.
    Some(Output::new(&found).ok()? == expected)
}

/// Passwords checked at once take half of the cores: each takes one for 20 ms, and 19 MiB of memory
/// where hashes cost what `hash-password` makes them cost, and 128 MiB at most.
fn at_once() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    (cores / 2).clamp(1, AT_MOST / 2)
}

/// What checking against a hash costs: memory times passes; nothing if it is no hash.
fn cost(hash: &Secret) -> u64 {
    let Ok(hash) = PasswordHash::new(hash.expose()) else {
        return 0;
    };
    let number = |name| u64::from(hash.params.get_decimal(name).unwrap_or(1));
    number("m") * number("t")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RoleName;

    fn users() -> Passwords {
        let user = |name: &str, password: &str| BasicUserSettings {
            name: name.to_owned(),
            password_hash: Some(Secret::new(hash_password(&Secret::new(password)).unwrap())),
            password_hash_file: None,
            roles: vec![RoleName::Browse],
            channels: None,
            tenants: None,
        };
        Passwords::of(&[
            user("icm", "open:sesame!!"),
            user("other", "geheim geheim \u{e4}"),
        ])
        .unwrap()
        .unwrap()
    }

    #[tokio::test]
    async fn only_the_right_pair_is_let_in() {
        let users = users();
        for (pair, expected) in [
            ("icm:open:sesame!!", Ok("basic:icm")),
            ("other:geheim geheim \u{e4}", Ok("basic:other")),
            ("icm:open:sesame!", Err(Refused::WrongPassword)),
            ("icm:", Err(Refused::WrongPassword)),
            ("ICM:open:sesame!!", Err(Refused::WrongPassword)),
            ("other:open:sesame!!", Err(Refused::WrongPassword)),
            ("nobody:open:sesame!!", Err(Refused::WrongPassword)),
            (":open:sesame!!", Err(Refused::WrongPassword)),
            ("icm", Err(Refused::NoCredentials)),
            ("", Err(Refused::NoCredentials)),
        ] {
            let caller = users.caller(STANDARD.encode(pair).as_bytes()).await;
            let caller = caller.as_ref().map(|caller| caller.id());
            assert_eq!(caller.map_err(|refused| *refused), expected, "{pair}");
        }
        for unreadable in ["not base64!", "aWNtOg", "aWNtOg==="] {
            let refused = users.caller(unreadable.as_bytes()).await.unwrap_err();
            assert_eq!(refused, Refused::NoCredentials, "{unreadable}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_would_wait_too_long_is_refused() {
        let users = users();
        let taken = users
            .checks
            .acquire_many(u32::try_from(at_once()).unwrap())
            .await
            .unwrap();
        let refused = users.caller(STANDARD.encode("icm:x").as_bytes()).await;
        assert_eq!(refused.unwrap_err(), Refused::Busy);
        drop(taken);
    }

    #[test]
    fn nothing_secret_shows() {
        let shown = format!("{:?}", users());
        assert!(
            shown.contains("icm") && !shown.contains("argon2"),
            "{shown}"
        );
    }
}
