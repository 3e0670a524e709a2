//! Continuation links: followed below the configured origin only, and never in a circle.

use crate::d365::error::D365Error;
use std::collections::HashSet;
use url::Url;

/// Longest link that is followed, in bytes.
const LONGEST: usize = 8 * 1024;

/// A continuation link: path and query below the configured origin, already checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NextLink(String);

impl NextLink {
    /// Checks a link D365 sent with an answer from `set_url` (an entity set's address).
    ///
    /// The bearer token goes where the link points, so it must keep scheme, host and port, carry
    /// no user, and name the same entity set. Absolute and relative forms are accepted.
    ///
    /// # Errors
    /// [`D365Error::BadAnswer`] that says what is wrong with it.
    pub fn checked(link: &str, set_url: &Url) -> Result<Self, D365Error> {
        let refused = |problem: String| Err(D365Error::BadAnswer { problem });
        if link.len() > LONGEST {
            return refused(format!("its nextLink is longer than {LONGEST} bytes"));
        }
        if link.trim().is_empty() {
            // Joined, it would be the whole entity set.
            return refused("its nextLink is empty".to_owned());
        }
        let Ok(target) = set_url.join(link) else {
            return refused("its nextLink is no address".to_owned());
        };
        if target.origin() != set_url.origin() {
            return refused(format!(
                "its nextLink points to another origin ({}://{}{})",
                cut(target.scheme()),
                cut(target.host_str().unwrap_or("no host")),
                target
                    .port()
                    .map_or_else(String::new, |port| format!(":{port}")),
            ));
        }
        if !target.username().is_empty() || target.password().is_some() {
            return refused("its nextLink carries a user".to_owned());
        }
        // D365 serves `/Data/` as well as `/data/`.
        if !target.path().eq_ignore_ascii_case(set_url.path()) {
            return refused("its nextLink leaves the entity set".to_owned());
        }
        Ok(match target.query() {
            Some(query) => Self::of_query(set_url, query),
            None => Self(set_url.path().to_owned()),
        })
    }

    /// A continuation of our own.
    pub(super) fn of_query(set_url: &Url, query: &str) -> Self {
        Self(format!("{}?{query}", set_url.path()))
    }

    /// Where it points, at the configured origin and nowhere else. Checked again: a link may have been
    /// stored and come back.
    pub(super) fn at(&self, set_url: &Url) -> Result<Url, D365Error> {
        let Self(checked) = Self::checked(&self.0, set_url)?;
        let query = checked.split_once('?').map(|(_, query)| query);
        Ok(with_query(set_url, query.unwrap_or_default()))
    }
}

/// An entity set's address with a query.
pub(super) fn with_query(set_url: &Url, query: &str) -> Url {
    let mut url = set_url.clone();
    url.set_query(Some(query));
    url
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// The links followed in one chain, so that no chain runs in a circle or for ever.
#[derive(Debug, Clone)]
pub struct LinkTrail {
    seen: HashSet<NextLink>,
    longest: usize,
}

impl LinkTrail {
    /// A chain of at most this many links.
    pub fn new(longest: usize) -> Self {
        Self {
            seen: HashSet::new(),
            longest,
        }
    }

    /// Notes a link before it is followed.
    ///
    /// # Errors
    /// [`D365Error::BadAnswer`] if it was followed before, or if the chain is too long.
    pub fn follow(&mut self, link: &NextLink) -> Result<(), D365Error> {
        let problem = if self.seen.len() >= self.longest {
            format!("its pages do not end after {} links", self.longest)
        } else if self.seen.insert(link.clone()) {
            return Ok(());
        } else {
            "its nextLink was given before: the pages run in a circle".to_owned()
        };
        Err(D365Error::BadAnswer { problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_url() -> Url {
        Url::parse("https://contoso.operations.dynamics.com/data/WarehousesOnHandV2").unwrap()
    }

    #[test]
    fn a_link_below_the_entity_set_is_kept_as_path_and_query() {
        for link in [
            "https://contoso.operations.dynamics.com/data/WarehousesOnHandV2?$skip=10&$top=5",
            "https://CONTOSO.operations.dynamics.com:443/Data/WarehousesOnHandV2?$skip=10&$top=5",
            "/data/WarehousesOnHandV2?$skip=10&$top=5",
            "WarehousesOnHandV2?$skip=10&$top=5",
            "?$skip=10&$top=5#part",
            "https://contoso.operations.dynamics.com/x/../data/WarehousesOnHandV2?$skip=10&$top=5",
        ] {
            assert_eq!(
                NextLink::checked(link, &set_url()).unwrap().0,
                "/data/WarehousesOnHandV2?$skip=10&$top=5",
                "{link}"
            );
        }
    }

    #[test]
    fn a_link_that_leaves_is_refused() {
        for link in [
            "https://evil.example/data/WarehousesOnHandV2?$skip=10",
            "http://contoso.operations.dynamics.com/data/WarehousesOnHandV2",
            "https://contoso.operations.dynamics.com:8443/data/WarehousesOnHandV2",
            "https://contoso.operations.dynamics.com.evil.example/data/WarehousesOnHandV2",
            "https://contoso.operations.dynamics.com@evil.example/data/WarehousesOnHandV2",
            "https://user:pw@contoso.operations.dynamics.com/data/WarehousesOnHandV2",
            "//evil.example/data/WarehousesOnHandV2",
            "\\\\evil.example\\data\\WarehousesOnHandV2",
            "/data/../admin",
            "/data/WarehousesOnHandV2/../Users",
            "/data/%2e%2e/WarehousesOnHandV2",
            "/data/Users?$skip=1",
            "Users?$skip=1",
            "javascript:alert(1)",
            "",
            " ",
            "file:///etc/passwd",
            "https://",
            &format!("?$skip={}", "1".repeat(9_000)),
        ] {
            assert!(
                matches!(
                    NextLink::checked(link, &set_url()),
                    Err(D365Error::BadAnswer { .. })
                ),
                "{link}"
            );
        }
    }

    #[test]
    fn a_refusal_names_the_host_and_nothing_else_of_the_link() {
        let link = "https://evil.example:8443/data/WarehousesOnHandV2?token=abc";
        let refusal = NextLink::checked(link, &set_url()).unwrap_err().to_string();
        assert!(refusal.contains("https://evil.example:8443"), "{refusal}");
        assert!(!refusal.contains("abc"), "{refusal}");
    }

    #[test]
    fn a_chain_ends() {
        let link = |skip: u32| NextLink(format!("/data/Set?$skip={skip}"));
        let mut trail = LinkTrail::new(3);
        trail.follow(&link(1)).unwrap();
        trail.follow(&link(2)).unwrap();
        assert!(trail.follow(&link(1)).is_err());
        trail.follow(&link(3)).unwrap();
        assert!(trail.follow(&link(4)).is_err());
    }
}
