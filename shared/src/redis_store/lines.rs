//! Writing lines.

use super::calls::Calls;
use super::error::StoreError;
use super::line_codec::LineText;
use super::metrics;
use super::script::{StoreCall, read};
use super::scripts;
use super::seen_feeds::Seen;
use super::store::StockStore;
use crate::process::clock::Clock as _;
use crate::stock::{AsOf, FeedSettings, Origin, Sku, StockLine, TenantId, Verdict, WarehouseId};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Lines one script call carries: more would hold up readers beside it (measured p99 of a reader
/// beside a saturating writer: 100 lines 1.7 ms, 250 lines 3.0 ms, 1,000 lines 13.5 ms).
const LINES_PER_CALL: usize = 250;

/// How long a SKU lives of which only absences are known. A page that was asked for before such an
/// absence must not bring its line back: longer than a page (2 min) and the longest wait D365 may
/// ask for (10 min) together.
const ABSENCE_TTL: Duration = Duration::from_mins(15);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// One verdict a line, in the lines' order.
    pub verdicts: Vec<Verdict>,
}

impl Applied {
    pub fn applied(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.is_applied())
            .count()
    }

    pub fn refused(&self) -> usize {
        self.verdicts.len() - self.applied()
    }
}

impl StockStore {
    /// Writes lines, each only if it is newer than what is stored. Calls carry at most 250 lines;
    /// on an error the lines of earlier calls are written, which is harmless: repeating is, too.
    ///
    /// A store for lines of certain settings ([`under`](Self::under)) writes none for a feed that is
    /// read with others: lines carry no settings, so that it would be taken for one of those.
    pub async fn apply(
        &self,
        tenant: &TenantId,
        lines: &[StockLine],
    ) -> Result<Applied, StoreError> {
        let foreign = self.feeds_of_other_settings(tenant, lines).await?;
        let is_own = |line: &&StockLine| !foreign.contains(&line.warehouse);
        let own: Vec<&StockLine> = lines.iter().filter(is_own).collect();
        let mut stored = Vec::with_capacity(own.len());
        for chunk in own.chunks(LINES_PER_CALL) {
            let verdicts = self
                .run(self.calls(tenant).apply(chunk, self.line_ttl()))
                .await?;
            if verdicts.len() != chunk.len() {
                return Err(MISBEHAVED);
            }
            stored.extend(verdicts);
        }
        let mut stored = stored.into_iter();
        let verdicts = lines.iter().map(|line| {
            let verdict = is_own(&line).then(|| stored.next()).flatten();
            verdict.unwrap_or(Verdict::RefusedOtherSettings)
        });
        let applied = Applied {
            verdicts: verdicts.collect(),
        };
        for verdict in [
            Verdict::Applied,
            Verdict::AppliedOverCorrupt,
            Verdict::RefusedOlder,
            Verdict::RefusedFuture,
            Verdict::RefusedOtherSettings,
        ] {
            let count = applied
                .verdicts
                .iter()
                .filter(|other| **other == verdict)
                .count();
            metrics::offered(tenant, verdict, count);
        }
        Ok(applied)
    }

    /// The warehouses of lines whose feeds are read with other settings than this store's.
    ///
    /// Looked up after the lines were stamped and before they are written. Whatever changes a feed's
    /// settings later says they hold since a later instant than these stamps, so that a line that is
    /// written all the same is no evidence under them.
    async fn feeds_of_other_settings(
        &self,
        tenant: &TenantId,
        lines: &[StockLine],
    ) -> Result<Vec<WarehouseId>, StoreError> {
        let Some(own) = self.settings() else {
            return Ok(Vec::new());
        };
        let clock = self.clock();
        let feed = |warehouse: &WarehouseId| (own, tenant.clone(), warehouse.clone());
        let look = Seen {
            at: clock.now(),
            monotonic: clock.monotonic(),
        };
        let mut latest: BTreeMap<&WarehouseId, AsOf> = BTreeMap::new();
        for line in lines {
            let as_of = latest.entry(&line.warehouse).or_insert(line.value.as_of);
            *as_of = line.value.as_of.max(*as_of);
        }
        let seen = self.seen_feeds();
        latest.retain(|warehouse, as_of| !seen.covers(&feed(warehouse), *as_of, look.monotonic));
        let warehouses: Vec<&WarehouseId> = latest.into_keys().collect();
        if warehouses.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::Pipeline::with_capacity(warehouses.len());
        for warehouse in &warehouses {
            let key = self.keys().snapshot(tenant, warehouse);
            pipeline.cmd("HGET").arg(key).arg("settings");
        }
        let settings: Vec<Option<String>> = self.ask_all(&pipeline).await?;
        let mut foreign = Vec::new();
        for (warehouse, text) in warehouses.into_iter().zip(settings) {
            match text.map(|text| FeedSettings::read(&text).fingerprint == Some(own)) {
                Some(true) => self.seen_feeds().note(feed(warehouse), look),
                Some(false) => foreign.push(warehouse.clone()),
                // A feed that has none yet may get others.
                None => {}
            }
        }
        Ok(foreign)
    }
}

impl Calls<'_> {
    /// Writes at most 250 lines, each with its verdict.
    pub fn apply(&self, lines: &[&StockLine], line_ttl: Duration) -> StoreCall<Vec<Verdict>> {
        let decode = |answer| {
            let verdicts = read::<Vec<u8>>(answer)?.into_iter().map(verdict_of);
            verdicts.collect::<Option<_>>().ok_or(MISBEHAVED)
        };
        // Offered again, a line that is stored by now is refused as not newer, which is true.
        let mut call = StoreCall::read_by(&scripts::APPLY_LINES, decode)
            .repeatable()
            .argument(line_ttl.as_millis())
            .argument(line_ttl.min(ABSENCE_TTL).as_millis());
        let mut key_numbers: HashMap<&Sku, usize> = HashMap::with_capacity(lines.len());
        for line in lines {
            let number = *key_numbers
                .entry(&line.sku)
                .or_insert_with(|| call.push_key(self.keys.stock(self.tenant, &line.sku)));
            let is_live = line.value.origin == Origin::Live;
            call.push_argument(number.to_string());
            call.push_argument(line.warehouse.key().to_owned());
            call.push_argument(line.value.as_of.to_string());
            call.push_argument(u8::from(is_live).to_string());
            call.push_argument(LineText(&line.value).to_string());
        }
        call
    }
}

const MISBEHAVED: StoreError = StoreError::Misbehaved {
    what: "the verdicts on lines",
};

fn verdict_of(code: u8) -> Option<Verdict> {
    Some(match code {
        0 => Verdict::RefusedOlder,
        1 => Verdict::Applied,
        2 => Verdict::AppliedOverCorrupt,
        3 => Verdict::RefusedFuture,
        _ => return None,
    })
}
