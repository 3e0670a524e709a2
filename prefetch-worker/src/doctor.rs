//! `check`: is everything right? Each finding names what was looked at, what was found, and the
//! setting to touch.

use crate::error::WorkerError;
use crate::settings_change;
use crate::state::{TenantFeed, Worker};
use futures_util::StreamExt;
use shared::d365::{D365Error, PageItem, PageQuery, PageStart};
use shared::process::clock::Clock as _;
use shared::process::shutdown::Shutdown;
use shared::settings::Settings;
use shared::stock::{SkuMapping, WarehouseId};
use std::io::Write as _;
use std::process::ExitCode;

enum Finding {
    Good(String),
    Warning(String),
    Bad {
        problem: String,
        setting: &'static str,
    },
}

/// Looks at everything the worker needs and prints what it found; 0 if nothing is bad.
pub(crate) async fn check(settings: &Settings) -> Result<ExitCode, WorkerError> {
    let worker = Worker::build(settings, Shutdown::new())?;
    let mut report = Report::default();
    report.note(
        "settings",
        Finding::Good(format!("{} tenants", worker.feeds.len())),
    )?;
    let callers = match settings.check_authentication() {
        Ok(()) if settings.api.auth.insecure_no_authentication => {
            Finding::Warning("callers are not authenticated".to_owned())
        }
        Ok(()) => Finding::Good("known callers only".to_owned()),
        Err(cause) => Finding::Bad {
            problem: cause.problem,
            setting: "api.auth",
        },
    };
    report.note("callers", callers)?;
    redis(&worker, &mut report).await?;
    for feed in worker.feeds.iter() {
        // A Redis that cannot be asked has been told above.
        if let Ok(difference) = settings_change::difference(&worker, feed).await {
            let same = || Finding::Good("what is stored was read with these".to_owned());
            let finding = difference.map_or_else(same, Finding::Warning);
            report.note(&format!("{} settings", feed.id()), finding)?;
        }
        tenant(feed, &mut report).await?;
    }
    Ok(report.end())
}

#[derive(Default)]
struct Report {
    has_bad: bool,
}

