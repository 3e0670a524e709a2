//! An issuer of signed tokens (ES256): keys, tokens of any shape, and the document with the keys over HTTP.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const AUDIENCE: &str = "inventory";
const ISSUER: &str = "https://issuer.example/";

/// The system made no key or signature.
#[derive(Debug, thiserror::Error)]
#[error("no key or signature could be made")]
pub struct NoKey;

/// A key pair with an id.
#[derive(Debug)]
pub struct SigningKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// A fresh key.
    pub fn new(id: &str) -> Result<Self, NoKey> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        Ok(Self {
            id: id.to_owned(),
            pair: pair.map_err(|_cause| NoKey)?,
        })
    }

    fn public_jwk(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let point = self.pair.public_key().as_ref();
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": self.id,
            "x": part(&point[1..33]), "y": part(&point[33..65])
        })
    }

    /// A signed token of these claims.
    pub fn token(&self, claims: &Value) -> Result<String, NoKey> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }).to_string();
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(&header), part(&claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map_err(|_cause| NoKey)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "tokens are issued by the wall clock"
)]
pub fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Claims that are accepted: ten minutes, all roles.
pub fn good_claims() -> Value {
    let now = unix_seconds();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 600,
        "sub": "icm", "roles": ["browse", "order", "operate"]
    })
}

/// Serves the document with the keys and counts who looks. Ends when dropped.
#[derive(Debug)]
pub struct KeyServer {
    address: SocketAddr,
    document: Arc<Mutex<String>>,
    looks: Arc<AtomicU64>,
    serving: JoinHandle<()>,
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl KeyServer {
    /// On a free loopback port, with these keys.
    #[expect(
        clippy::disallowed_methods,
        reason = "the harness has no task tracker; dropping the server ends it"
    )]
    pub async fn start(keys: &[&SigningKey]) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let document = Arc::new(Mutex::new(String::new()));
        let looks = Arc::new(AtomicU64::new(0));
        let serving = tokio::spawn(serve(listener, Arc::clone(&document), Arc::clone(&looks)));
        let server = Self {
            address,
            document,
            looks,
            serving,
        };
        server.publish(keys);
        Ok(server)
    }

    /// The section `[api.auth.jwt]` of a service that takes this issuer's tokens.
    pub fn section(&self) -> String {
        format!(
            "[api.auth.jwt]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nalgorithm = \"ES256\"\n\
             jwks_url = \"http://{}/keys\"\n",
            self.address
        )
    }

    /// Lists these keys from now on.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public_jwk()).collect();
        self.publish_text(&json!({ "keys": keys }).to_string());
    }

    /// Serves this text instead.
    pub fn publish_text(&self, document: &str) {
        let mut held = self.document.lock().unwrap_or_else(PoisonError::into_inner);
        document.clone_into(&mut held);
    }

    /// How often the document was read.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}

async fn serve(listener: TcpListener, document: Arc<Mutex<String>>, looks: Arc<AtomicU64>) {
    while let Ok((caller, _)) = listener.accept().await {
        looks.fetch_add(1, Ordering::Relaxed);
        let document = document
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // A caller that breaks off has seen what it wanted.
        let _ = answer(caller, &document).await;
    }
}

async fn answer(mut caller: TcpStream, document: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if caller.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{document}",
        document.len()
    );
    caller.write_all(reply.as_bytes()).await?;
    caller.shutdown().await
}
