//! Holding what a check grants: all lines of the order or none.

use super::expire;
use super::hold_book::{BookError, Change, HoldBook, Seen, Step, others};
use super::record::{OrderState, Record, digest_of, kept};
use crate::availability_check::reply::HoldWord;
use crate::availability_check::verdict::{Rules, Verdict, share_of};
use crate::error::ApiError;
use crate::live::deadline::Deadline;
use crate::metrics;
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::tenants::scope::Scope;
use shared::redis_store::{HeldChange, HeldOfSku, OrderChange, OrderText, Reading};
use shared::settings::OrderSettings;
use shared::stock::{AsOf, Hold, HoldOwner, Quantity, Sku, WarehouseId};
use std::time::Duration;

/// For whom a check's stock is to be held.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// The order or reservation.
    pub owner: HoldOwner,
    /// The reservation that becomes this order.
    pub reservation: Option<HoldOwner>,
    /// How long it is held.
    pub time: Duration,
    /// Whether it must be there already: a reservation that is changed.
    pub must_exist: bool,
}

impl Commit {
    /// The same under the names found for its order and reservation, in this order.
    pub(crate) fn named(&self, names: &[HoldOwner]) -> Self {
        let mut names = names.iter().cloned();
        Self {
            owner: names.next().unwrap_or_else(|| self.owner.clone()),
            reservation: names.next(),
            ..self.clone()
        }
    }

    /// Whose holds do not stand in the way.
    fn owners(&self) -> Vec<HoldOwner> {
        let reservation = self.reservation.iter().cloned();
        std::iter::once(self.owner.clone())
            .chain(reservation)
            .collect()
    }
}

/// What an order asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// Whose stock, where.
    pub scope: &'a Scope,
    /// Which SKUs.
    pub skus: &'a [Sku],
    /// How much of each.
    pub requested: &'a [Quantity],
}

impl Asked<'_> {
    fn digest(&self) -> String {
        let warehouses = self.scope.warehouses.iter().map(WarehouseId::key);
        digest_of(self.skus.iter().map(Sku::key), self.requested, warehouses)
    }

    /// Whether a record is of the same question. An earlier version made its digest of the spellings.
    fn is_repeat_of(&self, record: &Record) -> bool {
        let warehouses = self.scope.warehouses.iter().map(WarehouseId::as_str);
        record.digest == self.digest()
            || record.digest
                == digest_of(
                    self.skus.iter().map(Sku::as_str),
                    self.requested,
                    warehouses,
                )
    }
}

/// What became of a hold.
#[derive(Debug)]
pub(crate) struct Placed {
    /// What is granted, judged with the holds as they were when it was decided.
    pub verdicts: Vec<Verdict>,
    /// What became of it.
    pub hold: HoldWord,
    /// Until when it is held at the latest.
    pub until: Option<AsOf>,
}

/// Looks whether the same order was placed before: then until when it is held.
///
/// # Errors
/// If the order is settled and asks for something else, or a reservation that must be there is not.
pub(crate) fn recall(
    seen: &Seen,
    asked: Asked<'_>,
    commit: &Commit,
    now: AsOf,
) -> Result<Option<AsOf>, ApiError> {
    Ok(
        match standing(seen.record().as_ref(), asked, commit, now)? {
            Standing::Repeated(until) => {
                metrics::hold("repeated");
                Some(until)
            }
            Standing::Open => None,
        },
    )
}

/// How an order stands before it is placed.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The same lines are held, or were confirmed.
    Repeated(AsOf),
    /// It may be placed.
    Open,
}

fn standing(
    record: Option<&Record>,
    asked: Asked<'_>,
    commit: &Commit,
    now: AsOf,
) -> Result<Standing, ApiError> {
    let id = || commit.owner.id().to_string();
    let Some(record) = record else {
        return if commit.must_exist {
            Err(ApiError::ReservationNotFound { id: id() })
        } else {
            Ok(Standing::Open)
        };
    };
    let until = record.until().unwrap_or(AsOf::EPOCH);
    match record.state {
        // A reservation that is changed starts its time again, be it with the same lines.
        OrderState::Held if commit.must_exist && now < until => Ok(Standing::Open),
        OrderState::Held if commit.must_exist => Err(ApiError::ReservationNotFound { id: id() }),
        OrderState::Held if asked.is_repeat_of(record) && now < until => {
            Ok(Standing::Repeated(until))
        }
        OrderState::Held => Ok(Standing::Open),
        OrderState::Confirmed if asked.is_repeat_of(record) => Ok(Standing::Repeated(until)),
        OrderState::Released if commit.must_exist => {
            Err(ApiError::ReservationNotFound { id: id() })
        }
        OrderState::Confirmed | OrderState::Released => Err(ApiError::OrderSettled { id: id() }),
    }
}

