//! PURE: evidence or its lack, and the policy -> what is granted of each line.

use crate::live::failure::OnLiveFailure;
use crate::stock::availability::{Availability, Freshness, Offer};
use crate::stock::evidence::Evidence;
use shared::stock::{
    ChannelPolicy, LiveFailurePolicy, Quantity, StockState, clamp_to_sellable, sum_sellable,
};
use std::time::Duration;

/// What an order gets where D365 did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Nothing: the whole check fails. The caller said so.
    Fail,
    /// Nothing: the whole check fails. The channel says so.
    Reject,
    /// What the cache offers, whatever its age. The caller said so.
    Cache,
    /// What a young enough cached line offers, less a buffer.
    AcceptIfFresh {
        /// Oldest acceptable age.
        max_age: Duration,
        /// What must stay in stock.
        buffer: Quantity,
    },
    /// Whatever is ordered.
    Accept,
}

impl Fallback {
    /// The caller's word goes before the channel's policy.
    pub(crate) fn of(asked: Option<OnLiveFailure>, policy: &ChannelPolicy) -> Self {
        match (asked, policy.live_failure) {
            (Some(OnLiveFailure::Fail), _) => Self::Fail,
            (Some(OnLiveFailure::Cache), _) => Self::Cache,
            (None, LiveFailurePolicy::Reject) => Self::Reject,
            (None, LiveFailurePolicy::AcceptIfFresh { max_age, buffer }) => {
                Self::AcceptIfFresh { max_age, buffer }
            }
            (None, LiveFailurePolicy::Accept) => Self::Accept,
        }
    }

    /// Whether a check without all its live answers fails.
    pub(crate) fn is_refusal(self) -> bool {
        matches!(self, Self::Fail | Self::Reject)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Reject => "reject",
            Self::Cache => "cache",
            Self::AcceptIfFresh { .. } => "accept-if-fresh",
            Self::Accept => "accept",
        }
    }
}

/// What decided a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecidedBy {
    /// D365's live answer.
    Live,
    /// The policy for when there is none.
    Fallback,
    /// The same order's earlier check, which holds the stock.
    EarlierCheck,
}

/// What is decided about one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub requested: Quantity,
    pub granted: Quantity,
    pub by: DecidedBy,
    pub availability: Availability,
}

impl Verdict {
    /// Whether all of it may be sold.
    pub(crate) fn is_orderable(&self) -> bool {
        self.granted >= self.requested
    }
}

/// How a check is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub policy: &'a ChannelPolicy,
    /// What is done where D365 did not answer.
    pub fallback: Fallback,
    pub freshness: Freshness,
}

/// Decides one line from all its warehouses; `is_answered` says whether D365 answered for it.
///
/// A product whose absence or lack of proof the channel sells all the same (policy `unspecified`)
/// is granted in full, as it is shown.
pub(crate) fn decide(
    requested: Quantity,
    evidence: &[Evidence],
    is_answered: bool,
    rules: Rules<'_>,
) -> Verdict {
    let availability = Availability::across_warehouses(evidence, rules.policy, rules.freshness);
    let offered = || match availability.offer {
        Offer::Amount(amount) => requested.min(amount),
        Offer::Unspecified => requested,
    };
    let granted = if is_answered {
        offered()
    } else {
        match rules.fallback {
            Fallback::Fail | Fallback::Reject => Quantity::ZERO,
            Fallback::Cache => offered(),
            Fallback::AcceptIfFresh { max_age, buffer } => {
                requested.min(fresh_amount(evidence, rules, max_age, buffer))
            }
            Fallback::Accept => requested,
        }
    };
    Verdict {
        requested,
        granted,
        by: if is_answered {
            DecidedBy::Live
        } else {
            DecidedBy::Fallback
        },
        availability,
    }
}

/// A line the same order was granted before, and that is held for it.
pub(crate) fn decided_before(
    requested: Quantity,
    evidence: &[Evidence],
    rules: Rules<'_>,
) -> Verdict {
    Verdict {
        requested,
        granted: requested,
        by: DecidedBy::EarlierCheck,
        availability: Availability::across_warehouses(evidence, rules.policy, rules.freshness),
    }
}

/// What one warehouse can give to a line that was decided so; nothing if the decision did not rely on
/// it.
pub(crate) fn share_of(evidence: &Evidence, by: DecidedBy, rules: Rules<'_>) -> Quantity {
    let is_relied_on = match (by, rules.fallback) {
        (DecidedBy::Fallback, Fallback::AcceptIfFresh { max_age, .. }) => {
            is_fresh(evidence, rules, max_age)
        }
        _ => true,
    };
    if !is_relied_on {
        return Quantity::ZERO;
    }
    let left = evidence.left().unwrap_or_default();
    rules.policy.sellable(left)
}

/// A young line that the last complete snapshot has confirmed. A suspect line is no ground for a
/// promise.
fn is_fresh(evidence: &Evidence, rules: Rules<'_>, max_age: Duration) -> bool {
    let judged = evidence.judged;
    judged.state == StockState::Present
        && judged
            .as_of
            .is_some_and(|as_of| as_of.age_at(rules.freshness.now) <= max_age)
}

/// What fresh lines offer, less the buffer.
fn fresh_amount(
    evidence: &[Evidence],
    rules: Rules<'_>,
    max_age: Duration,
    buffer: Quantity,
) -> Quantity {
    let fresh = evidence
        .iter()
        .filter(|evidence| is_fresh(evidence, rules, max_age));
    let sellable = fresh
        .filter_map(Evidence::left)
        .map(|left| rules.policy.sellable(left));
    sum_sellable(sellable)
        .and_then(|sum| sum.checked_sub(buffer))
        .map_or(Quantity::ZERO, clamp_to_sellable)
}

#[cfg(test)]
mod tests;
