//! Who asks, and what about.

use crate::http::caller_key::CallerName;
use crate::settings::RoleName;
use actix_web::{HttpMessage, HttpRequest};
use std::sync::Arc;

/// A caller who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    id: String,
    name: Option<CallerName>,
    roles: Vec<RoleName>,
    channels: Allowed,
    tenants: Allowed,
}

/// Which of the names of one kind a caller may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Allowed {
    All,
    Only(Vec<String>),
}

impl Allowed {
    /// All, unless a list was configured.
    pub(super) fn of(list: Option<&Vec<String>>) -> Self {
        list.map_or(Self::All, |list| Self::Only(list.clone()))
    }

    fn contains(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(list) => list.iter().any(|allowed| allowed == name),
        }
    }
}

/// What a caller may not ask about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotAllowed {
    #[error("this caller may not ask about this organization")]
    Tenant,
    #[error("this caller may not use this channel")]
    Channel,
    #[error("this caller must name one of its channels")]
    NoChannel,
}

impl Caller {
    pub(super) fn new(
        id: String,
        roles: Vec<RoleName>,
        channels: Allowed,
        tenants: Allowed,
    ) -> Self {
        Self {
            name: Some(CallerName(id.as_str().into())),
            id,
            roles,
            channels,
            tenants,
        }
    }

    /// Everybody, where authentication is switched off.
    pub(super) fn everybody() -> Self {
        let roles = vec![RoleName::Browse, RoleName::Order, RoleName::Operate];
        Self {
            // Nobody signed in, so the connection's address tells callers apart.
            name: None,
            ..Self::new("everybody".to_owned(), roles, Allowed::All, Allowed::All)
        }
    }

    /// The caller that was let in with this request; none without a guard.
    pub fn of(request: &HttpRequest) -> Option<Arc<Self>> {
        request.extensions().get::<Arc<Self>>().cloned()
    }

    /// Stable name for logs and budgets: `basic:<name>` or `token:<subject>`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name limits are kept by; none where authentication is switched off.
    pub(super) fn name(&self) -> Option<CallerName> {
        self.name.clone()
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, role: RoleName) -> bool {
        self.roles.contains(&role)
    }

    /// Whether what is done for a whole tenant may be done by this caller.
    pub fn may_operate(&self, tenant: &str) -> bool {
        self.tenants.contains(tenant)
    }

    /// Whether the caller may ask about a tenant's stock, as this channel. A caller who is bound to
    /// channels must name one of them.
    pub fn may_ask(&self, tenant: &str, channel: Option<&str>) -> Result<(), NotAllowed> {
        match (channel, &self.channels) {
            (Some(channel), channels) if !channels.contains(channel) => {
                return Err(NotAllowed::Channel);
            }
            (None, Allowed::Only(_)) => return Err(NotAllowed::NoChannel),
            _ => {}
        }
        if self.tenants.contains(tenant) {
            Ok(())
        } else {
            Err(NotAllowed::Tenant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(channels: Option<&[&str]>, tenants: Option<&[&str]>) -> Caller {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Caller::new(
            "basic:icm".to_owned(),
            vec![RoleName::Browse],
            Allowed::of(channels.map(list).as_ref()),
            Allowed::of(tenants.map(list).as_ref()),
        )
    }

    #[test]
    fn a_caller_asks_about_its_own_channels_and_tenants_only() {
        let free = bound(None, None);
        let shop = bound(Some(&["shop"]), None);
        let contoso = bound(None, Some(&["contoso"]));
        let nothing = bound(Some(&[]), Some(&[]));
        let operable = [&free, &shop, &contoso, &nothing].map(|caller| {
            let may = |tenant| caller.may_operate(tenant);
            (may("contoso"), may("fabrikam"))
        });
        let expected = [(true, true), (true, true), (true, false), (false, false)];
        assert_eq!(operable, expected);
        for (caller, tenant, channel, expected) in [
            (&free, "contoso", None, Ok(())),
            (&free, "contoso", Some("shop"), Ok(())),
            (&shop, "contoso", Some("shop"), Ok(())),
            (&shop, "contoso", Some("Shop"), Err(NotAllowed::Channel)),
            (&shop, "contoso", None, Err(NotAllowed::NoChannel)),
            (&contoso, "contoso", None, Ok(())),
            (&contoso, "fabrikam", None, Err(NotAllowed::Tenant)),
            (&contoso, "fabrikam", Some("x"), Err(NotAllowed::Tenant)),
            (&nothing, "contoso", None, Err(NotAllowed::NoChannel)),
            (&nothing, "contoso", Some(""), Err(NotAllowed::Channel)),
        ] {
            assert_eq!(caller.may_ask(tenant, channel), expected);
        }
    }

    #[test]
    fn a_role_includes_no_other() {
        let caller = bound(None, None);
        assert!(caller.has_role(RoleName::Browse));
        assert!(!caller.has_role(RoleName::Order) && !caller.has_role(RoleName::Operate));
    }
}
