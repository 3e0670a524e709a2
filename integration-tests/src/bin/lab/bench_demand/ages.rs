//! How old what is asked for most is, as callers are told.

use crate::bench_demand::house::House;
use d365_simulator::{Simulator, UtcMillis};
use std::collections::HashMap;

/// SKUs of one question; the limit of the API.
const SKUS_PER_QUESTION: usize = 1_000;

/// Ages of SKUs, in milliseconds; of each its oldest line over all warehouses.
#[derive(Debug, Default)]
pub(crate) struct Ages {
    told_ms: Vec<i64>,
    /// SKUs of which nothing with an age was told.
    pub(crate) ageless: usize,
    /// How many ages there were before the last look.
    before: usize,
    pub(crate) looks: usize,
    /// Looks without a reply to each question, which do not count.
    pub(crate) failed: usize,
}

impl Ages {
    /// Looks once at these SKUs.
    pub(crate) async fn look(
        &mut self,
        house: &House,
        d365: &Simulator,
        warehouses: &[String],
        skus: &[String],
    ) {
        self.before = self.told_ms.len();
        self.looks += 1;
        let mut oldest: HashMap<String, i64> = HashMap::with_capacity(skus.len());
        for warehouse in warehouses {
            for skus in skus.chunks(SKUS_PER_QUESTION) {
                let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
                let reply = house.onlookers_api.fast(warehouse, &skus).await.ok();
                let Some(reply) = reply.filter(|reply| reply.status.is_success()) else {
                    self.failed += 1;
                    return;
                };
                // From the as-of, not from the age in whole seconds: that is rounded down.
                let now = d365.now().unix_millis();
                for line in reply.json["data"].as_array().into_iter().flatten() {
                    let as_of = line["asOf"].as_str().and_then(UtcMillis::parse);
                    if let (Some(sku), Some(as_of)) = (line["sku"].as_str(), as_of) {
                        let age = now - as_of.unix_millis();
                        let known = oldest.entry(sku.to_owned()).or_insert(age);
                        *known = age.max(*known);
                    }
                }
            }
        }
        self.ageless += skus.len() - oldest.len().min(skus.len());
        self.told_ms.extend(oldest.into_values());
    }

    /// The last look was too late to count.
    pub(crate) fn forget_last_look(&mut self) {
        self.told_ms.truncate(self.before);
    }

    /// Of all ages seen, in seconds.
    pub(crate) fn quantile(&mut self, of_thousand: usize) -> f64 {
        self.told_ms.sort_unstable();
        let place =
            (self.told_ms.len() * of_thousand / 1_000).min(self.told_ms.len().saturating_sub(1));
        self.told_ms
            .get(place)
            .map_or(f64::INFINITY, |age| seconds(*age))
    }
}

pub(crate) fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = ms as f64 / 1_000.0;
    seconds
}
