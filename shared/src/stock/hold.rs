//! What orders hold back: quantities granted to an order that D365's own numbers do not show yet.
//!
//! D365's numbers are never changed. A hold is subtracted from what is told, until a number comes
//! that was read after the ERP confirmed the order, or until its time is over. Everything here is a
//! pure rule; where holds are kept is the store's business.

use crate::stock::as_of::AsOf;
use crate::stock::ids::{ChannelId, WarehouseId};
use crate::stock::ids::{IdError, checked};
use crate::stock::quantity::Quantity;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Parts into which [`summary`] divides the holds of a warehouse, confirmed ones and others each.
const PARTS: usize = 4;

/// The id of an order or reservation: 1 to 128 visible ASCII characters without `|`, and the channel it
/// came through. The same id in another channel, or in none, is another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId {
    channel: Option<ChannelId>,
    id: Box<str>,
}

impl HoldId {
    /// Longest accepted length.
    pub const MAX_CHARS: usize = 128;

    /// Reads an id that came through no channel.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        checked(&text, "order id", Self::MAX_CHARS)?;
        match text
            .chars()
            .find(|found| !found.is_ascii_graphic() || *found == '|')
        {
            Some(found) => Err(IdError::ForbiddenCharacter {
                what: "order id",
                allowed: "visible ASCII characters without |",
                found,
            }),
            None => Ok(Self {
                channel: None,
                id: text,
            }),
        }
    }

    /// The same id in a channel.
    #[must_use]
    pub fn in_channel(&self, channel: &ChannelId) -> Self {
        Self {
            channel: Some(channel.clone()),
            id: self.id.clone(),
        }
    }

    /// The channel it came through.
    pub fn channel(&self) -> Option<&ChannelId> {
        self.channel.as_ref()
    }

    /// The id as it was given.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

/// As it was given.
impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// For whom stock is held. Orders and reservations have names of their own: one of either may carry
/// the same id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldOwner {
    /// A submitted order.
    Order(HoldId),
    /// A cart, for a while.
    Reservation(HoldId),
    /// So many of both: see [`summary`].
    Several(HoldId),
}

impl HoldOwner {
    /// Its id.
    pub fn id(&self) -> &HoldId {
        match self {
            Self::Order(id) | Self::Reservation(id) | Self::Several(id) => id,
        }
    }

    /// The same in a channel.
    #[must_use]
    pub fn in_channel(&self, channel: &ChannelId) -> Self {
        match self {
            Self::Order(id) => Self::Order(id.in_channel(channel)),
            Self::Reservation(id) => Self::Reservation(id.in_channel(channel)),
            Self::Several(_) => self.clone(),
        }
    }

    /// The word used in keys and texts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Order(_) => "order",
            Self::Reservation(_) => "reservation",
            Self::Several(_) => "several",
        }
    }
}

/// A quantity of one SKU held in one warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// For whom.
    pub owner: HoldOwner,
    /// Where.
    pub warehouse: WarehouseId,
    /// How much; above zero.
    pub quantity: Quantity,
    /// Since when.
    pub placed: AsOf,
    /// It ends here at the latest.
    pub until: AsOf,
    /// When the ERP confirmed the order, if it did.
    pub confirmed: Option<AsOf>,
}

impl Hold {
    /// Whether it counts against a number with this as-of; none is no number at all.
    ///
    /// A number read after the confirmation holds the order in itself: subtracting it once more
    /// would count the order twice.
    pub fn counts(&self, as_of: Option<AsOf>, now: AsOf) -> bool {
        let is_in_the_number = match (self.confirmed, as_of) {
            (Some(confirmed), Some(as_of)) => as_of > confirmed,
            _ => false,
        };
        now < self.until && !is_in_the_number
    }
}

