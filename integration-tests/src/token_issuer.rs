//! An issuer of signed tokens: keys of both kinds, tokens of any shape, and the document with the
//! keys over HTTP.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256,
};
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

/// Whom the tokens are for.
pub const AUDIENCE: &str = "inventory";
/// Who issues them.
pub const ISSUER: &str = "https://issuer.example/";

/// The system made no key or signature.
#[derive(Debug, thiserror::Error)]
#[error("no key or signature could be made")]
pub struct NoKey;

/// A kind of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// ECDSA on P-256, SHA-256.
    Es256,
}

impl Kind {
    /// As a header and the settings name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

/// A key pair with an id.
pub struct SigningKey {
    /// `kid`
    pub id: String,
    pair: Pair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A fresh key.
    pub fn new(kind: Kind, id: &str) -> Result<Self, NoKey> {
        let pair = match kind {
            Kind::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_cause| NoKey)?;
                Pair::Rsa(Box::new(pair))
            }
            Kind::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                Pair::Ec(Box::new(pair.map_err(|_cause| NoKey)?))
            }
        };
        Ok(Self {
            id: id.to_owned(),
            pair,
        })
    }

    /// The signature of these bytes.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, NoKey> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
                    .map_err(|_cause| NoKey)?;
                Ok(signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, bytes).map_err(|_cause| NoKey)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }

    /// The public half as DER: a PKCS #1 key or the bare point.
    pub fn public_der(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The public half as the issuer's document lists it.
    pub fn public_jwk(&self) -> Value {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Rsa(pair) => {
                let numbers = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({
                    "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
                    "n": part(&numbers.n), "e": part(&numbers.e)
                })
            }
            Pair::Ec(pair) => {
                // An uncompressed point: 4, then both coordinates.
                let point = pair.public_key().as_ref();
                json!({
                    "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": self.id,
                    "x": part(&point[1..33]), "y": part(&point[33..65])
                })
            }
        }
    }

    /// The header of this key's tokens.
    pub fn header(&self) -> Value {
        let kind = match self.pair {
            Pair::Rsa(_) => Kind::Rs256,
            Pair::Ec(_) => Kind::Es256,
        };
        json!({ "alg": kind.name(), "typ": "JWT", "kid": self.id })
    }

    /// A signed token of these claims.
    pub fn token(&self, claims: &Value) -> Result<String, NoKey> {
        self.token_of(&self.header().to_string(), &claims.to_string())
    }

    /// A signed token of these texts, whatever they say.
    pub fn token_of(&self, header: &str, claims: &str) -> Result<String, NoKey> {
        let signed = unsigned(header, claims);
        let signature = self.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// What a signature of a token covers.
pub fn unsigned(header: &str, claims: &str) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    )
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

/// The section `[api.auth.jwt]` of a service that takes this issuer's tokens.
pub fn section(kind: Kind, jwks_url: &str, more: &str) -> String {
    format!(
        "[api.auth.jwt]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nalgorithm = \"{}\"\n\
         jwks_url = \"{jwks_url}\"\n{more}\n",
        kind.name()
    )
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

    /// Where the document is.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// Puts other keys into the document.
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
    let mut part = [0_u8; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let read = caller.read(&mut part).await?;
        if read == 0 {
            return Ok(());
        }
        head.extend_from_slice(&part[..read]);
    }
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{document}",
        document.len()
    );
    caller.write_all(reply.as_bytes()).await?;
    caller.shutdown().await
}