/// How an order is judged: what is granted on some evidence, and by which rules.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a, F> {
    /// Evidence -> what is granted, line by line.
    pub decide: F,
    /// The rules it goes by.
    pub rules: Rules<'a>,
}

/// Holds what is granted, if all of it is. The evidence is judged once the holds of others are known;
/// what was seen then is what is stored, or it is judged again. `seen` was read before D365 was asked, and
/// so was `stored`, the lines in the cache.
///
/// # Errors
/// If the order is settled, or if others want the same stock and its turn does not come in time: what
/// is left once they have theirs is not known, so nothing is granted.
pub(crate) async fn place<F: Fn(&[Evidence]) -> Vec<Verdict>>(
    state: &AppState,
    asked: Asked<'_>,
    commit: &Commit,
    (seen, stored): (Option<Seen>, &Reading),
    evidence: &mut [Evidence],
    judge: Judge<'_, F>,
    deadline: &Deadline,
) -> Result<Placed, ApiError> {
    let tenant = &asked.scope.tenant.id;
    let book = HoldBook {
        state,
        tenant,
        deadline,
    };
    let owners = commit.owners();
    let change = Change {
        owners: &owners,
        skus: asked.skus,
        is_repeatable: true,
    };
    let orders = &state.settings.orders;
    let placing = Placing {
        asked,
        commit,
        owners: &owners,
        stored,
        settings: orders,
    };
    let placed = book.change(change, seen, |seen, now| {
        placing.judge(seen, evidence, &judge, now)
    });
    let placed = Box::pin(placed).await;
    match placed {
        Ok((placed, outcome)) => {
            if let Some(outcome) = outcome {
                metrics::hold(outcome);
            }
            return Ok(placed);
        }
        Err(BookError::Refused(refusal)) => {
            if let ApiError::TooManyHolds { .. } = refusal {
                metrics::hold("too_many");
            }
            return Err(refusal);
        }
        Err(BookError::Contended) => {
            metrics::hold("contended");
            return Err(ApiError::OrdersContend);
        }
        Err(BookError::NotInTime) => {
            tracing::warn!(tenant.id = %tenant, "what an order was granted could not be held in time");
        }
        Err(BookError::Store(cause)) => {
            tracing::warn!(tenant.id = %tenant, %cause, "what an order was granted is not held");
        }
    }
    metrics::hold("not_stored");
    Ok(Placed {
        verdicts: (judge.decide)(evidence),
        hold: HoldWord::NotStored,
        until: None,
    })
}

/// An order about to be placed.
struct Placing<'a> {
    asked: Asked<'a>,
    commit: &'a Commit,
    owners: &'a [HoldOwner],
    stored: &'a Reading,
    settings: &'a OrderSettings,
}

/// What became of it, and the metrics' word for that.
type Outcome = (Placed, Option<&'static str>);

impl Placing<'_> {
    fn judge<F: Fn(&[Evidence]) -> Vec<Verdict>>(
        &self,
        seen: &Seen,
        evidence: &mut [Evidence],
        Judge { decide, rules }: &Judge<'_, F>,
        now: AsOf,
    ) -> Result<Step<Outcome>, ApiError> {
        let Self { asked, commit, .. } = *self;
        let before = seen.record();
        let standing = standing(before.as_ref(), asked, commit, now)?;
        let of_asked = seen.held.iter().take(asked.skus.len());
        let of_asked: Vec<HeldOfSku> = of_asked.map(HeldOfSku::from).collect();
        let warehouses = &asked.scope.warehouses;
        evidence::hold_back(evidence, &of_asked, warehouses, now, self.owners);
        let verdicts = decide(evidence);
        let granted = allotted(asked, &verdicts, evidence, *rules);
        let is_orderable = verdicts.iter().all(Verdict::is_orderable);
        let placed = |hold, until| Placed {
            verdicts,
            hold,
            until,
        };
        if let Standing::Repeated(until) = standing {
            let repeated = placed(HoldWord::Repeated, Some(until));
            return Ok(Step::Done((repeated, None)));
        }
        if !is_orderable {
            let earlier = before
                .filter(|record| record.state == OrderState::Held)
                .and_then(|record| record.until())
                .filter(|until| now < *until);
            let hold = match earlier {
                Some(_) => HoldWord::Kept,
                None => HoldWord::NothingToHold,
            };
            return Ok(Step::Done((placed(hold, earlier), Some("short"))));
        }
        let until = now.plus(commit.time);
        let Some(held) = self.held_after(seen, &granted, (now, until))? else {
            let unreadable = placed(HoldWord::NotStored, None);
            return Ok(Step::Done((unreadable, None)));
        };
        let channel = asked.scope.channel.as_deref();
        let record = Record::held((&asked.digest(), channel), now, until, &granted);
        Ok(Step::Swap {
            records: records_after(&seen.records, &record, commit.time),
            held,
            then: (placed(HoldWord::Held, Some(until)), Some("placed")),
        })
    }

    /// The holds of all SKUs with what is granted; none if those of others cannot be read.
    fn held_after(
        &self,
        seen: &Seen,
        granted: &[(Sku, WarehouseId, Quantity)],
        (now, until): (AsOf, AsOf),
    ) -> Result<Option<Vec<HeldChange>>, ApiError> {
        let owner = &self.commit.owner;
        let mut changes = Vec::with_capacity(seen.held.len());
        for (at, held) in seen.held.iter().enumerate() {
            let Some(mut holds) = others(held, self.owners, now) else {
                return Ok(None);
            };
            let before = holds.len();
            let own = granted.iter().filter(|(sku, ..)| *sku == held.sku);
            holds.extend(own.map(|(_, warehouse, quantity)| Hold {
                owner: owner.clone(),
                warehouse: warehouse.clone(),
                quantity: *quantity,
                placed: now,
                until,
                confirmed: None,
            }));
            let as_of = |warehouse: &WarehouseId| {
                expire::as_of(self.stored, &self.asked.scope.warehouses, at, warehouse)
            };
            expire::end_shown_soon(&mut holds, as_of, self.settings.holds_per_sku, now);
            if holds.len() > before {
                check_share(self.settings, &held.sku, &holds, (owner, now))?;
            }
            changes.push(held.becomes(holds));
        }
        Ok(Some(changes))
    }
}

