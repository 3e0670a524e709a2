//! Channel, organization and warehouses of a request -> tenant, warehouses and policy.
//!
//! What a request leaves out is filled in only where there is no choice; nothing is guessed.
//! No answer sets what a caller may not ask about apart from what does not exist.

use crate::error::ApiError;
use crate::http::query::set_once;
use crate::http::question_body::{Given, List, QuestionBody, Text};
use crate::tenants::directory::{Channel, Directory, Tenant};
use crate::tenants::visible::{MayAsk, VisibleTenants, shown};
use actix_web::HttpRequest;
use shared::http::auth::{Caller, NotAllowed};
use shared::stock::{ChannelPolicy, WarehouseId};
use std::borrow::Cow;
use std::sync::Arc;

/// Whose stock, from which warehouses, by which rules.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub tenant: Arc<Tenant>,
    /// Which warehouses, each once, in the order asked for.
    pub warehouses: Vec<WarehouseId>,
    /// The channel's rules, or the default ones.
    pub policy: Arc<ChannelPolicy>,
    /// The channel that was named.
    pub channel: Option<String>,
}

/// What the caller of this request may ask about. A request that was not authenticated has no
/// caller, and no rights.
pub(crate) fn rights_of(
    request: &HttpRequest,
) -> Result<impl Fn(&str, Option<&str>) -> Result<(), NotAllowed> + use<>, ApiError> {
    let caller = Caller::of(request).ok_or(NotAllowed::Tenant)?;
    Ok(move |tenant: &str, channel: Option<&str>| caller.may_ask(tenant, channel))
}

/// The words of a request that decide its scope.
#[derive(Debug)]
pub(crate) struct AskedScope<'a> {
    /// `organization`
    pub organization: Option<Cow<'a, str>>,
    /// `channel`
    pub channel: Option<Cow<'a, str>>,
    /// `warehouseId` or `warehouseIds`, as they were sent; none if neither was.
    pub warehouses: Option<Vec<Cow<'a, str>>>,
    places: &'static Places,
}

/// How the places of the scope's words are written in refusals.
#[derive(Debug)]
struct Places {
    organization: &'static str,
    channel: &'static str,
    warehouses: &'static str,
    is_list: bool,
}

const IN_BODY: Places = Places {
    organization: "$.organization",
    channel: "$.channel",
    warehouses: "$.warehouseId",
    is_list: false,
};
const IN_LIST: Places = Places {
    warehouses: "$.warehouseIds",
    is_list: true,
    ..IN_BODY
};
const IN_QUERY: Places = Places {
    organization: "organization",
    channel: "channel",
    warehouses: "warehouseId",
    is_list: true,
};

impl<'a> AskedScope<'a> {
    /// Takes the words out of a JSON body.
    pub(crate) fn of_body(body: &mut QuestionBody<'a>) -> Result<Self, ApiError> {
        let text = |given: &mut Given<Text<'a>>| given.0.take().map(|Text(text)| text);
        let (one, list) = (text(&mut body.warehouse_id), body.warehouse_ids.0.take());
        let (warehouses, places) = match (one, list) {
            (None, None) => (None, &IN_BODY),
            (Some(one), None) => (Some(vec![one]), &IN_BODY),
            (None, Some(List(list))) => (
                Some(list.into_iter().map(|Text(text)| text).collect()),
                &IN_LIST,
            ),
            (Some(_), Some(_)) => {
                let problem = "give warehouseId or warehouseIds, not both";
                return Err(ApiError::invalid(IN_LIST.warehouses, problem));
            }
        };
        Ok(Self {
            organization: text(&mut body.organization),
            channel: text(&mut body.channel),
            warehouses,
            places,
        })
    }

    /// Of a query string; [`Self::take`] its pairs.
    pub(crate) fn of_query() -> Self {
        Self {
            organization: None,
            channel: None,
            warehouses: None,
            places: &IN_QUERY,
        }
    }

