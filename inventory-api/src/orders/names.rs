//! Which order or reservation a request means: an id is a name within its channel.
//!
//! Who names a channel means that channel's. Who names none means what came through none; to look at it,
//! confirm it or give it up also what came through any channel, if only one has that id. Records from
//! before ids were kept by channel stand under their id alone and say whose they are.

use super::record::Record;
use crate::error::ApiError;
use crate::state::AppState;
use crate::tenants::scope::Scope;
use shared::redis_store::OrderText;
use shared::stock::{ChannelId, HoldOwner, TenantId};

/// Those a check names, each with all that may stand under its id.
#[derive(Debug)]
pub(crate) struct Named {
    candidates: Vec<Vec<HoldOwner>>,
    channel: Option<ChannelId>,
}

impl Named {
    /// What may be meant by the names in a check of this scope.
    pub(crate) fn of_check(state: &AppState, scope: &Scope, named: &[HoldOwner]) -> Self {
        let channel = channel_of(scope.channel.as_deref());
        let channels = channels_of(state, &scope.tenant.id);
        let candidates = named.iter().map(|owner| match (owner, &channel) {
            // It is about to be placed: another channel's of the same id is another one.
            (HoldOwner::Order(_), None) => vec![owner.clone()],
            _ => candidates(owner, channel.as_ref(), &channels),
        });
        Self {
            candidates: candidates.collect(),
            channel,
        }
    }

    /// Whose records tell which are meant.
    pub(crate) fn all(&self) -> Vec<HoldOwner> {
        self.candidates.concat()
    }

    /// Whether only the records tell.
    pub(crate) fn is_open(&self) -> bool {
        self.candidates.iter().any(|of| of.len() > 1)
    }

    /// Those meant if nobody knows: then the holds are not known either.
    pub(crate) fn believed(&self) -> Vec<HoldOwner> {
        let first = self.candidates.iter().filter_map(|of| of.first());
        first.cloned().collect()
    }

    /// The records of those that are meant, out of the records of all.
    pub(crate) fn meant(&self, mut records: &[OrderText]) -> Result<Vec<OrderText>, ApiError> {
        let mut found = Vec::with_capacity(self.candidates.len());
        for of in &self.candidates {
            let (its, others) = records.split_at(of.len().min(records.len()));
            records = others;
            found.push(meant(its, self.channel.as_ref(), "$.channel")?);
        }
        Ok(found)
    }
}

/// The record of the one a request without a body names.
pub(super) async fn find(
    state: &AppState,
    tenant: &TenantId,
    channel: Option<&str>,
    named: &HoldOwner,
) -> Result<OrderText, ApiError> {
    let channel = channel_of(channel);
    let owners = candidates(named, channel.as_ref(), &channels_of(state, tenant));
    let reading = state.store.read_orders(tenant, &owners, &[]).await;
    let (records, _) =
        reading.map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })?;
    meant(&records, channel.as_ref(), "channel")
}

fn channel_of(channel: Option<&str>) -> Option<ChannelId> {
    channel.and_then(|channel| ChannelId::parse(channel).ok())
}

fn channels_of(state: &AppState, tenant: &TenantId) -> Vec<ChannelId> {
    let directory = state.directory();
    directory.channels_of(tenant).cloned().collect()
}

/// What may stand under an id, what is meant if nothing does first.
fn candidates(
    named: &HoldOwner,
    channel: Option<&ChannelId>,
    channels: &[ChannelId],
) -> Vec<HoldOwner> {
    if let Some(channel) = channel {
        return vec![named.in_channel(channel), named.clone()];
    }
    let in_channels = channels.iter().map(|channel| named.in_channel(channel));
    std::iter::once(named.clone()).chain(in_channels).collect()
}

/// PURE: the one that is meant among these candidates.
fn meant(
    candidates: &[OrderText],
    channel: Option<&ChannelId>,
    path: &'static str,
) -> Result<OrderText, ApiError> {
    let is_there = |candidate: &&OrderText| candidate.text.is_some();
    let is_channels = |candidate: &&OrderText| {
        let record = Record::of(candidate);
        record.is_some_and(|record| record.channel.as_deref() == channel.map(ChannelId::as_str))
    };
    let nobody = || ApiError::CacheUnavailable { cause: None };
    let (first, others) = candidates.split_first().ok_or_else(nobody)?;
    if first.text.is_some() {
        return Ok(first.clone());
    }
    let mut found = match channel {
        Some(_) => others.iter().filter(is_channels).collect::<Vec<_>>(),
        None => others.iter().filter(is_there).collect(),
    };
    match (found.pop(), found.len()) {
        (None, _) => Ok(first.clone()),
        (Some(only), 0) => Ok(only.clone()),
        (Some(_), _) => Err(ApiError::invalid(
            path,
            "several channels have one with this id: name the channel",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::stock::{AsOf, HoldId};

    /// Owners with a record, and the channel it names.
    type Known<'a> = &'a [(&'a HoldOwner, Option<&'a str>)];

    /// Who has a record under the id, by which channel; who asks -> whose is meant.
    #[test]
    fn an_id_is_a_name_within_its_channel() {
        let channel = |id: &str| ChannelId::parse(id).unwrap();
        let named = HoldOwner::Order(HoldId::parse("O-1").unwrap());
        let record = |channel| Record::held(("d", channel), AsOf::EPOCH, AsOf::EPOCH, &[]).text();
        let channels = [channel("a"), channel("b")];
        let (in_a, in_b) = (
            named.in_channel(&channels[0]),
            named.in_channel(&channels[1]),
        );
        let cases: [(Known<'_>, Option<&str>, Option<&HoldOwner>); 10] = [
            (&[], Some("a"), Some(&in_a)),
            (&[], None, Some(&named)),
            (&[(&in_b, Some("b"))], Some("a"), Some(&in_a)),
            (&[(&named, None)], Some("a"), Some(&in_a)),
            (&[(&in_b, Some("b"))], None, Some(&in_b)),
            (&[(&in_a, Some("a")), (&in_b, Some("b"))], None, None),
            (&[(&named, None), (&in_a, Some("a"))], None, Some(&named)),
            // From before ids were kept by channel.
            (&[(&named, Some("a"))], Some("a"), Some(&named)),
            (&[(&named, Some("a"))], Some("b"), Some(&in_b)),
            (&[(&named, Some("a"))], None, Some(&named)),
        ];
        for (there, asker, expected) in cases {
            let asker = asker.map(channel);
            let texts: Vec<OrderText> = candidates(&named, asker.as_ref(), &channels)
                .into_iter()
                .map(|owner| OrderText {
                    text: there
                        .iter()
                        .find(|(other, _)| **other == owner)
                        .map(|(_, channel)| record(*channel)),
                    owner,
                })
                .collect();
            let found = meant(&texts, asker.as_ref(), "channel").ok();
            let found = found.map(|found| found.owner);
            assert_eq!(found.as_ref(), expected, "{there:?} {asker:?}");
        }
    }
}
