//! Leases on live questions: one replica asks D365 about a SKU, the others watch its stock line.
//!
//! A lease reads `owner|since|settings:warehouses`. Its holder asks D365, stores the answer and releases
//! it. It only saves calls: who may use a stored line is decided by the line's as-of. A lease ends at
//! an instant of Redis' clock, so a call that Redis comes to late takes none.

use super::error::StoreError;
use super::reader::{Detail, Reading, StockReader};
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::stock::{AsOf, Fingerprint, Sku, TenantId, WarehouseId};

/// The right to ask D365 about SKUs in some warehouses.
#[derive(Debug, Clone)]
pub struct LiveLease {
    text: String,
    /// What follows the owner and the instant.
    about: String,
    ends: AsOf,
}

impl LiveLease {
    /// A lease that nobody has yet: for these warehouses in this order, taken now, with these settings.
    pub fn new(
        settings: Option<Fingerprint>,
        warehouses: &[WarehouseId],
        now: AsOf,
        ends: AsOf,
    ) -> Self {
        let settings = settings.map(|settings| format!("{settings}:"));
        let warehouses: Vec<&str> = warehouses.iter().map(WarehouseId::key).collect();
        let about = settings.unwrap_or_default() + &warehouses.join(",");
        let owner = uuid::Uuid::new_v4().simple();
        Self {
            text: format!("{owner}|{now}|{about}"),
            about,
            ends,
        }
    }

    /// Reads what stood there before this lease was to be taken.
    fn taken(&self, before: Option<&str>) -> LeaseTaken {
        let Some(before) = before.filter(|before| *before != self.text) else {
            return LeaseTaken::Own;
        };
        let mut parts = before.splitn(3, '|').skip(1);
        let since = parts.next().and_then(|since| since.parse().ok());
        match since {
            Some(since) if parts.next() == Some(&*self.about) => LeaseTaken::Held { since },
            _ => LeaseTaken::HeldForOthers,
        }
    }
}

/// Who has a lease now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseTaken {
    /// The caller.
    Own,
    /// Another replica, which asks the same question; its request starts after this instant.
    Held {
        /// When it was taken.
        since: AsOf,
    },
    /// Another replica, which asks about other warehouses or with other settings.
    HeldForOthers,
}

impl StockReader {
    /// Takes the lease of each SKU that nobody has, then reads the lines: whoever finds a lease
    /// released finds what its holder stored.
    pub async fn take_leases(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
        lease: &LiveLease,
    ) -> Result<(Vec<LeaseTaken>, Reading), StoreError> {
        let mut pipeline = redis::Pipeline::new();
        for sku in skus {
            pipeline
                .cmd("SET")
                .arg(self.keys().live(tenant, sku))
                .arg(&lease.text)
                .arg("NX")
                .arg("GET")
                .arg("PXAT")
                .arg(lease.ends.unix_ms().max(1));
        }
        let (before, reading) = self
            .read_after(pipeline, tenant, warehouses, skus, Detail::Nothing)
            .await?;
        let taken = before.into_iter().map(|before| {
            let before =
                redis::from_redis_value::<Option<String>>(before).map_err(|_not_text| {
                    StoreError::Misbehaved {
                        what: "leases on live questions",
                    }
                })?;
            Ok(lease.taken(before.as_deref()))
        });
        Ok((taken.collect::<Result<_, StoreError>>()?, reading))
    }
}

impl StockStore {
    /// Gives leases back; those that ended or that others have since are left alone.
    pub async fn release_leases(
        &self,
        tenant: &TenantId,
        skus: &[Sku],
        lease: &LiveLease,
    ) -> Result<(), StoreError> {
        let mut call = StoreCall::of(&scripts::RELEASE_LIVE)
            .repeatable()
            .argument(&lease.text);
        for sku in skus {
            call.push_key(self.keys().live(tenant, sku));
        }
        self.run::<u64>(call).await.map(|_released| ())
    }
}
