//! Every key there is. `prefix` is `inv:` unless configured; `<t>` is a tenant id, which cannot
//! hold a colon; a SKU stands last, so that any SKU is safe and readable. `<sku>` and `<warehouse>`, in
//! names as well as inside, are comparison keys ([`crate::stock::Spelling`]): upper case, no trailing blanks.
//!
//! | key | type | content | written by | read by | lives | look at it |
//! |---|---|---|---|---|---|---|
//! | `inv:tenants` | set | tenant ids that were published | worker | API | for ever | `SMEMBERS inv:tenants` |
//! | `inv:<t>:config` | hash | what a prefetcher publishes; never a secret | worker | API | for ever | `HGETALL inv:<t>:config` |
//! | `inv:<t>:stock:<sku>` | hash | warehouse -> line | worker, API | API | `line_ttl` after the last write; 15 min if there are absences only | `HGETALL inv:<t>:stock:<sku>` |
//! | `inv:<t>:snapshot:<warehouse>` | hash | the feed's record | worker | API, worker | for ever | `HGETALL inv:<t>:snapshot:<warehouse>` |
//! | `inv:<t>:cycle:<warehouse>` | hash | the cycle under way: parts, their borders and ends | worker | worker | until it is sealed | `HGETALL inv:<t>:cycle:<warehouse>` |
//! | `inv:<t>:ranges:<warehouse>` | list | where the next cycle is split: last items of its parts | worker | worker | for ever | `LRANGE inv:<t>:ranges:<warehouse> 0 -1` |
//! | `inv:<t>:history:<warehouse>` | list | the last cycles, newest first, as JSON | worker | people | for ever | `LRANGE inv:<t>:history:<warehouse> 0 -1` |
//! | `inv:<t>:asked` | sorted set | SKU -> how often it was asked for, fading | API | worker | a day after the last | `ZREVRANGE inv:<t>:asked 0 9 WITHSCORES` |
//! | `inv:<t>:low` | sorted set | SKU with little stock -> how much | worker | worker | for ever | `ZRANGE inv:<t>:low 0 9 WITHSCORES` |
//! | `inv:event:<id>` | string | an event of D365 that was taken | worker | worker | 10 min | `EXISTS inv:event:<id>` |
//! | `inv:<t>:live:<sku>` | string | the lease on a live question: `owner|since|settings:warehouses` | API | API | until its request ends | `GET inv:<t>:live:<sku>` |
//! | `inv:<t>:drift:<day>:<warehouse>` | hash | how far the cache was from live answers that day | API | API | 8 days | `HGETALL inv:<t>:drift:<day>:<warehouse>` |
//! | `inv:<t>:held` | hash | SKU -> what orders hold of it, a line each: `quantity|placed|until|confirmed|owner|warehouse` | API | API | until the last hold ends | `HGET inv:<t>:held <sku>` |
//! | `inv:<t>:each:held` | hash | SKU with more than 8 holds -> each of them; `held` has a summary then | API | API | as above | `HGET inv:<t>:each:held <sku>` |
//! | `inv:<t>:held_until` | sorted set | SKU -> when its next hold ends, in ms | API | API | as above | `ZRANGE inv:<t>:held_until 0 -1 WITHSCORES` |
//! | `inv:<t>:order:<channel>\|<id>`, `:reservation:..`; without a channel `:order:<id>` | string | the record of an order or reservation, as JSON | API | API | 24 h after its hold ends; a reservation's 10 min | `GET "inv:<t>:order:<channel>\|<id>"` |
//! | `inv:<t>:spelling` | string | the rule by which the names above were spelled; see [`super::StockStore::respell`] | worker, API | worker, API | for ever | `GET inv:<t>:spelling` |
//! | `inv:<t>:demand` | hash | calls that may be spent on both, and were | worker, API | worker | for ever | `HGETALL inv:<t>:demand` |
//! | `inv:<t>:due` | sorted set | shard -> due time in ms | worker | worker | for ever | `ZRANGE inv:<t>:due 0 -1 WITHSCORES` |
//! | `inv:<t>:shard:<shard>` | hash | holder, lease, progress, failures | worker | worker | for ever | `HGETALL inv:<t>:shard:<shard>` |
//! | `inv:throttle:<app>@<host>` | string | D365 asked us to stay away until then | worker, API | worker, API | until then | `GET inv:throttle:<app>@<host>` |
//! | `inv:budget:<app>` | hash | how many calls of this app registration may be under way at once | worker, API | worker, API | for ever | `HGETALL inv:budget:<app>` |
//! | `inv:budget:<app>:prefetch`, `:live` | sorted set | calls under way -> until when they count, in ms | worker, API | worker, API | while calls are made | `ZRANGE inv:budget:<app>:prefetch 0 -1 WITHSCORES` |
//! | `inv:budget:<app>:processes` | sorted set | process -> its last call in ms | worker, API | worker, API | while calls are made | `ZRANGE inv:budget:<app>:processes 0 -1` |
//! | `inv:workers` | sorted set | worker id -> last sign of life in ms | worker | worker | for ever | `ZRANGE inv:workers 0 -1 WITHSCORES` |
//! | `inv:worker:<id>` | hash | a worker's heartbeat | worker | worker | 30 s | `HGETALL inv:worker:<id>` |

