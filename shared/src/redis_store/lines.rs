//! Writing lines.

use super::error::StoreError;
use super::line_codec::LineText;
use super::metrics;
use super::script::Call;
use super::store::StockStore;
use crate::process::guards::{self, Guard};
use crate::stock::{FeedSettings, Origin, Sku, StockLine, TenantId, Verdict, WarehouseId};
use redis::Script;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

/// Lines one script call carries: more would hold up readers beside it (measured p99 of a reader
/// beside a saturating writer: 100 lines 1.7 ms, 250 lines 3.0 ms, 1,000 lines 13.5 ms).
const LINES_PER_CALL: usize = 250;

/// How long a SKU lives of which only absences are known. A page that was asked for before such an
/// absence must not bring its line back: longer than a page (2 min) and the longest wait D365 may
/// ask for (10 min) together.
const ABSENCE_TTL: Duration = Duration::from_mins(15);

static APPLY_LINES: LazyLock<Script> = LazyLock::new(|| {
    let mut script = include_str!("scripts/apply_lines.lua").to_owned();
    if guards::is_off(Guard::NewestWins) {
        script = script.replace("verdict = 0", "verdict = 1");
    }
    if guards::is_off(Guard::FutureIsCorrupt) {
        script = script.replace("tonumber(now[1]) + 5", "tonumber(now[1]) + 86400");
    }
    Script::new(&script)
});

/// What became of the lines of one [`StockStore::apply`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// One verdict a line, in the lines' order.
    pub verdicts: Vec<Verdict>,
}

impl Applied {
    /// How many lines stand in the store now.
    pub fn applied(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.is_applied())
            .count()
    }

    /// How many lines were refused.
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
        let mut applied = Applied {
            verdicts: Vec::with_capacity(lines.len()),
        };
        let foreign = self.feeds_of_other_settings(tenant, lines).await?;
        for chunk in lines.chunks(LINES_PER_CALL) {
            if foreign.is_empty() {
                let verdicts = self.apply_chunk(tenant, chunk).await?;
                applied.verdicts.extend(verdicts);
                continue;
            }
            let is_own = |line: &&StockLine| !foreign.contains(&line.warehouse);
            let own: Vec<StockLine> = chunk.iter().filter(is_own).cloned().collect();
            let mut verdicts = self.apply_chunk(tenant, &own).await?.into_iter();
            applied.verdicts.extend(chunk.iter().map(|line| {
                let verdict = is_own(&line).then(|| verdicts.next()).flatten();
                verdict.unwrap_or(Verdict::RefusedOtherSettings)
            }));
        }
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
        let (Some(own), false) = (self.settings(), lines.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut warehouses: Vec<&WarehouseId> = lines.iter().map(|line| &line.warehouse).collect();
        warehouses.sort_unstable();
        warehouses.dedup();
        let mut pipeline = redis::Pipeline::with_capacity(warehouses.len());
        for warehouse in &warehouses {
            let key = self.keys().snapshot(tenant, warehouse);
            pipeline.cmd("HGET").arg(key).arg("settings");
        }
        let settings: Vec<Option<String>> = self
            .command(async |connection| pipeline.query_async(connection).await)
            .await?;
        let is_foreign = |text: &String| FeedSettings::read(text).fingerprint != Some(own);
        Ok(warehouses
            .into_iter()
            .zip(settings)
            .filter(|(_, text)| text.as_ref().is_some_and(is_foreign))
            .map(|(warehouse, _)| warehouse.clone())
            .collect())
    }

    async fn apply_chunk(
        &self,
        tenant: &TenantId,
        lines: &[StockLine],
    ) -> Result<Vec<Verdict>, StoreError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = Call::of(&APPLY_LINES)
            .argument(self.line_ttl().as_millis())
            .argument(self.line_ttl().min(ABSENCE_TTL).as_millis());
        let mut key_numbers: HashMap<&Sku, usize> = HashMap::with_capacity(lines.len());
        for line in lines {
            let number = *key_numbers
                .entry(&line.sku)
                .or_insert_with(|| call.push_key(self.keys().stock(tenant, &line.sku)));
            call.push_argument(number.to_string());
            call.push_argument(line.warehouse.key().to_owned());
            call.push_argument(line.value.as_of.to_string());
            call.push_argument(
                if line.value.origin == Origin::Live {
                    "1"
                } else {
                    "0"
                }
                .to_owned(),
            );
            call.push_argument(LineText(&line.value).to_string());
        }
        // Offered again, a line that stands there by now is refused as not newer, which is true.
        let answer: Vec<u8> = self.run_again(call).await?;
        let verdicts: Option<Vec<Verdict>> = answer.into_iter().map(verdict_of).collect();
        verdicts
            .filter(|verdicts| verdicts.len() == lines.len())
            .ok_or(StoreError::Misbehaved {
                what: "the verdicts on lines",
            })
    }
}

fn verdict_of(code: u8) -> Option<Verdict> {
    Some(match code {
        0 => Verdict::RefusedOlder,
        1 => Verdict::Applied,
        2 => Verdict::AppliedOverCorrupt,
        3 => Verdict::RefusedFuture,
        _ => return None,
    })
}
