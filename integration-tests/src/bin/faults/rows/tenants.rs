//! Two tenants whose SKUs and warehouses have the same names.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, WAREHOUSES};
use integration_tests::oracle::{Oracle, Told};
use integration_tests::redis_fixture::RedisFixture;
use serde_json::json;
use std::time::Duration;

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
    let d365 = stage.d365();
    // Items both companies have, with other stock in each.
    let here = stage.items("24")?;
    let there: std::collections::BTreeSet<String> = d365
        .truth("demf", Some("24"), None)?
        .into_iter()
        .map(|row| row.item)
        .collect();
    let both: Vec<String> = here
        .into_iter()
        .filter(|item| there.contains(item))
        .collect();
    stage
        .within(
            rig.scale.two_cycles(),
            "the other tenant's snapshot",
            async || {
                let feed = stage.hash("inv:fabrikam:snapshot:24").await.ok()?;
                (feed.get("state")? == "complete").then_some(())
            },
        )
        .await?;
    let (mut crossed, mut compared, mut differ) = (0_u64, 0_u64, 0_u64);
    let mut said: Vec<Vec<Told>> = Vec::new();
    for (tenant, company) in [("contoso", "usmf"), ("fabrikam", "demf")] {
        let mut lines = Vec::new();
        for warehouse in WAREHOUSES {
            for items in both.chunks(200) {
                let products: Vec<_> = items.iter().map(|sku| json!({ "sku": sku })).collect();
                let question = json!({ "organization": tenant, "severity": "FAST",
                    "warehouseId": warehouse, "products": products });
                let asked = d365.now();
                let reply = api.post("/inventory/v1/inventories", &question).await?;
                if !reply.status.is_success() {
                    return Err(format!("{}: {}", reply.status, reply.text).into());
                }
                lines.extend(Told::of_reply(&reply.json, asked, d365.now()));
            }
        }
        let verdict = Oracle::new(stage.d365(), company, 1_000).judge(&lines);
        crossed += verdict.lies + verdict.false_absences;
        compared += verdict.lines;
        said.push(lines);
    }
    for (one, other) in said[0].iter().zip(&said[1]) {
        differ += u64::from(one.available != other.available);
    }
    let mut outcome = Outcome::default();
    outcome.none("cross reads", crossed);
    outcome.happened("lines compared", compared);
    outcome.happened("SKUs with other stock in the other tenant", differ);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}
