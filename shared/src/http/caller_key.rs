//! Who calls, as far as limits per caller are concerned.

use actix_web::{HttpMessage, HttpRequest};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// The name a caller signed in with; its checker puts it among the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallerName(pub Arc<str>);

/// What tells one caller from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallerKey {
    /// Somebody who signed in, from wherever.
    Name(CallerName),
    /// Nobody known: where the connection comes from. Of IPv6 the first 64 bits, since one machine
    /// has all that follow.
    Address(IpAddr),
    /// Nothing is known.
    Nobody,
}

impl CallerKey {
    /// Of this request.
    pub fn of(request: &HttpRequest) -> Self {
        if let Some(name) = request.extensions().get::<CallerName>() {
            return Self::Name(name.clone());
        }
        request
            .peer_addr()
            .map_or(Self::Nobody, |address| Self::of_address(address.ip()))
    }

    /// Of everybody behind this address.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn key_of(peer: &str, name: Option<&str>) -> CallerKey {
        let request = TestRequest::get()
            .peer_addr(peer.parse().unwrap())
            .to_http_request();
        if let Some(name) = name {
            request.extensions_mut().insert(CallerName(name.into()));
        }
        CallerKey::of(&request)
    }

    #[test]
    fn a_name_counts_more_than_an_address_and_an_ipv6_network_is_one_caller() {
        assert_eq!(
            key_of("10.0.0.1:1", Some("icm")),
            key_of("10.0.0.2:1", Some("icm"))
        );
        assert_ne!(key_of("10.0.0.1:1", None), key_of("10.0.0.2:1", None));
        assert_eq!(key_of("10.0.0.1:1", None), key_of("10.0.0.1:2", None));
        assert_eq!(
            key_of("10.0.0.1:1", None),
            key_of("[::ffff:10.0.0.1]:1", None)
        );
        assert_eq!(
            key_of("[2001:db8:1:2::1]:1", None),
            key_of("[2001:db8:1:2:ffff::9]:1", None)
        );
        assert_ne!(
            key_of("[2001:db8:1:2::1]:1", None),
            key_of("[2001:db8:1:3::1]:1", None)
        );
    }
}
