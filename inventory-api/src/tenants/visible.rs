//! The directory as one caller may see it.

use crate::error::ApiError;
use crate::tenants::directory::{Channel, Directory, Tenant};
use shared::http::auth::NotAllowed;
use std::sync::Arc;

/// Says whether a tenant's stock may be asked about, as a channel or as none.
pub(crate) type MayAsk<'a> = dyn Fn(&str, Option<&str>) -> Result<(), NotAllowed> + 'a;

/// No tenant has this id, so only a caller who is bound to no tenants may ask about it.
const NOBODY: &str = "";

/// The tenants a request may be about. All others look as if they did not exist, and for a caller
/// who is bound what does not exist looks like all others.
pub(crate) struct VisibleTenants<'d, 'r> {
    directory: &'d Directory,
    may_ask: &'r MayAsk<'r>,
    asked_channel: Option<&'r str>,
    channel: Option<&'d Channel>,
    /// A caller who is bound to channels has business with the tenant of the one it names only.
    is_bound_to_channel: bool,
}

impl<'d, 'r> VisibleTenants<'d, 'r> {
    /// What may be seen by a request that names this channel, which is found on the way.
    pub(crate) fn of(
        directory: &'d Directory,
        may_ask: &'r MayAsk<'r>,
        asked_channel: Option<&'r str>,
        path: &'static str,
    ) -> Result<Self, ApiError> {
        let is_bound_to_tenants = match may_ask(NOBODY, asked_channel) {
            Ok(()) => false,
            Err(NotAllowed::Tenant) => true,
            // Refused by its name alone, before anybody looks whether it exists.
            Err(refusal @ (NotAllowed::Channel | NotAllowed::NoChannel)) => {
                return Err(refusal.into());
            }
        };
        let mut visible = Self {
            directory,
            may_ask,
            asked_channel,
            channel: None,
            is_bound_to_channel: may_ask(NOBODY, None) == Err(NotAllowed::NoChannel),
        };
        if let Some(asked) = asked_channel {
            let is_seen =
                |channel: &&Channel| may_ask(channel.tenant.as_str(), asked_channel).is_ok();
            let channel = directory.channel(asked).filter(is_seen);
            visible.channel = Some(channel.ok_or_else(|| {
                if is_bound_to_tenants {
                    return ApiError::from(NotAllowed::Channel);
                }
                let asked = shown(asked);
                ApiError::ChannelNotFound { asked, path }
            })?);
        }
        Ok(visible)
    }

    pub(crate) fn directory(&self) -> &'d Directory {
        self.directory
    }

    pub(crate) fn channel(&self) -> Option<&'d Channel> {
        self.channel
    }

    /// Whether a tenant of this id would be seen.
    pub(crate) fn may_see(&self, id: &str) -> bool {
        let is_of_channel = self
            .channel
            .is_some_and(|channel| channel.tenant.as_str() == id);
        (is_of_channel || !self.is_bound_to_channel)
            && (self.may_ask)(id, self.asked_channel).is_ok()
    }

    pub(crate) fn tenant(&self, id: &str) -> Option<&'d Arc<Tenant>> {
        let tenant = self.directory.tenant(id)?;
        self.may_see(id).then_some(tenant)
    }

    pub(crate) fn tenants(&self) -> impl Iterator<Item = &'d Arc<Tenant>> {
        let tenants = self.directory.tenants().iter();
        tenants.filter(|tenant| self.may_see(tenant.id.as_str()))
    }

    /// Those of this legal entity, whatever its case.
    pub(crate) fn tenants_of_company(
        &self,
        company: &str,
    ) -> impl Iterator<Item = &'d Arc<Tenant>> {
        let tenants = self.directory.tenants_of_company(company);
        tenants.filter(|tenant| self.may_see(tenant.id.as_str()))
    }
}

/// What a caller sent, short enough to be sent back.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}