use super::hold_codec::channel_text;
use crate::d365::AppId;
use crate::stock::{HoldOwner, Sku, TenantId, WarehouseId};

#[derive(Debug, Clone)]
pub struct Keys {
    prefix: Box<str>,
}

impl Keys {
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    pub fn tenants(&self) -> String {
        format!("{}tenants", self.prefix)
    }

    pub fn config(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:config", self.prefix)
    }

    pub fn stock(&self, tenant: &TenantId, sku: &Sku) -> String {
        let mut key = self.stock_begin(tenant);
        key.push_str(sku.key());
        key
    }

    /// The begin of every stock key of a tenant; a SKU follows.
    pub(super) fn stock_begin(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:stock:", self.prefix)
    }

    pub fn snapshot(&self, tenant: &TenantId, warehouse: &WarehouseId) -> String {
        format!("{}{tenant}:snapshot:{}", self.prefix, warehouse.key())
    }

    pub fn cycle(&self, tenant: &TenantId, warehouse: &WarehouseId) -> String {
        self.cycle_of(tenant, warehouse.key())
    }

    /// As [`cycle`](Self::cycle), for a shard that may be a warehouse.
    pub(super) fn cycle_of(&self, tenant: &TenantId, shard: &str) -> String {
        format!("{}{tenant}:cycle:{shard}", self.prefix)
    }

    pub fn ranges(&self, tenant: &TenantId, warehouse: &WarehouseId) -> String {
        format!("{}{tenant}:ranges:{}", self.prefix, warehouse.key())
    }

    pub fn history(&self, tenant: &TenantId, warehouse: &WarehouseId) -> String {
        format!("{}{tenant}:history:{}", self.prefix, warehouse.key())
    }

    pub(super) fn event(&self, id: &str) -> String {
        format!("{}event:{id}", self.prefix)
    }

    pub fn asked(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:asked", self.prefix)
    }

    pub fn low(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:low", self.prefix)
    }

    pub fn demand(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:demand", self.prefix)
    }

    pub fn budget(&self, app: &str) -> String {
        format!("{}budget:{app}", self.prefix)
    }

    pub fn held(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:held", self.prefix)
    }

    pub fn each_held(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:each:held", self.prefix)
    }

    pub fn held_until(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:held_until", self.prefix)
    }

    pub fn order(&self, tenant: &TenantId, owner: &HoldOwner) -> String {
        let (kind, id) = (owner.kind(), owner.id());
        match id.channel() {
            // No id has a bar in it.
            Some(channel) => {
                let channel = channel_text(channel);
                format!("{}{tenant}:{kind}:{channel}|{id}", self.prefix)
            }
            None => format!("{}{tenant}:{kind}:{id}", self.prefix),
        }
    }

    pub fn live(&self, tenant: &TenantId, sku: &Sku) -> String {
        format!("{}{tenant}:live:{}", self.prefix, sku.key())
    }

    /// How far the cache was from live answers on a day (`2026-11-23`, UTC).
    pub fn drift(&self, tenant: &TenantId, day: &str, warehouse: &WarehouseId) -> String {
        format!("{}{tenant}:drift:{day}:{}", self.prefix, warehouse.key())
    }

    pub(super) fn spelling(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:spelling", self.prefix)
    }

    pub(super) fn of_tenant(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:", self.prefix)
    }

    pub fn due(&self, tenant: &TenantId) -> String {
        format!("{}{tenant}:due", self.prefix)
    }

    pub fn shard(&self, tenant: &TenantId, shard: &str) -> String {
        format!("{}{tenant}:shard:{shard}", self.prefix)
    }

    pub fn throttle(&self, app: &AppId) -> String {
        format!("{}throttle:{app}@{}", self.prefix, app.environment())
    }

    pub fn workers(&self) -> String {
        format!("{}workers", self.prefix)
    }

    pub fn worker(&self, id: &str) -> String {
        format!("{}worker:{id}", self.prefix)
    }
}
