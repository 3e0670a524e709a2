//! PURE: evidence, policy and now -> what the shop is offered of a SKU.

use crate::stock::evidence::{Evidence, Source};
use shared::stock::{
    AsOf, ChannelPolicy, Quantities, Quantity, QuantityDisplay, StockLevel, StockState,
    sum_sellable,
};
use std::time::Duration;

/// The moment of the answer and what counts as old.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness {
    pub now: AsOf,
    /// A cached number older than this is stale.
    pub stale_after: Duration,
}

impl Freshness {
    /// Whether evidence is old, or not there at all. A live answer is never old.
    fn is_stale(self, source: Source, as_of: Option<AsOf>) -> bool {
        source != Source::Live
            && as_of.is_none_or(|as_of| as_of.age_at(self.now) > self.stale_after)
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

    /// As ICM reads it: a negative number means "available, amount left open".
    pub(crate) fn number(self) -> Quantity {
        match self {
            Self::Amount(amount) => amount,
            Self::Unspecified => Quantity::from(-1),
        }
    }
}

/// What is known and offered of one SKU, in one warehouse or over several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Availability {
    pub state: StockState,
    pub source: Source,
    /// Buffer held back; before the channel hides the number.
    pub offer: Offer,
    /// The oldest evidence that went in; none if the state is unknown.
    pub as_of: Option<AsOf>,
    pub is_stale: bool,
    /// Signed quantities as D365 reports them, for present and suspect lines.
    pub quantities: Option<Quantities>,
    /// How much there is, coarsely; none without an amount.
    pub level: Option<StockLevel>,
    /// What orders hold of it.
    pub held: Quantity,
}

impl Availability {
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

    /// Of a SKU in one warehouse.
    pub(crate) fn of_warehouse(
        evidence: &Evidence,
        policy: &ChannelPolicy,
        freshness: Freshness,
    ) -> Self {
        let judged = evidence.judged;
        let offer = if policy.offers_without_number(judged.state) {
            Offer::Unspecified
        } else {
            Offer::Amount(sellable(evidence, policy))
        };
        Self {
            state: judged.state,
            source: evidence.source,
            offer,
            as_of: judged.as_of,
            is_stale: freshness.is_stale(evidence.source, judged.as_of),
            quantities: judged.quantities,
            level: level(offer, policy),
            held: evidence.held,
        }
    }

    /// Of a SKU over several warehouses.
    ///
    /// - Amounts are clamped per warehouse before they are added; an unknown warehouse adds none.
    /// - The state is that of the best evidence: PRESENT if any warehouse has it, else SUSPECT; with
    ///   no number anywhere UNKNOWN as long as one warehouse is unknown, since absence must be proved
    ///   everywhere; else ABSENT.
    /// - The as-of is the oldest that went in.
    /// - LIVE only if everything that went in is live.
    pub(crate) fn across_warehouses(
        evidence: &[Evidence],
        policy: &ChannelPolicy,
        freshness: Freshness,
    ) -> Self {
        if let [only] = evidence {
            return Self::of_warehouse(only, policy, freshness);
        }
        let state = state_over(evidence);
        let contributing = || evidence.iter().filter(|of| of.source != Source::None);
        let (source, as_of) = if state == StockState::Unknown {
            (Source::None, None)
        } else {
            let is_live = contributing().all(|of| of.source == Source::Live);
            let oldest = contributing().filter_map(|of| of.judged.as_of).min();
            (if is_live { Source::Live } else { Source::Cache }, oldest)
        };
        let offer = offer_over(evidence, policy);
        let held = (evidence.iter()).try_fold(Quantity::ZERO, |sum, of| sum.checked_add(of.held));
        Self {
            state,
            source,
            offer,
            as_of,
            is_stale: freshness.is_stale(source, as_of),
            quantities: quantities_over(evidence),
            level: level(offer, policy),
            held: held.unwrap_or(Quantity::MAX),
        }
    }
}

fn sellable(evidence: &Evidence, policy: &ChannelPolicy) -> Quantity {
    let left = evidence.left();
    left.map_or(Quantity::ZERO, |left| policy.sellable(left))
}

fn level(offer: Offer, policy: &ChannelPolicy) -> Option<StockLevel> {
    match offer {
        Offer::Amount(amount) => Some(policy.levels.level_of(amount)),
        Offer::Unspecified => None,
    }
}

/// A sum beyond 28 digits has no number; then there is some, and how much is left open.
fn offer_over(evidence: &[Evidence], policy: &ChannelPolicy) -> Offer {
    let Ok(amount) = sum_sellable(evidence.iter().map(|of| sellable(of, policy))) else {
        return Offer::Unspecified;
    };
    let is_offered_somewhere = || {
        let mut states = evidence.iter().map(|of| of.judged.state);
        states.any(|state| policy.offers_without_number(state))
    };
    if !amount.is_positive() && is_offered_somewhere() {
        Offer::Unspecified
    } else {
        Offer::Amount(amount)
    }
}

/// None where no warehouse has a number, or their sum is beyond the number range.
fn quantities_over(evidence: &[Evidence]) -> Option<Quantities> {
    let mut numbers = evidence.iter().filter_map(|of| of.judged.quantities);
    let first = numbers.next()?;
    numbers.try_fold(first, Quantities::checked_add).ok()
}

fn state_over(evidence: &[Evidence]) -> StockState {
    use StockState::{Absent, Present, Suspect, Unknown};
    let any = |state: &StockState| evidence.iter().any(|of| of.judged.state == *state);
    let best = [Present, Suspect, Unknown].into_iter().find(any);
    best.unwrap_or(Absent)
}

#[cfg(test)]
mod tests;