impl Report {
    fn note(&mut self, what: &str, finding: Finding) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match finding {
            Finding::Good(found) => writeln!(out, "good     {what}: {found}"),
            Finding::Warning(found) => writeln!(out, "warning  {what}: {found}"),
            Finding::Bad { problem, setting } => {
                self.has_bad = true;
                writeln!(
                    out,
                    "BAD      {what}: {problem}\n         look at: {setting}"
                )
            }
        }
    }

    fn end(&self) -> ExitCode {
        if self.has_bad {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

async fn redis(worker: &Worker, report: &mut Report) -> Result<(), WorkerError> {
    if let Err(error) = worker.clock().sample().await {
        let problem = error.to_string();
        report.note(
            "redis",
            Finding::Bad {
                problem,
                setting: "redis.url, redis.username, redis.password",
            },
        )?;
        return Ok(());
    }
    report.note(
        "redis clock",
        Finding::Good(worker.clock().now().to_string()),
    )?;
    match worker.store.server_facts().await {
        Ok(facts) => {
            report.note("redis version", Finding::Good(facts.version))?;
            let role = if facts.role == "master" {
                Finding::Good(facts.role)
            } else {
                Finding::Bad {
                    problem: format!("this server is a {}; writes are refused", facts.role),
                    setting: "redis.url (the primary's address)",
                }
            };
            report.note("redis role", role)?;
            let eviction = if matches!(
                facts.eviction_policy.as_str(),
                "noeviction" | "volatile-ttl"
            ) {
                Finding::Good(facts.eviction_policy)
            } else {
                Finding::Warning(format!(
                    "{}: a full Redis drops lines, and what is dropped counts as absent; use noeviction and enough memory",
                    facts.eviction_policy
                ))
            };
            report.note("redis eviction", eviction)?;
        }
        Err(error) => report.note(
            "redis facts",
            Finding::Warning(format!("INFO is not allowed for this user ({error})")),
        )?,
    }
    for feed in worker.feeds.iter() {
        let wrote = worker
            .store
            .publish(&shared::redis_store::PublishedTenant::of(&feed.settings))
            .await;
        let finding = match wrote {
            Ok(()) => Finding::Good("the configuration was published".to_owned()),
            Err(error) => Finding::Bad {
                problem: error.to_string(),
                setting: "redis.username and its ACL",
            },
        };
        report.note(&format!("redis write for {}", feed.id()), finding)?;
    }
    Ok(())
}

async fn tenant(feed: &TenantFeed, report: &mut Report) -> Result<(), WorkerError> {
    let id = feed.id();
    match feed.source.warehouses().await {
        Ok(known) => {
            report.note(
                &format!("{id} sign-in and company"),
                Finding::Good(format!(
                    "{} warehouses in {}",
                    known.len(),
                    feed.settings.legal_entity
                )),
            )?;
            for warehouse in &feed.settings.warehouses {
                let finding = known_or_not(warehouse, &known);
                report.note(&format!("{id} warehouse {warehouse}"), finding)?;
            }
        }
        Err(error) => {
            let setting = setting_for(&error);
            let problem = error.to_string();
            report.note(
                &format!("{id} sign-in and company"),
                Finding::Bad { problem, setting },
            )?;
            return Ok(());
        }
    }
    for warehouse in &feed.settings.warehouses {
        let finding = first_row(feed, warehouse).await;
        report.note(&format!("{id} on-hand rows of {warehouse}"), finding)?;
    }
    if feed.settings.sku_mapping == SkuMapping::Variants {
        let question = shared::d365::VariantQuestion::All;
        let finding = match feed.source.variants(&question).await {
            Ok(variants) => Finding::Good(format!("{} released variants", variants.len())),
            Err(error) => Finding::Bad {
                problem: error.to_string(),
                setting: "tenants.variants_entity, tenants.sku_mapping",
            },
        };
        report.note(&format!("{id} variants"), finding)?;
    }
    Ok(())
}

fn known_or_not(warehouse: &WarehouseId, known: &[WarehouseId]) -> Finding {
    if known.contains(warehouse) {
        return Finding::Good("known to D365".to_owned());
    }
    let wanted = warehouse.as_str().to_lowercase();
    let alike = known
        .iter()
        .find(|other| other.as_str().to_lowercase() == wanted);
    let problem = match alike {
        Some(alike) => format!("D365 writes it {alike}; ids are compared exactly"),
        None => "D365 does not know it in this legal entity; it would answer nothing".to_owned(),
    };
    Finding::Bad {
        problem,
        setting: "tenants.warehouses, tenants.legal_entity",
    }
}

async fn first_row(feed: &TenantFeed, warehouse: &WarehouseId) -> Finding {
    let query = PageQuery {
        warehouse: warehouse.clone(),
        start: PageStart::First,
        up_to: None,
        page_size: 1,
    };
    let read = async {
        let mut page = feed.source.read_page(&query).await?;
        let mut first = None;
        while let Some(piece) = page.items.next().await {
            match piece? {
                PageItem::Rows(rows) => first = first.or_else(|| rows.into_iter().next()),
                PageItem::End(end) => return Ok((first, end.dropped_rows)),
            }
        }
        Err(D365Error::BadAnswer {
            problem: "the page ended before its end".to_owned(),
        })
    };
    match read.await {
        Ok((Some(row), 0)) => Finding::Good(format!("readable, the first item is {:?}", row.item)),
        Ok((None, 0)) => Finding::Warning("there are none".to_owned()),
        Ok((_, _dropped)) => Finding::Bad {
            problem: "rows of another company or warehouse came back".to_owned(),
            setting: "tenants.legal_entity, tenants.warehouses",
        },
        Err(error) => Finding::Bad {
            setting: setting_for(&error),
            problem: error.to_string(),
        },
    }
}

fn setting_for(error: &D365Error) -> &'static str {
    match error {
        D365Error::Token { .. } => "tenants.entra (tenant_id, client_id, credential)",
        D365Error::Status { status: 401, .. } => {
            "tenants.environment_url and the client id in D365's form Microsoft Entra applications"
        }
        D365Error::Status { status: 403, .. } => {
            "the security roles of the D365 user behind the client id"
        }
        D365Error::Status { status: 404, .. } => "tenants.entity, tenants.warehouses_entity",
        D365Error::Status { status: 400, .. } => "tenants.fields, tenants.entity",
        _ => "tenants.environment_url",
    }
}
