//! Callers with a name and a password.

use super::caller::{Allowed, Caller};
use super::refused::Refused;
use crate::settings::{BasicUserSettings, Secret};
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Checked or waiting: more would wait in vain, and hold what a request holds meanwhile.
const AT_MOST: usize = 16;
/// Longest wait for a place among them.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The users.
#[derive(Debug)]
pub(super) struct Basic {
    users: Vec<User>,
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    memory: Arc<Memory>,
}

/// What a check works in, 19 MiB as a rule: kept for the next one. Allocated anew for each check it would
/// stay with the allocator, once for each thread that ever checked.
#[derive(Default)]
struct Memory(Mutex<Vec<Vec<Block>>>);

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    fn lend<T>(&self, work: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        let pool = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = pool().pop().unwrap_or_default();
        let done = work(&mut blocks);
        pool().push(blocks);
        done
    }
}

#[derive(Debug)]
struct User {
    name: String,
    hash: Secret,
    caller: Arc<Caller>,
}

impl Basic {
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
            places: Arc::new(Semaphore::new(at_once())),
            queue: Arc::new(Semaphore::new(AT_MOST)),
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
        let Ok(_queued) = self.queue.try_acquire() else {
            return Err(Refused::Busy);
        };
        let place = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(LONGEST_WAIT, place).await else {
            return Err(Refused::Busy);
        };
        let memory = Arc::clone(&self.memory);
        let check = move || {
            // Held until the work is done, also when the caller has gone.
            let _place = place;
            memory.lend(|blocks| is_of(password.expose(), hash.expose(), blocks)) == Some(true)
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
    use crate::http::auth::hash_password;
    use crate::settings::RoleName;

    fn basic() -> Basic {
        let user = |name: &str, password: &str| BasicUserSettings {
            name: name.to_owned(),
            password_hash: Some(Secret::new(hash_password(&Secret::new(password)).unwrap())),
            password_hash_file: None,
            roles: vec![RoleName::Browse],
            channels: None,
            tenants: None,
        };
        Basic::of(&[
            user("icm", "open:sesame!!"),
            user("other", "geheim geheim \u{e4}"),
        ])
        .unwrap()
        .unwrap()
    }

    #[tokio::test]
    async fn only_the_right_pair_is_let_in() {
        let basic = basic();
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
            let caller = basic.caller(STANDARD.encode(pair).as_bytes()).await;
            let caller = caller.as_ref().map(|caller| caller.id());
            assert_eq!(caller.map_err(|refused| *refused), expected, "{pair}");
        }
        for unreadable in ["not base64!", "aWNtOg", "aWNtOg==="] {
            let refused = basic.caller(unreadable.as_bytes()).await.unwrap_err();
            assert_eq!(refused, Refused::NoCredentials, "{unreadable}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_place_is_told_to_come_again() {
        let basic = basic();
        let taken = basic
            .places
            .acquire_many(u32::try_from(at_once()).unwrap())
            .await
            .unwrap();
        let refused = basic.caller(STANDARD.encode("icm:x").as_bytes()).await;
        assert_eq!(refused.unwrap_err(), Refused::Busy);
        drop(taken);
    }

    #[test]
    fn nothing_secret_shows() {
        let shown = format!("{:?}", basic());
        assert!(
            shown.contains("icm") && !shown.contains("argon2"),
            "{shown}"
        );
    }
}
