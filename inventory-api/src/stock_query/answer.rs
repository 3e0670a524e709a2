//! PURE: evidence, policy and now -> what the shop is told about a SKU.

use crate::evidence::{Evidence, Source};
use shared::process::guards::{self, Guard};
use shared::stock::{
    AsOf, ChannelPolicy, Quantities, Quantity, QuantityDisplay, StockLevel, StockState,
    sum_sellable,
};
use std::time::Duration;

/// The moment of the answer and what counts as old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness {
    /// The moment of the answer.
    pub now: AsOf,
    /// A cached number older than this is stale.
    pub stale_after: Duration,
}

impl Freshness {
    /// Whether evidence is old, or not there at all. A live answer is never old.
    pub(crate) fn is_stale(self, source: Source, as_of: Option<AsOf>) -> bool {
        match (source, as_of) {
            (Source::Live, _) => false,
            _ if guards::is_off(Guard::ReaderJudgesAge) => false,
            (_, Some(as_of)) => as_of.age_at(self.now) > self.stale_after,
            (_, None) => true,
        }
    }
}

/// What is offered for sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// This much; never negative.
    Amount(Quantity),
    /// Some, without saying how much.
    Unspecified,
}

impl Offer {
    /// Whether anything is offered.
    pub(crate) fn is_in_stock(self) -> bool {
        match self {
            Self::Amount(amount) => amount.is_positive(),
            Self::Unspecified => true,
        }
    }

    /// As ICM reads it: a negative number means "available, amount not told".
    pub(crate) fn number(self) -> Quantity {
        match self {
            Self::Amount(amount) => amount,
            Self::Unspecified => Quantity::from(-1),
        }
    }
}

/// What is told about one SKU, in one warehouse or over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// How sure it is.
    pub state: StockState,
    /// Where it came from.
    pub source: Source,
    /// What is offered, buffer held back; before the channel hides the number.
    pub offer: Offer,
    /// The oldest evidence that went in; none if the state is unknown.
    pub as_of: Option<AsOf>,
    /// Whether it is older than it may be.
    pub is_stale: bool,
    /// Signed quantities as D365 reports them, for present and suspect lines.
    pub quantities: Option<Quantities>,
    /// How much there is, coarsely; none without an amount.
    pub level: Option<StockLevel>,
    /// What orders hold of it.
    pub held: Quantity,
}

impl Told {
    /// What is offered as the channel shows it.
    pub(crate) fn shown_offer(&self, policy: &ChannelPolicy) -> Offer {
        match (policy.display, self.offer) {
            (QuantityDisplay::Hidden, Offer::Amount(amount)) if amount.is_positive() => {
                Offer::Unspecified
            }
            (_, offer) => offer,
        }
    }

    /// Whether D365 has a number for it.
    pub(crate) fn is_found(&self) -> bool {
        matches!(self.state, StockState::Present | StockState::Suspect)
    }
}

/// What is told about a SKU in one warehouse.
pub(crate) fn tell_one(evidence: &Evidence, policy: &ChannelPolicy, freshness: Freshness) -> Told {
    let judged = evidence.judged;
    let offer = if policy.offers_without_number(judged.state) {
        Offer::Unspecified
    } else {
        Offer::Amount(
            evidence
                .left()
                .map_or(Quantity::ZERO, |left| policy.sellable(left)),
        )
    };
    told(
        judged.state,
        evidence.source,
        offer,
        judged.as_of,
        (judged.quantities, evidence.held),
        policy,
        freshness,
    )
}

/// What is told about a SKU over several warehouses.
///
/// - Amounts are clamped per warehouse before they are added; an unknown warehouse adds none.
/// - The state is that of the best evidence: PRESENT if any warehouse has it, else SUSPECT; with
///   no number anywhere UNKNOWN as long as one warehouse is unknown, since absence must be proved
///   everywhere; else ABSENT.
/// - The as-of is the oldest that went in.
/// - LIVE only if everything that went in is live.
pub(crate) fn tell_several(
    evidence: &[Evidence],
    policy: &ChannelPolicy,
    freshness: Freshness,
) -> Told {
    if let [only] = evidence {
        return tell_one(only, policy, freshness);
    }
    let state = state_over(evidence);
    let contributing = || {
        evidence
            .iter()
            .filter(|evidence| evidence.source != Source::None)
    };
    let amount = sum_sellable(evidence.iter().map(|evidence| {
        evidence
            .left()
            .map_or(Quantity::ZERO, |left| policy.sellable(left))
    }));
    // A sum beyond 28 digits cannot be told; then there is some, and how much is left open.
    let offer = match amount {
        Ok(amount) if amount.is_positive() => Offer::Amount(amount),
        Ok(amount) => {
            let is_offered_somewhere = evidence
                .iter()
                .any(|evidence| policy.offers_without_number(evidence.judged.state));
            if is_offered_somewhere {
                Offer::Unspecified
            } else {
                Offer::Amount(amount)
            }
        }
        Err(_) => Offer::Unspecified,
    };
    let (source, as_of) = if state == StockState::Unknown {
        (Source::None, None)
    } else if contributing().all(|evidence| evidence.source == Source::Live) {
        (Source::Live, oldest(contributing()))
    } else {
        (Source::Cache, oldest(contributing()))
    };
    let quantities = evidence
        .iter()
        .filter_map(|evidence| evidence.judged.quantities)
        .try_fold(None, |sum: Option<Quantities>, more| {
            sum.unwrap_or_default().checked_add(more).map(Some)
        })
        .ok()
        .flatten();
    let held = evidence
        .iter()
        .try_fold(Quantity::ZERO, |sum, evidence| {
            sum.checked_add(evidence.held)
        })
        .unwrap_or(Quantity::MAX);
    let numbers = (quantities, held);
    told(state, source, offer, as_of, numbers, policy, freshness)
}

fn told(
    state: StockState,
    source: Source,
    offer: Offer,
    as_of: Option<AsOf>,
    (quantities, held): (Option<Quantities>, Quantity),
    policy: &ChannelPolicy,
    freshness: Freshness,
) -> Told {
    let level = match offer {
        Offer::Amount(amount) => Some(policy.levels.level_of(amount)),
        Offer::Unspecified => None,
    };
    Told {
        state,
        source,
        offer,
        as_of,
        is_stale: freshness.is_stale(source, as_of),
        quantities,
        level,
        held,
    }
}

fn state_over(evidence: &[Evidence]) -> StockState {
    let any = |state| {
        evidence
            .iter()
            .any(|evidence| evidence.judged.state == state)
    };
    [
        StockState::Present,
        StockState::Suspect,
        StockState::Unknown,
    ]
    .into_iter()
    .find(|state| any(*state))
    .unwrap_or(StockState::Absent)
}

fn oldest<'a>(evidence: impl Iterator<Item = &'a Evidence>) -> Option<AsOf> {
    evidence.filter_map(|evidence| evidence.judged.as_of).min()
}

#[cfg(test)]
mod tests;
