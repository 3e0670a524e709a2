//! Holding what a check grants: all lines of the order or none.

use super::record::{OrderState, Record, digest_of};
use super::{kept, others, superseded};
use crate::availability_check::reply::HoldWord;
use crate::availability_check::verdict::{Rules, Verdict, share_of};
use crate::error::ApiError;
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::tenants::scope::Scope;
use shared::redis_store::{HeldOfSku, HeldSku, OrderChange, OrderText, StoreError};
use shared::stock::{AsOf, Hold, HoldOwner, Quantity, Sku, WarehouseId};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long Redis may take to say whether an order was placed before; an eighth of the time left at most.
const RECALL_LIMIT: Duration = Duration::from_millis(300);
/// Redis that does not answer for so long is to blame; an order with less time for it came too late.
const REDIS_IS_SLOW: Duration = Duration::from_millis(50);
/// Longest pause before a change is tried again that somebody else was faster with.
const LONGEST_PAUSE_MS: u64 = 20;

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
    pub(crate) fn owners(&self) -> Vec<HoldOwner> {
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
pub(crate) async fn recall(
    state: &AppState,
    asked: Asked<'_>,
    commit: &Commit,
    deadline: &Deadline,
) -> Result<Option<AsOf>, ApiError> {
    let tenant = &asked.scope.tenant.id;
    let owners = [commit.owner.clone()];
    let reading = state.store.read_orders(tenant, &owners, &[]);
    let limit = RECALL_LIMIT.min(deadline.left().unwrap_or_default() / 8);
    let record = match tokio::time::timeout(limit, reading).await {
        Ok(Ok((records, _))) => record_of(&records),
        // The check goes on; what it grants will not be stored either.
        Ok(Err(cause)) => {
            tracing::warn!(tenant.id = %tenant, %cause, "whether an order was placed before is not known");
            return Ok(None);
        }
        Err(_elapsed) => return Ok(None),
    };
    let before = standing(record.as_ref(), asked, commit, state.clock.now())?;
    Ok(match before {
        Standing::Repeated(until) => {
            metrics::hold("repeated");
            Some(until)
        }
        Standing::Open => None,
    })
}

/// How an order stands before it is placed.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// The same lines are held, or were confirmed.
    Repeated(AsOf),
    /// It may be placed.
    Open,
}

fn record_of(records: &[OrderText]) -> Option<Record> {
    Record::read(records.first()?.text.as_deref()?)
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

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Others for the same SKUs are before it.
    Queues,
    /// Redis is asked since this reading of the monotonic clock.
    AsksSince(Duration),
    /// Others changed something while it asked; it waits before it asks again.
    IsOvertaken,
}

/// Holds what is granted, if all of it is. The evidence is judged once the holds of others are known;
/// what was seen then is what is stored, or it is judged again.
///
/// # Errors
/// If the order is settled, or if others want the same stock and its turn does not come in time: what
/// is left once they have theirs is not known, so nothing is granted.
pub(crate) async fn place<F: Fn(&[Evidence]) -> Vec<Verdict>>(
    state: &AppState,
    asked: Asked<'_>,
    commit: &Commit,
    evidence: &mut [Evidence],
    judge: Judge<'_, F>,
    deadline: &Deadline,
) -> Result<Placed, ApiError> {
    let tenant = &asked.scope.tenant.id;
    let progress = Cell::new(Progress::Queues);
    let placing = async {
        let _turn = state.turns.wait(tenant, asked.skus).await;
        let mut pause_ms = 1;
        let mut may_be_done = false;
        loop {
            progress.set(Progress::AsksSince(deadline.now()));
            match attempt(state, asked, commit, evidence, &judge, deadline).await {
                Ok(Attempt::Done(placed)) => return Ok(placed),
                Ok(Attempt::Overtaken) => metrics::hold("overtaken"),
                // Its connection died. Whether it was done all the same shows in what is read next.
                Err(PlacingError::Store(StoreError::Unavailable { .. })) if !may_be_done => {
                    may_be_done = true;
                    continue;
                }
                Err(cause) => return Err(cause),
            }
            progress.set(Progress::IsOvertaken);
            let chance = RandomState::new().hash_one(pause_ms) % pause_ms;
            tokio::time::sleep(Duration::from_millis(chance)).await;
            pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
        }
    };
    let outcome = deadline.wait_for(Box::pin(placing)).await;
    match outcome.filter(|placed| !matches!(placed, Err(PlacingError::Store(StoreError::TooLate))))
    {
        Some(Ok(placed)) => return Ok(placed),
        Some(Err(PlacingError::Refused(refusal))) => return Err(refusal),
        Some(Err(PlacingError::Store(cause))) => {
            tracing::warn!(tenant.id = %tenant, %cause, "what an order was granted is not held");
        }
        None => {
            let is_redis_slow = match progress.get() {
                Progress::AsksSince(turn) => deadline.since(turn) >= REDIS_IS_SLOW,
                Progress::Queues | Progress::IsOvertaken => false,
            };
            if !is_redis_slow {
                metrics::hold("contended");
                return Err(ApiError::OrdersContend);
            }
            tracing::warn!(tenant.id = %tenant, "what an order was granted could not be held in time");
        }
    }
    metrics::hold("not_stored");
    Ok(Placed {
        verdicts: (judge.decide)(evidence),
        hold: HoldWord::NotStored,
        until: None,
    })
}

