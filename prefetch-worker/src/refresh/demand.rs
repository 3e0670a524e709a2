//! Between snapshots: what is asked for and what is low is read again, inside a budget.
//!
//! One pass of a tenant at a time, over all replicas: it is a shard like any other. A pass spends at
//! most its share of the calls the snapshots make, so that full snapshots keep their pace.

use super::demand_budget::{self as budget, Budget};
use super::demand_order::{in_order, is_due, oldest_first};
use super::low_stock::is_low;
use crate::metrics;
use crate::refresh::reread::{RereadError, items_of, reread};
use crate::refresh::variants::calls_about;
use crate::scheduler::lease::{Notes, keep_lease};
use crate::worker::{TenantFeed, Worker};
use shared::d365::{check_askable, look_up_chunks};
use shared::process::clock::Clock as _;
use shared::redis_store::{Claim, Finished, LeaseLost, StoredLine};
use shared::stock::{AsOf, Sku, StockLine};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// SKUs the target is about.
const TARGETED: usize = 1_000;
/// SKUs asked for that a pass looks at: counts are a little off, and who is near the thousandth place
/// may stand behind it.
const MOST_ASKED: usize = 1_200;
/// SKUs of low stock that a pass looks at.
const MOST_LOW: usize = 1_000;
/// SKUs of one read from Redis.
const SKUS_PER_READ: usize = 250;

/// What a pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pass {
    /// SKUs that were old enough to be read again.
    pub due: usize,
    /// Those of them that were read again.
    pub read: usize,
    /// Calls to D365.
    pub calls: u32,
}

/// Makes a pass and gives the claim back.
pub(crate) async fn pass(worker: &Worker, feed: &TenantFeed, claim: &Claim) -> Pass {
    let target = worker.settings.demand_target_age;
    // However long D365 takes for it: nobody else begins the same pass meanwhile.
    let (notes, lost) = (Notes::default(), CancellationToken::new());
    let made = tokio::select! {
        made = read_again(worker, feed) => made,
        () = keep_lease(worker, feed, claim, &notes, &lost) => {
            tracing::info!(tenant.id = %feed.id(), "the pass went to another worker");
            return Pass::default();
        }
    };
    let (pass, how) = match made {
        Ok(pass) => (pass, Finished::Well),
        Err(error) => {
            tracing::warn!(tenant.id = %feed.id(), %error,
                "what is asked for could not be read again; the next pass tries");
            let error = error.to_string();
            (Pass::default(), Finished::Failed { error })
        }
    };
    if pass.due > 0 {
        tracing::debug!(tenant.id = %feed.id(), due = pass.due, read = pass.read,
            calls = pass.calls, "what is asked for was read again");
    }
    metrics::demand_pass(feed.id(), pass.due, pass.read, pass.calls);
    let next = budget::period(target);
    match worker.store.finish(feed.id(), claim, next, &how).await {
        Ok(Ok(_) | Err(LeaseLost)) => {}
        Err(error) => tracing::warn!(tenant.id = %feed.id(), %error,
            "the pass could not be given back; it falls due when its lease ends"),
    }
    pass
}