/// What the holds of one SKU take from a number of one warehouse; `except` are owners that do not
/// stand in their own way. A sum beyond 28 digits counts as the largest number, so that nothing is
/// left to sell.
pub fn held_against(
    holds: &[Hold],
    warehouse: &WarehouseId,
    as_of: Option<AsOf>,
    now: AsOf,
    except: &[HoldOwner],
) -> Quantity {
    holds
        .iter()
        .filter(|hold| {
            hold.warehouse == *warehouse && !except.contains(&hold.owner) && hold.counts(as_of, now)
        })
        .try_fold(Quantity::ZERO, |sum, hold| sum.checked_add(hold.quantity))
        .unwrap_or(Quantity::MAX)
}

/// The holds that stay. A confirmed one that would end within `ahead` goes on for `longer` as long as
/// the number told was read before the confirmation: the ERP has the order, the number has it not.
/// Without a number nothing is told, and its time decides like that of the others.
///
/// Whoever calls this at least every `ahead` lets no such hold end too early.
pub fn still_held(
    holds: &[Hold],
    as_of: impl Fn(&WarehouseId) -> Option<AsOf>,
    now: AsOf,
    (ahead, longer): (Duration, Duration),
) -> Vec<Hold> {
    let mut stay = Vec::with_capacity(holds.len());
    let soon = now.plus(ahead);
    for hold in holds {
        let is_missing_in_the_number = match (hold.confirmed, as_of(&hold.warehouse)) {
            (Some(confirmed), Some(as_of)) => as_of <= confirmed,
            _ => false,
        };
        if is_missing_in_the_number && hold.until <= soon {
            stay.push(Hold {
                until: soon.plus(longer),
                ..hold.clone()
            });
        } else if now < hold.until {
            stay.push(hold.clone());
        }
    }
    stay
}

/// Many holds as few: what they take from a number is never less than it was, and as much while none of
/// them ends. Each part ends when its last hold does, and counts against numbers from before the last
/// confirmation in it.
pub fn summary(holds: &[Hold]) -> Vec<Hold> {
    let mut by_place: BTreeMap<(&WarehouseId, bool), Vec<&Hold>> = BTreeMap::new();
    for hold in holds {
        let place = (&hold.warehouse, hold.confirmed.is_some());
        by_place.entry(place).or_default().push(hold);
    }
    let mut summary = Vec::new();
    for of_place in by_place.values_mut() {
        of_place.sort_by_key(|hold| (hold.confirmed, hold.until));
        for part in of_place.chunks(of_place.len().div_ceil(PARTS)) {
            summary.extend(together(part));
        }
    }
    summary
}

fn together(part: &[&Hold]) -> Option<Hold> {
    let first = part.first()?;
    Some(Hold {
        owner: HoldOwner::Several(HoldId::parse(part.len().to_string()).ok()?),
        warehouse: first.warehouse.clone(),
        quantity: part
            .iter()
            .try_fold(Quantity::ZERO, |sum, hold| sum.checked_add(hold.quantity))
            .unwrap_or(Quantity::MAX),
        placed: part.iter().map(|hold| hold.placed).min()?,
        until: part.iter().map(|hold| hold.until).max()?,
        confirmed: part.iter().map(|hold| hold.confirmed).max()?,
    })
}

/// A number after its holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remaining {
    /// What is left; signed as the number was, and never below zero because of holds.
    pub left: Quantity,
    /// What is held and not there: the ERP reports less than was granted.
    pub shortfall: Quantity,
}

/// Takes `held` from a number. A number that is zero or below is left as it is; what could not be
/// taken is the shortfall, never a silent debt.
pub fn remaining(available: Quantity, held: Quantity) -> Remaining {
    let taken = available.max(Quantity::ZERO).min(held);
    let minus = |a: Quantity, b: Quantity| a.checked_sub(b).unwrap_or(Quantity::ZERO);
    Remaining {
        left: if taken.is_positive() {
            minus(available, taken)
        } else {
            available
        },
        shortfall: minus(held, taken),
    }
}

#[cfg(test)]
mod tests;