enum Attempt {
    Done(Placed),
    /// Somebody else changed something in between.
    Overtaken,
}

enum PlacingError {
    Refused(ApiError),
    Store(StoreError),
}

impl From<StoreError> for PlacingError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

async fn attempt<F: Fn(&[Evidence]) -> Vec<Verdict>>(
    state: &AppState,
    asked: Asked<'_>,
    commit: &Commit,
    evidence: &mut [Evidence],
    Judge { decide, rules }: &Judge<'_, F>,
    deadline: &Deadline,
) -> Result<Attempt, PlacingError> {
    let Scope {
        tenant, warehouses, ..
    } = asked.scope;
    let owners = commit.owners();
    let (records, held) = read(state, asked, &owners).await?;
    let now = state.clock.now();
    let before = standing(record_of(&records).as_ref(), asked, commit, now);
    let before = before.map_err(PlacingError::Refused)?;
    let of_asked: Vec<HeldOfSku> = held.iter().take(asked.skus.len()).map(known).collect();
    evidence::hold_back(evidence, &of_asked, warehouses, now, &owners);
    let verdicts = decide(evidence);
    let done = |hold, until| {
        Ok(Attempt::Done(Placed {
            verdicts: decide(evidence),
            hold,
            until,
        }))
    };
    if let Standing::Repeated(until) = before {
        return done(HoldWord::Repeated, Some(until));
    }
    if !verdicts.iter().all(Verdict::is_orderable) {
        metrics::hold("short");
        let earlier = record_of(&records)
            .filter(|record| record.state == OrderState::Held)
            .and_then(|record| record.until())
            .filter(|until| now < *until);
        return match earlier {
            Some(until) => done(HoldWord::Kept, Some(until)),
            None => done(HoldWord::NothingToHold, None),
        };
    }
    let until = now.plus(commit.time);
    let granted = allotted(asked, &verdicts, evidence, *rules);
    let mut changes = Vec::with_capacity(held.len());
    for held in &held {
        let Some(mut holds) = others(held, &owners, now) else {
            return done(HoldWord::NotStored, None);
        };
        let own = granted.iter().filter(|(sku, ..)| *sku == held.sku);
        holds.extend(own.map(|(_, warehouse, quantity)| Hold {
            owner: commit.owner.clone(),
            warehouse: warehouse.clone(),
            quantity: *quantity,
            placed: now,
            until,
            confirmed: None,
        }));
        Box::pin(superseded::end_soon(
            state, &tenant.id, &held.sku, &mut holds, now,
        ))
        .await;
        if granted.iter().any(|(sku, ..)| *sku == held.sku) {
            check_share(state, &held.sku, &holds, (&commit.owner, now))
                .inspect_err(|_| metrics::hold("too_many"))
                .map_err(PlacingError::Refused)?;
        }
        changes.push(held.becomes(holds));
    }
    let channel = asked.scope.channel.as_deref();
    let digest = asked.digest();
    let record = Record::held((&digest, channel), now, until, &granted);
    let records = records_after(&records, &record, commit.time);
    if !state
        .store
        .swap_orders(
            &tenant.id,
            &records,
            &changes,
            deadline.left().unwrap_or_default(),
        )
        .await?
    {
        return Ok(Attempt::Overtaken);
    }
    metrics::hold("placed");
    done(HoldWord::Held, Some(until))
}

/// A channel has so many holds of a SKU and no more, whatever other channels have; reservations are
/// bounded on their own, so that carts leave places to orders. Holds that D365 shows already take none.
fn check_share(
    state: &AppState,
    sku: &Sku,
    holds: &[Hold],
    (owner, now): (&HoldOwner, AsOf),
) -> Result<(), ApiError> {
    let orders = &state.settings.orders;
    let of_channel = |hold: &&Hold| {
        hold.owner.id().channel() == owner.id().channel() && !superseded::ends_soon(hold, now)
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

/// Reads the records and the holds of all SKUs they and the question name; the question's first.
async fn read(
    state: &AppState,
    asked: Asked<'_>,
    owners: &[HoldOwner],
) -> Result<(Vec<OrderText>, Vec<HeldSku>), StoreError> {
    let tenant = &asked.scope.tenant.id;
    let (records, held) = state.store.read_orders(tenant, owners, asked.skus).await?;
    let texts = records.iter().filter_map(|record| record.text.as_deref());
    let mut skus = asked.skus.to_vec();
    for sku in texts
        .filter_map(Record::read)
        .flat_map(|record| record.skus())
    {
        if !skus.contains(&sku) {
            skus.push(sku);
        }
    }
    if skus.len() == asked.skus.len() {
        return Ok((records, held));
    }
    // The order had other lines before: those are given back in the same step. The records are those
    // the lines were found in: if they changed since, the swap must fail.
    let (_, held) = state.store.read_orders(tenant, &[], &skus).await?;
    Ok((records, held))
}

fn known(held: &HeldSku) -> HeldOfSku {
    match &held.holds {
        None => HeldOfSku::Unreadable,
        Some(holds) if holds.is_empty() => HeldOfSku::Nothing,
        Some(holds) => HeldOfSku::Holds(holds.clone()),
    }
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
            let mut reservation = Record::read(text.text.as_deref()?)?;
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