/// A channel has so many holds of a SKU and no more, whatever other channels have; reservations are
/// bounded on their own, so that carts leave places to orders. Holds that D365 shows already take none.
fn check_share(
    orders: &OrderSettings,
    sku: &Sku,
    holds: &[Hold],
    (owner, now): (&HoldOwner, AsOf),
) -> Result<(), ApiError> {
    let of_channel = |hold: &&Hold| {
        hold.owner.id().channel() == owner.id().channel() && !expire::ends_soon(hold, now)
    };
    let is_reservation = |hold: &&Hold| matches!(hold.owner, HoldOwner::Reservation(_));
    let of_channel = holds.iter().filter(of_channel);
    let reservations = match owner {
        HoldOwner::Reservation(_) => of_channel.clone().filter(is_reservation).count(),
        _ => 0,
    };
    let (name, limit) = if of_channel.count() > orders.holds_per_sku {
        ("holdsPerSku", orders.holds_per_sku)
    } else if reservations > orders.reservations_per_sku {
        ("reservationsPerSku", orders.reservations_per_sku)
    } else {
        return Ok(());
    };
    tracing::warn!(%sku, name, limit, "one channel holds this SKU as often as it may: one more is refused");
    let sku = sku.to_string();
    Err(ApiError::TooManyHolds { sku, name, limit })
}

/// The order's new record; the reservation it came from is over.
fn records_after(records: &[OrderText], record: &Record, held: Duration) -> Vec<OrderChange> {
    records
        .iter()
        .enumerate()
        .filter_map(|(at, text)| {
            if at == 0 {
                return Some(text.becomes(record.text(), kept(&text.owner, held)));
            }
            let mut reservation = Record::of(text)?;
            reservation.release();
            Some(text.becomes(reservation.text(), kept(&text.owner, Duration::ZERO)))
        })
        .collect()
}

/// Which warehouse gives how much: in the order asked for, each what it has left, of those the grant
/// relied on. What none of them has (the channel sells without a number) is held in the first.
fn allotted(
    asked: Asked<'_>,
    verdicts: &[Verdict],
    evidence: &[Evidence],
    rules: Rules<'_>,
) -> Vec<(Sku, WarehouseId, Quantity)> {
    let warehouses = &asked.scope.warehouses;
    let mut allotted = Vec::new();
    let of_skus = evidence.chunks(warehouses.len().max(1));
    for ((sku, verdict), evidence) in asked.skus.iter().zip(verdicts).zip(of_skus) {
        let mut rest = verdict.granted;
        let mut shares: Vec<Quantity> = Vec::with_capacity(warehouses.len());
        for evidence in evidence {
            let share = share_of(evidence, verdict.by, rules).min(rest);
            rest = rest.checked_sub(share).unwrap_or_default();
            shares.push(share);
        }
        if let Some(first) = shares.first_mut() {
            *first = first.checked_add(rest).unwrap_or(*first);
        }
        for (warehouse, share) in warehouses.iter().zip(shares) {
            if share.is_positive() {
                allotted.push((sku.clone(), warehouse.clone(), share));
            }
        }
    }
    allotted
}
