//! One request: asks D365 about some SKUs, stores the answer, then gives it to everybody who waits.
//! It stops when nobody does any more.

use super::deadline::Deadline;
use super::live_result::LiveResult;
use super::pending::Departure;
use super::tenant_look_ups::TenantLookUps;
use super::write_through::write_through;
use crate::http::priority::Priority;
use shared::redis_store::{LiveLease, Reading};
use shared::stock::{Sku, WarehouseId};
use std::sync::Arc;
use std::time::Duration;

/// SKUs of one request.
const TOGETHER: usize = 25;
/// Longest time kept back from D365 for storing its answer.
const LONGEST_WRITE: Duration = Duration::from_millis(150);

/// What a look found: the lease it took for some SKUs, and what was stored of them.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) lease: LiveLease,
    pub(super) skus: Vec<Sku>,
    pub(super) reading: Reading,
}

impl Found {
    fn reading_of(&self, skus: &[Sku]) -> Reading {
        let at = |sku: &Sku| self.skus.iter().position(|known| known == sku);
        let lines = skus.iter().filter_map(at);
        let lines = lines.flat_map(|at| self.reading.of_sku(at)).copied();
        Reading {
            feeds: self.reading.feeds.clone(),
            lines: lines.collect(),
            held: Vec::new(),
        }
    }
}

/// Sends requests off. Departures of the same warehouses share them; orders with orders only, so that
/// what browsing asks for cannot spoil or slow an order's answer.
pub(super) fn send(
    look_ups: &Arc<TenantLookUps>,
    departures: Vec<Departure>,
    found: Option<&Found>,
) {
    for batch in Batch::of_departures(departures) {
        let task = batch.run(Arc::clone(look_ups), found.cloned());
        look_ups.tools.tasks.spawn("live-look-up", task);
    }
}

/// Departures that share a request.
#[derive(Debug)]
struct Batch {
    warehouses: Arc<[WarehouseId]>,
    departures: Vec<Departure>,
    priority: Priority,
    ends_at: Duration,
}

/// Ends the wait of those who were not answered, also when the task is dropped, and gives the lease back.
struct Landing {
    look_ups: Arc<TenantLookUps>,
    batch: Batch,
    found: Option<Found>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        for departure in &self.batch.departures {
            self.look_ups.land(departure, None);
        }
        if let Some(found) = self.found.take() {
            self.look_ups.release(self.batch.skus(), found.lease);
        }
    }
}

impl Batch {
    /// Puts departures together that may share a request.
    fn of_departures(departures: Vec<Departure>) -> Vec<Self> {
        let mut batches: Vec<Self> = Vec::new();
        for departure in departures {
            let is_of_orders = departure.priority == Priority::Order;
            let batch = batches.iter_mut().find(|batch| {
                batch.warehouses == departure.subject.warehouses
                    && (batch.priority == Priority::Order) == is_of_orders
                    && batch.departures.len() < TOGETHER
            });
            match batch {
                Some(batch) => {
                    batch.priority = batch.priority.max(departure.priority);
                    batch.ends_at = batch.ends_at.max(departure.ends_at);
                    batch.departures.push(departure);
                }
                None => batches.push(Self {
                    warehouses: Arc::clone(&departure.subject.warehouses),
                    priority: departure.priority,
                    ends_at: departure.ends_at,
                    departures: vec![departure],
                }),
            }
        }
        batches
    }

    fn skus(&self) -> Vec<Sku> {
        let skus = self.departures.iter();
        skus.map(|departure| departure.subject.sku.clone())
            .collect()
    }

    /// Makes the request.
    async fn run(self, look_ups: Arc<TenantLookUps>, found: Option<Found>) {
        let landing = Landing {
            look_ups,
            batch: self,
            found,
        };
        let unwanted = landing.look_ups.unwanted(&landing.batch.departures);
        tokio::select! {
            biased;
            () = landing.ask() => {}
            () = unwanted => {}
        }
    }
}

impl Landing {
    async fn ask(&self) {
        let Self {
            look_ups, batch, ..
        } = self;

        let (tools, warehouses) = (&look_ups.tools, &*batch.warehouses);
        let skus = batch.skus();
        let ends = Deadline::until(&tools.clock, batch.ends_at);
        let reserve = LONGEST_WRITE.min(ends.left().unwrap_or_default() / 10);
        let ends_for_d365 = ends.earlier_by(reserve);
        let asking = look_ups
            .look_up
            .ask(&skus, warehouses, &ends_for_d365, batch.priority);
        let found = asking.await;
        if let Some(cached) = self.found.as_ref().map(|found| found.reading_of(&skus)) {
            let line_ttl = tools.store.line_ttl();
            tools.drift.compare(
                &look_ups.tenant,
                &skus,
                warehouses,
                &found,
                &cached,
                line_ttl,
            );
        }
        let lines = found.stock_lines(&skus, warehouses);
        let stored = write_through(&tools.store, &look_ups.tenant, &lines, &ends).await;
        for (departure, result) in batch.departures.iter().zip(found.by_sku(warehouses.len())) {
            let result = LiveResult {
                write_through: stored,
                ..result
            };
            look_ups.land(departure, Some(&result));
        }
    }
}
