//! One look at Redis: who asks D365 about some SKUs, and what is stored of them by now.

use super::live_result::{LiveLine, LiveResult};
use super::look_up_task::{Found, send};
use super::pending::{Departure, Looked, Subject};
use super::tenant_look_ups::TenantLookUps;
use super::write_through::WriteThrough;
use shared::redis_store::{LeaseTaken, LiveLease, Reading, StoreError, StoredLine};
use shared::stock::{AsOf, Sku, WarehouseId};
use std::sync::Arc;
use std::time::Duration;

/// How long Redis may take to say who asks; an eighth of the time left at most.
const LOOK_LIMIT: Duration = Duration::from_millis(250);

/// One look at Redis: who asks about some SKUs, and what is stored of them.
pub(super) struct Look {
    tenant: Arc<TenantLookUps>,
    warehouses: Arc<[WarehouseId]>,
    /// Emptied once it is noted what was found.
    skus: Vec<Sku>,
}

impl Drop for Look {
    fn drop(&mut self) {
        let skus = std::mem::take(&mut self.skus);
        for sku in skus {
            self.note(sku, Looked::Unshared);
        }
        self.tenant.changed.notify_waiters();
    }
}

impl Look {
    pub(super) fn new(
        tenant: &Arc<TenantLookUps>,
        warehouses: Arc<[WarehouseId]>,
        skus: Vec<Sku>,
    ) -> Self {
        Self {
            tenant: Arc::clone(tenant),
            warehouses,
            skus,
        }
    }

    pub(super) async fn run(mut self, wants_lease: bool) {
        let Some((taken, lease, reading)) = self.read(wants_lease).await else {
            return;
        };
        let skus = std::mem::take(&mut self.skus);
        let (mut departures, mut unneeded) = (Vec::new(), Vec::new());
        for (at, sku) in skus.iter().enumerate() {
            self.answer(sku, reading.of_sku(at));
            let taken = taken.get(at).copied();
            let looked = taken.map_or(Looked::Watched, |taken| match taken {
                LeaseTaken::Own => Looked::Leased,
                LeaseTaken::Held { since } => Looked::LeasedElsewhere { since },
                LeaseTaken::HeldForOthers => Looked::Unshared,
            });
            match self.note(sku.clone(), looked) {
                Some(departure) => departures.push(departure),
                None if looked == Looked::Leased => unneeded.push(sku.clone()),
                None => {}
            }
        }
        if !unneeded.is_empty() {
            self.tenant.release(unneeded, lease.clone());
        }
        let found = Found {
            lease,
            skus,
            reading,
        };
        send(&self.tenant, departures, Some(&found));
    }

    /// None if Redis does not answer in time, or its clock is not known.
    async fn read(&self, wants_lease: bool) -> Option<(Vec<LeaseTaken>, LiveLease, Reading)> {
        let TenantLookUps {
            tenant,
            tools,
            reader,
            ..
        } = &*self.tenant;
        if !tools.clock.is_shared() {
            return None;
        }
        let (now, warehouses) = (tools.clock.now(), &*self.warehouses);
        let left = self.time_left();
        let lease = LiveLease::new(tools.store.settings(), warehouses, now, now.plus(left));
        let reading = async {
            if wants_lease {
                reader
                    .take_leases(tenant, warehouses, &self.skus, &lease)
                    .await
            } else {
                let reading = reader.read_lines(tenant, warehouses, &self.skus).await?;
                Ok::<_, StoreError>((Vec::new(), reading))
            }
        };
        match tokio::time::timeout(LOOK_LIMIT.min(left / 8), reading).await {
            Ok(Ok((taken, reading))) => Some((taken, lease, reading)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "live look-ups are not shared with other replicas");
                None
            }
            Err(_elapsed) => None,
        }
    }

    /// The longest time that anybody has left.
    fn time_left(&self) -> Duration {
        let ends_at = self.tenant.pending(|pending| {
            let subjects = self.skus.iter().map(|sku| self.subject(sku.clone()));
            subjects
                .filter_map(|subject| pending.ends_at(&subject))
                .max()
        });
        ends_at
            .unwrap_or_default()
            .saturating_sub(self.tenant.tools.clock.monotonic())
    }

    /// Answers those who asked before the stored lines were read from D365.
    fn answer(&self, sku: &Sku, stored: &[StoredLine]) {
        let now = self.tenant.tools.store.clock().not_before_now();
        let Some((as_of, lines)) = lines_of(stored, now) else {
            return;
        };
        let subject = self.subject(sku.clone());
        let tells = self
            .tenant
            .pending(|pending| pending.answered(&subject, as_of));
        for tell in tells {
            drop(tell.send(LiveResult {
                lines: lines.clone(),
                failure: None,
                write_through: Some(WriteThrough::Stored),
            }));
        }
    }

    fn note(&self, sku: Sku, looked: Looked) -> Option<Departure> {
        let now = self.tenant.tools.clock.monotonic();
        let subject = self.subject(sku);
        self.tenant
            .pending(|pending| pending.looked(&subject, looked, now))
    }

    fn subject(&self, sku: Sku) -> Subject {
        Subject {
            warehouses: Arc::clone(&self.warehouses),
            sku,
        }
    }
}

/// The stored lines of a SKU and the oldest as-of among them; none unless every one can be read. A stamp
/// ahead of the clock is of a clock that was set back since: it does not tell when the line was read.
fn lines_of(stored: &[StoredLine], now: AsOf) -> Option<(AsOf, Vec<LiveLine>)> {
    let lines = stored.iter().map(|line| match line {
        StoredLine::Value(line) if line.as_of <= now => Some(LiveLine::Line(*line)),
        StoredLine::Value(_) | StoredLine::Missing | StoredLine::Unreadable => None,
    });
    let lines: Vec<LiveLine> = lines.collect::<Option<_>>()?;
    Some((LiveLine::as_of_all(&lines)?, lines))
}