async fn read_again(worker: &Worker, feed: &TenantFeed) -> Result<Pass, RereadError> {
    let (store, warehouses) = (&worker.store, &feed.settings.warehouses);
    let asked = store.most_asked(feed.id(), MOST_ASKED).await?;
    let low = store.lowest(feed.id(), MOST_LOW).await?;
    let target = worker.settings.demand_target_age;
    let young_for = budget::young_for(target);
    // What D365 cannot be asked about would spoil the whole pass.
    let mut candidates = in_order(&asked, &low);
    candidates.retain(|sku| check_askable(sku.as_str()).is_ok());
    let now = worker.clock().now();
    let ages = ages(worker, feed, &candidates, now).await?;
    let asked_ages = asked.iter().take(TARGETED);
    let asked_ages = asked_ages.filter_map(|sku| ages.get(sku).copied());
    metrics::asked_ages(feed.id(), asked_ages.collect());
    let are_due = |skus: &[Sku]| {
        skus.iter()
            .filter(|sku| is_due(sku, &ages, young_for))
            .count()
    };
    let due = are_due(&candidates);
    let nothing_read = Pass {
        due,
        ..Pass::default()
    };
    if due == 0 {
        return Ok(nothing_read);
    }
    let pages: u64 = store
        .snapshots(feed.id(), warehouses)
        .await?
        .iter()
        .map(|snapshot| snapshot.pages)
        .sum();
    let budget = Budget::of(
        worker.settings.demand_share,
        pages,
        feed.settings.refresh_interval,
        target,
    );
    let mapper = feed.mapper(worker).await?;
    let cost = |skus: &[Sku]| {
        let items = items_of(&mapper, skus);
        let look_ups = look_up_chunks(&items, warehouses, feed.settings.longest_address).len();
        let findings = feed.variants().findings();
        let strange = skus
            .iter()
            .filter(|sku| findings.needs_variant_lookup(sku, &mapper));
        u32::try_from(look_ups + calls_about(strange.count())).unwrap_or(u32::MAX)
    };
    // Only so many are read again at all as the budget can keep young, the heaviest: with more, all
    // would become too old. What it does not reach is what is asked for least.
    let calls = budget.calls_in(young_for);
    let reached = most_within(candidates.len(), |skus| cost(&candidates[..skus]) <= calls);
    let order = oldest_first(&candidates[..reached], &ages, young_for);
    let order_due = are_due(&order);
    if order_due == 0 {
        return Ok(nothing_read);
    }
    let wanted = cost(&order[..order_due]);
    let granted = store
        .take_demand_calls(feed.id(), budget.per_second, budget.size, wanted)
        .await?;
    // The last call is filled up with what will be due next.
    let read = &order[..most_within(order.len(), |skus| cost(&order[..skus]) <= granted)];
    if read.is_empty() {
        return Ok(nothing_read);
    }
    let reread = reread(worker, feed, warehouses, read).await?;
    forget_what_is_no_longer_low(worker, feed, &low, read, &reread.lines).await?;
    Ok(Pass {
        due,
        read: are_due(read),
        calls: reread.calls,
    })
}

/// How many of the first so many are within a limit, which more of them exceed rather than fewer.
fn most_within(all: usize, is_within: impl Fn(usize) -> bool) -> usize {
    let (mut within, mut beyond) = (0, all + 1);
    while beyond - within > 1 {
        let middle = within.midpoint(beyond);
        if is_within(middle) {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    within
}

/// How old what is stored of each SKU is: its oldest line. A SKU without any has no age.
async fn ages(
    worker: &Worker,
    feed: &TenantFeed,
    candidates: &[Sku],
    now: AsOf,
) -> Result<HashMap<Sku, Duration>, RereadError> {
    let reader = worker.store_of(feed).reader();
    let warehouses = &feed.settings.warehouses;
    let mut ages = HashMap::with_capacity(candidates.len());
    for skus in candidates.chunks(SKUS_PER_READ) {
        let reading = reader.read_lines(feed.id(), warehouses, skus).await?;
        for (number, sku) in skus.iter().enumerate() {
            let oldest = reading
                .of_sku(number)
                .iter()
                .filter_map(|line| match line {
                    StoredLine::Value(value) => Some(value.as_of),
                    StoredLine::Missing | StoredLine::Unreadable => None,
                })
                .min();
            if let Some(oldest) = oldest {
                ages.insert(sku.clone(), oldest.age_at(now));
            }
        }
    }
    Ok(ages)
}

async fn forget_what_is_no_longer_low(
    worker: &Worker,
    feed: &TenantFeed,
    low: &[Sku],
    read: &[Sku],
    lines: &[StockLine],
) -> Result<(), RereadError> {
    let still_low: HashSet<&Sku> = lines
        .iter()
        .filter(|line| is_low(line, worker.settings.low_stock))
        .map(|line| &line.sku)
        .collect();
    let read: HashSet<&Sku> = read.iter().collect();
    let gone: Vec<Sku> = low
        .iter()
        .filter(|sku| read.contains(sku) && !still_low.contains(sku))
        .cloned()
        .collect();
    Ok(worker.store.forget_low(feed.id(), &gone).await?)
}