    /// Takes a pair of a query string if it is one of the scope's words.
    pub(crate) fn take(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), ApiError> {
        match name {
            "organization" => set_once(&mut self.organization, value, name),
            "channel" => set_once(&mut self.channel, value, name),
            "warehouseId" => {
                self.warehouses.get_or_insert_default().push(value);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Finds tenant, warehouses and policy, if they may be asked about; at most `longest_list`
    /// warehouses.
    pub(crate) fn resolve(
        &self,
        directory: &Directory,
        longest_list: usize,
        may_ask: &MayAsk<'_>,
    ) -> Result<Scope, ApiError> {
        let (tenant, channel) = self.tenant_and_channel(directory, may_ask)?;
        let defaults = match channel {
            Some(channel) if !channel.warehouses.is_empty() => &channel.warehouses,
            _ => &tenant.warehouses,
        };
        let warehouses = match &self.warehouses {
            Some(asked) => self.warehouses_named(tenant, asked, longest_list)?,
            None if channel.is_some_and(|channel| !channel.warehouses.is_empty()) => {
                defaults.clone()
            }
            None => match defaults.as_slice() {
                [only] => vec![only.clone()],
                _ => {
                    return Err(ApiError::invalid(
                        self.places.warehouses,
                        "name a warehouse: the organization has several, and no default for this channel",
                    ));
                }
            },
        };
        let policy = channel.map_or_else(
            || Arc::clone(&directory.default_policy),
            |channel| Arc::clone(&channel.policy),
        );
        Ok(Scope {
            tenant: Arc::clone(tenant),
            warehouses,
            policy,
            channel: self.channel.as_deref().map(str::to_owned),
        })
    }

    /// Finds the tenant alone, if it may be asked about.
    pub(crate) fn resolve_tenant(
        &self,
        directory: &Directory,
        may_ask: &MayAsk<'_>,
    ) -> Result<Arc<Tenant>, ApiError> {
        let (tenant, _) = self.tenant_and_channel(directory, may_ask)?;
        Ok(Arc::clone(tenant))
    }

    fn tenant_and_channel<'d>(
        &self,
        directory: &'d Directory,
        may_ask: &MayAsk<'_>,
    ) -> Result<(&'d Arc<Tenant>, Option<&'d Channel>), ApiError> {
        let path = self.places.channel;
        let visible = VisibleTenants::of(directory, may_ask, self.channel.as_deref(), path)?;
        let channel = visible.channel();
        let tenant = match (&self.organization, channel) {
            (Some(asked), _) => self.organization_named(&visible, asked)?,
            (None, Some(channel)) => {
                directory.tenant(channel.tenant.as_str()).ok_or_else(|| {
                    ApiError::OrganizationNotFound {
                        asked: channel.tenant.to_string(),
                        path,
                    }
                })?
            }
            (None, None) => self.only_organization(&visible)?,
        };
        if let Some(channel) = channel
            && channel.tenant != tenant.id
        {
            return Err(ApiError::invalid(
                self.places.organization,
                format!(
                    "this channel sells the stock of {:?}",
                    channel.tenant.as_str()
                ),
            ));
        }
        Ok((tenant, channel))
    }

    /// Finds the tenant and the warehouses named, or all of them, if they may be asked about; the
    /// channel does not count.
    pub(crate) fn resolve_all_warehouses(
        &self,
        directory: &Directory,
        longest_list: usize,
        may_ask: &MayAsk<'_>,
    ) -> Result<(Arc<Tenant>, Vec<WarehouseId>), ApiError> {
        let visible = VisibleTenants::of(directory, may_ask, None, self.places.channel)?;
        let tenant = match &self.organization {
            Some(asked) => self.organization_named(&visible, asked)?,
            None => self.only_organization(&visible)?,
        };
        let warehouses = match &self.warehouses {
            Some(asked) => self.warehouses_named(tenant, asked, longest_list)?,
            None => tenant.warehouses.clone(),
        };
        Ok((Arc::clone(tenant), warehouses))
    }

    fn organization_named<'d>(
        &self,
        visible: &VisibleTenants<'d, '_>,
        asked: &str,
    ) -> Result<&'d Arc<Tenant>, ApiError> {
        let path = self.places.organization;
        if let Some(tenant) = visible.tenant(asked) {
            return Ok(tenant);
        }
        let mut of_company = visible.tenants_of_company(asked);
        match (of_company.next(), of_company.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(ApiError::invalid(
                path,
                "several organizations have this legal entity: name the organization's own id",
            )),
            // What a prefetcher published may name it, but Redis was not reached yet.
            (None, _) if !visible.directory().knows_published => {
                Err(ApiError::CacheUnavailable { cause: None })
            }
            (None, _) if !visible.may_see(asked) => Err(NotAllowed::Tenant.into()),
            (None, _) => Err(ApiError::OrganizationNotFound {
                asked: shown(asked),
                path,
            }),
        }
    }

    fn only_organization<'d>(
        &self,
        visible: &VisibleTenants<'d, '_>,
    ) -> Result<&'d Arc<Tenant>, ApiError> {
        let mut tenants = visible.tenants();
        let directory = visible.directory();
        match (tenants.next(), tenants.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(ApiError::invalid(
                self.places.organization,
                "name an organization: there are several",
            )),
            (None, _) if !directory.tenants().is_empty() => Err(NotAllowed::Tenant.into()),
            (None, _) if directory.knows_published => Err(ApiError::CacheCold),
            (None, _) => Err(ApiError::CacheUnavailable { cause: None }),
        }
    }

    fn place_of_warehouse(&self, at: usize) -> String {
        let Places {
            warehouses,
            is_list,
            ..
        } = self.places;
        if *is_list {
            format!("{warehouses}[{at}]")
        } else {
            (*warehouses).to_owned()
        }
    }

    fn warehouses_named(
        &self,
        tenant: &Tenant,
        asked: &[Cow<'_, str>],
        longest_list: usize,
    ) -> Result<Vec<WarehouseId>, ApiError> {
        if asked.is_empty() {
            return Err(ApiError::invalid(
                self.places.warehouses,
                "name at least one warehouse",
            ));
        }
        if asked.len() > longest_list {
            return Err(ApiError::TooLarge {
                path: self.places.warehouses.to_owned(),
                name: "warehouses",
                limit: longest_list,
            });
        }
        let mut warehouses: Vec<WarehouseId> = Vec::with_capacity(asked.len());
        for (at, name) in asked.iter().enumerate() {
            let known = tenant
                .warehouses
                .iter()
                .find(|known| known.is_named_by(name))
                .ok_or_else(|| ApiError::WarehouseNotFound {
                    asked: shown(name),
                    organization: tenant.id.to_string(),
                    path: self.place_of_warehouse(at),
                })?;
            if !warehouses.contains(known) {
                // The reply names it as the caller does.
                let spelled = WarehouseId::parse(&**name);
                warehouses.push(spelled.unwrap_or_else(|_too_long| known.clone()));
            }
        }
        Ok(warehouses)
    }
}

#[cfg(test)]
mod tests;
