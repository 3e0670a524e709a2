//! Two tenants whose SKUs and warehouses have the same names.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use integration_tests::api_client::ApiClient;
use integration_tests::oracle::{Oracle, Told};
use integration_tests::redis_fixture::RedisFixture;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Tenants and their companies.
const TENANTS: [(&str, &str); 2] = [("contoso", "usmf"), ("fabrikam", "demf")];
/// A live question may name no more.
const SKUS_PER_QUESTION: usize = 200;

/// What both tenants were told, tenant by tenant in the same order.
#[derive(Debug, Default)]
struct Round {
    lines: [Vec<Told>; TENANTS.len()],
    /// Lines read from D365 for the question.
    live: u64,
    crossed: u64,
    compared: u64,
}

impl Round {
    /// Asks both tenants for the same, in both warehouses.
    async fn ask(
        stage: &Stage,
        api: &ApiClient,
        severity: &str,
        skus: &[String],
    ) -> Result<Self, RowError> {
        let mut round = Self::default();
        let d365 = stage.d365();
        for ((tenant, company), lines) in TENANTS.into_iter().zip(&mut round.lines) {
            for warehouse in WAREHOUSES {
                for skus in skus.chunks(SKUS_PER_QUESTION) {
                    let products: Vec<_> = skus.iter().map(|sku| json!({ "sku": sku })).collect();
                    let question = json!({ "organization": tenant, "severity": severity,
                        "warehouseId": warehouse, "products": products });
                    let asked = d365.now();
                    let reply = api.post("/inventory/v1/inventories", &question).await?;
                    if !reply.status.is_success() {
                        return Err(format!("{}: {}", reply.status, reply.text).into());
                    }
                    let data = reply.json["data"].as_array().map(Vec::as_slice);
                    let data = data.unwrap_or_default().iter();
                    round.live += data.filter(|line| line["source"] == "LIVE").count() as u64;
                    lines.extend(Told::of_reply(&reply.json, asked, d365.now()));
                }
            }
            let verdict = Oracle::new(stage.d365(), company, 1_000).judge(&*lines);
            round.crossed += verdict.lies + verdict.false_absences;
            round.compared += verdict.lines;
        }
        Ok(round)
    }

    /// Lines of both tenants beside those of another round.
    fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Told, &'a Told)> {
        self.lines
            .iter()
            .flatten()
            .zip(other.lines.iter().flatten())
    }
}

/// Items both companies have, each with stock of its own.
fn items_of_both(stage: &Stage) -> Result<Vec<String>, RowError> {
    let there: BTreeSet<String> = stage
        .d365()
        .truth("demf", Some("24"), None)?
        .into_iter()
        .map(|row| row.item)
        .collect();
    let mut both = stage.items("24")?;
    both.retain(|item| there.contains(item));
    Ok(both)
}

pub(super) async fn same_skus(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(10);
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, rig.world(), "", |config| {
        let more = config.second_tenant("fabrikam", "demf");
        config.more.push_str(&more);
    })?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let both = items_of_both(&stage)?;
    for warehouse in WAREHOUSES {
        let record = format!("inv:fabrikam:snapshot:{warehouse}");
        stage
            .within(
                rig.scale.two_cycles(),
                "the other tenant's snapshot",
                async || {
                    let feed = stage.hash(&record).await.ok()?;
                    (feed.get("state")? == "complete").then_some(())
                },
            )
            .await?;
    }
    let cached = Round::ask(&stage, &api, "FAST", &both).await?;
    // Both ask live before either looks at what was stored: who writes over the other shows.
    let live = Round::ask(&stage, &api, "EXACT", &both).await?;
    let stored = Round::ask(&stage, &api, "FAST", &both).await?;
    let written_through = stored
        .beside(&live)
        .filter(|(stored, live)| stored.as_of.is_some() && stored.as_of >= live.as_of)
        .count() as u64;
    let [one, other] = &cached.lines;
    let others = one.iter().zip(other);
    let differ = others
        .filter(|(one, other)| one.available != other.available)
        .count();
    let mut outcome = Outcome::default();
    outcome.none("cross reads FAST", cached.crossed);
    outcome.none("cross reads EXACT", live.crossed);
    outcome.none("cross reads FAST after it", stored.crossed);
    outcome.none("EXACT lines not live", live.compared - live.live);
    outcome.none(
        "live lines not stored for their tenant",
        live.compared - written_through,
    );
    outcome.happened("lines compared FAST", cached.compared);
    outcome.happened("lines compared EXACT", live.compared);
    outcome.happened("SKUs with other stock in the other tenant", differ as u64);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}
