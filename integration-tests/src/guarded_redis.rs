//! A `redis-server` of this machine behind TLS and the users of `deploy/redis/users.acl`.

use crate::certificates::{Authority, CertificateError};
use crate::redis_process::{RedisProcess, RedisProcessError, new_folder};
use redis::aio::MultiplexedConnection;
use redis::{Client, IntoConnectionInfo, TlsCertificates};
use std::io;
use std::path::{Path, PathBuf};

/// Somebody who may do everything; the shipped file knows nobody like that.
const ADMIN: &str = "test-admin";

/// Why there is no such Redis.
#[derive(Debug, thiserror::Error)]
pub enum GuardedRedisError {
    /// No folder, no port, or the shipped file is gone.
    #[error("no place for a redis-server")]
    Place(#[from] io::Error),
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It did not become ready.
    #[error(transparent)]
    Process(#[from] RedisProcessError),
    /// A command or a login failed.
    #[error("a command to the guarded Redis failed: {0}")]
    Command(#[from] redis::RedisError),
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct GuardedRedis {
    server: RedisProcess,
    authority: Authority,
    ca_file: PathBuf,
}

impl GuardedRedis {
    /// Starts one; `password_of` says the password of each user of the shipped file.
    pub async fn start(password_of: impl Fn(&str) -> String) -> Result<Self, GuardedRedisError> {
        let folder = new_folder()?;
        let authority = Authority::new()?;
        let ca_file = authority.write(folder.path())?;
        let files = authority.sign_into(folder.path(), 1)?;
        let users = folder.path().join("users.acl");
        std::fs::write(&users, users_with(&shipped_users()?, password_of))?;
        let options = [
            ("--aclfile", &users),
            ("--tls-cert-file", &files.certificate),
            ("--tls-key-file", &files.key),
            ("--tls-ca-cert-file", &ca_file),
        ];
        let options = options.map(|(flag, path)| [flag.to_owned(), path.display().to_string()]);
        let mut options = options.concat();
        options.extend(["--port", "0", "--tls-auth-clients", "no"].map(str::to_owned));
        let server = RedisProcess::start_with("--tls-port", folder, options).await?;
        Ok(Self {
            server,
            authority,
            ca_file,
        })
    }

    /// `rediss://…`
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.server.port())
    }

    /// The file with the authority that signed its certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// A connection of one of the users.
    pub async fn connection_as(
        &self,
        user: &str,
        password: &str,
    ) -> Result<MultiplexedConnection, GuardedRedisError> {
        // The library asks rustls for the process' provider.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let info = self.url().into_connection_info()?;
        let login = info
            .redis_settings()
            .clone()
            .set_username(user)
            .set_password(password);
        let certificates = TlsCertificates {
            client_tls: None,
            root_cert: Some(self.authority.pem().as_bytes().to_vec()),
        };
        let client = Client::build_with_tls(info.set_redis_settings(login), certificates)?;
        Ok(client.get_multiplexed_async_connection().await?)
    }

    /// A connection that may do everything.
    pub async fn admin(&self) -> Result<MultiplexedConnection, GuardedRedisError> {
        self.connection_as(ADMIN, ADMIN).await
    }
}

/// The file that is shipped.
pub fn shipped_users() -> io::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/redis/users.acl");
    std::fs::read_to_string(path)
}

/// The file with passwords, as the one who deploys it writes them in.
fn users_with(shipped: &str, password_of: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    for line in shipped.lines() {
        let name = line.split(' ').nth(1).unwrap_or_default();
        let password = password_of(name);
        text.push_str(&line.replacen(" on ", &format!(" on >{password} "), 1));
        text.push('\n');
    }
    text.extend(["user ", ADMIN, " on >", ADMIN, " ~* &* +@all\n"]);
    text
}
