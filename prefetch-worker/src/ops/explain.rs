//! `explain`: what is stored for a SKU, how old it is, its state and why. Asks Redis only.

use crate::error::WorkerError;
use crate::ops::terminal::{quoted, shown};
use shared::process::clock::Clock as _;
use shared::redis_store::{ExplainedLine, StockStore};
use shared::settings::{RedisSettings, Settings};
use shared::stock::{
    AsOf, FeedStanding, Fingerprint, LineContent, LineValue, Sku, StockState, TenantId,
    WarehouseId, WarehouseSnapshot, judge,
};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Explains a SKU in every warehouse that is configured or stored.
pub(crate) async fn explain(
    settings: &Settings,
    tenant: Option<&str>,
    sku: &str,
) -> Result<ExitCode, WorkerError> {
    let sku = Sku::parse(sku)?;
    let store = StockStore::open(&settings.redis)?;
    store.clock().sample().await?;
    let now = store.clock().now();
    let mut out = std::io::stdout().lock();
    for Explained {
        id,
        warehouses: configured,
        settings: own,
    } in tenants_of(settings, tenant)?
    {
        let (stored, ttl) = store.stored_lines(&id, &sku).await?;
        let mut warehouses = configured;
        for line in &stored {
            if let Ok(warehouse) = WarehouseId::parse(line.warehouse.as_str())
                && !warehouses.contains(&warehouse)
            {
                warehouses.push(warehouse);
            }
        }
        let snapshots = store.snapshots(&id, &warehouses).await?;
        writeln!(out, "SKU {sku:?} of tenant {id} at {now}")?;
        match ttl {
            Some(ttl) => writeln!(out, "kept for another {} unless written again", days(ttl))?,
            None => writeln!(out, "nothing is stored for this SKU")?,
        }
        for (warehouse, snapshot) in warehouses.iter().zip(&snapshots) {
            let line = stored
                .iter()
                .find(|line| warehouse.is_named_by(&line.warehouse));
            writeln!(out, "\nwarehouse {}", shown(warehouse.as_str()))?;
            for sentence in sentences(&sku, line, (snapshot, own), now, store.line_ttl()) {
                writeln!(out, "  {sentence}")?;
            }
        }
        let cli = redis_cli(&settings.redis);
        let stock = quoted(&store.keys().stock(&id, &sku));
        writeln!(out, "\nthe same with redis-cli:")?;
        writeln!(out, "  {cli} HGETALL {stock}")?;
        writeln!(out, "  {cli} PTTL {stock}")?;
        for warehouse in &warehouses {
            let snapshot = quoted(&store.keys().snapshot(&id, warehouse));
            writeln!(out, "  {cli} HGETALL {snapshot}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Explained {
    id: TenantId,
    warehouses: Vec<WarehouseId>,
    /// Those its own section has.
    settings: Option<Fingerprint>,
}

fn tenants_of(settings: &Settings, wanted: Option<&str>) -> Result<Vec<Explained>, WorkerError> {
    let tenants: Vec<_> = settings
        .tenants
        .iter()
        .filter(|tenant| wanted.is_none_or(|wanted| tenant.id.as_str() == wanted))
        .map(|tenant| Explained {
            id: tenant.id.clone(),
            warehouses: tenant.warehouses.clone(),
            settings: Some(tenant.line_meaning().fingerprint()),
        })
        .collect();
    match (tenants.is_empty(), wanted) {
        (false, _) => Ok(tenants),
        // Redis can be looked at without a section for the tenant.
        (true, Some(wanted)) => {
            let id =
                TenantId::parse(wanted).or(Err(WorkerError::UnknownTenant(wanted.to_owned())))?;
            Ok(vec![Explained {
                id,
                warehouses: Vec::new(),
                settings: None,
            }])
        }
        (true, None) => Err(WorkerError::NoTenant),
    }
}

fn sentences(
    sku: &Sku,
    stored: Option<&ExplainedLine>,
    (snapshot, own): (&WarehouseSnapshot, Option<Fingerprint>),
    now: AsOf,
    line_ttl: Duration,
) -> Vec<String> {
    let mut said = Vec::new();
    let value = stored.and_then(|line| line.value);
    let is_evidence = |value: &LineValue| snapshot.standing.takes(value.as_of, own);
    let evidence = value.filter(is_evidence);
    match stored {
        None => said.push("no line is stored".to_owned()),
        Some(line) => {
            said.push(format!("stored: {}", shown(&line.text)));
            match &line.value {
                Some(value) => said.push(meaning(value, now)),
                None => said.push("this is no line; the API counts it as unknown".to_owned()),
            }
        }
    }
    if value.is_some() && evidence.is_none() {
        said.push("it was read with other settings; it counts for nothing".to_owned());
    }
    if snapshot.standing.is_of_other_settings(own) {
        said.push("the feed is read with other settings than these".to_owned());
    }
    let feed = &snapshot.standing.under(own);
    said.push(match feed.watermark {
        Some(watermark) => format!(
            "feed: {}, last complete snapshot began {watermark} ({} ago){}",
            feed.state,
            days(watermark.age_at(now)),
            feed.previous_watermark
                .map_or_else(String::new, |previous| format!(
                    ", the one before {previous}"
                ))
        ),
        None => format!("feed: {}, no snapshot was ever complete", feed.state),
    });
    if let Some(reason) = &snapshot.reason {
        said.push(format!(
            "the latest cycle was not complete: {}",
            shown(reason)
        ));
    }
    let is_unreadable = stored.is_some() && value.is_none();
    let state = if is_unreadable {
        StockState::Unknown
    } else {
        judge(evidence.as_ref(), feed, now, line_ttl)
            .believed_of(sku)
            .state
    };
    said.push(format!(
        "state: {}, because {}",
        state.as_str(),
        why(state, evidence.as_ref(), feed)
    ));
    said
}

fn meaning(value: &LineValue, now: AsOf) -> String {
    let age = days(value.as_of.age_at(now));
    match &value.content {
        LineContent::Quantities(q) => format!(
            "available {}, on hand {}, reserved {}, ordered {}; read from D365 at {} ({age} ago) by {}",
            q.available, q.on_hand, q.reserved, q.ordered, value.as_of, value.origin
        ),
        LineContent::Absent => format!(
            "D365 was asked at {} ({age} ago) and had no row for it",
            value.as_of
        ),
    }
}

fn why(state: StockState, line: Option<&LineValue>, feed: &FeedStanding) -> &'static str {
    match (state, line) {
        (StockState::Present, _) if feed.watermark.is_none() => {
            "D365 reported it, and no complete snapshot has missed it"
        }
        (StockState::Present, _) => "it was read in the last complete snapshot or later",
        (StockState::Suspect, _) => {
            "the last complete snapshot did not show it; one more that misses it proves it absent"
        }
        (
            StockState::Absent,
            Some(LineValue {
                content: LineContent::Absent,
                ..
            }),
        ) => "a live answer had no row for it",
        (StockState::Absent, Some(_)) => "two complete snapshots did not show it",
        (StockState::Absent, None) => "a complete snapshot did not show it and no line is known",
        (StockState::Unknown, Some(_)) => {
            "D365 may know it in another spelling: outside ASCII its absence cannot be proved"
        }
        (StockState::Unknown, _) if feed.watermark.is_none() => {
            "no complete snapshot has looked for it"
        }
        (StockState::Unknown, _) => "there is no proof that is young enough",
    }
}

fn days(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How redis-cli gets to the same Redis. A password is asked for, never shown.
fn redis_cli(redis: &RedisSettings) -> String {
    let mut command = format!("redis-cli -u {}", quoted(redis.url.as_str()));
    if let Some(file) = &redis.ca_file {
        command = format!("{command} --cacert {}", quoted(&file.display().to_string()));
    }
    if let Some(user) = &redis.username {
        command = format!("{command} --user {}", quoted(user));
    }
    if redis.password.is_some() {
        command.push_str(" --askpass");
    }
    command
}
