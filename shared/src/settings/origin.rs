//! Addresses that tokens and secrets are sent to.

use url::{Host, Url};

/// TLS, or a loopback address for tests.
pub(super) fn check_origin(url: &Url) -> Result<(), String> {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return Err("names no host".to_owned()),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may not carry a user or password".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback => Ok(()),
        "http" => Err(
            "must be https: a token would travel in the clear (http is for loopback only)"
                .to_owned(),
        ),
        other => Err(format!("must be https, not {other}")),
    }
}
