//! `check`: is everything right? Each finding names what was looked at, what was found, and the
//! setting to touch. Changes nothing in Redis and D365, also when it is killed half-way.

use crate::error::WorkerError;
use crate::scheduler::settings_change::{self, Compared};
use crate::worker::{TenantFeed, Worker};
use shared::d365::{D365Error, PageQuery, PageStart};
use shared::process::clock::Clock as _;
use shared::settings::Settings;
use shared::stock::{SkuMapping, WarehouseId};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// How long D365 is silent until a line says what is waited for.
const SILENT: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

enum Finding {
    Good(String),
    Warning(String),
    /// It could not be looked at, or there was nothing to look at.
    Skipped(String),
    Bad {
        problem: String,
        setting: &'static str,
    },
}

/// Looks at everything the worker needs and prints what it found; 0 if nothing is bad.
pub(crate) async fn check(settings: &Settings) -> Result<ExitCode, WorkerError> {
    let worker = Worker::build_read_only(settings)?;
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
        // A Redis that cannot be asked was reported above.
        if let Ok(compared) = settings_change::compared(&worker, feed).await {
            let finding = match compared {
                Compared::NothingStored => {
                    Finding::Skipped("nothing is stored yet to compare them with".to_owned())
                }
                Compared::Same => Finding::Good("what is stored was read with these".to_owned()),
                Compared::Different(how) => Finding::Warning(how),
            };
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
            Finding::Skipped(why) => writeln!(out, "skipped  {what}: {why}"),
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
        let finding = match worker.store.check_writing(feed.id()).await {
            Ok(()) => Finding::Good("this user may write; nothing was written".to_owned()),
            Err(error) => Finding::Bad {
                problem: error.to_string(),
                setting: "redis.username and its ACL; Redis' own memory, disk and replicas",
            },
        };
        report.note(&format!("redis write for {}", feed.id()), finding)?;
    }
    Ok(())
}

/// Waits for D365, and says so.
async fn answered<T>(
    what: &str,
    answer: impl Future<Output = Result<T, D365Error>>,
) -> Result<T, D365Error> {
    let mut answer = std::pin::pin!(answer);
    let mut waited = Duration::ZERO;
    while waited < LONGEST_WAIT {
        if let Ok(answer) = tokio::time::timeout(SILENT, &mut answer).await {
            return answer;
        }
        waited += SILENT;
        // Nobody reads it: then nobody waits either.
        let _ = writeln!(
            std::io::stderr(),
            "waiting for D365: {what}, {} of at most {} s",
            waited.as_secs(),
            LONGEST_WAIT.as_secs()
        );
    }
    Err(D365Error::TimedOut {
        stage: "for as long as a check waits",
        silent_for: waited,
    })
}

async fn tenant(feed: &TenantFeed, report: &mut Report) -> std::io::Result<()> {
    let id = feed.id();
    let what = format!("{id} sign-in and company");
    let known = match answered(&what, feed.source.warehouses()).await {
        Ok(known) if known.is_empty() => {
            let problem = format!(
                "D365 shows no warehouse in legal entity {}: it does not exist, or this user may not see it",
                feed.settings.legal_entity
            );
            let setting = "tenants.legal_entity, and the security roles of the D365 user";
            return report.note(&what, Finding::Bad { problem, setting });
        }
        Ok(known) => known,
        Err(error) => return report.note(&what, failure(&error)),
    };
    let found = format!(
        "{} warehouses in {}",
        known.len(),
        feed.settings.legal_entity
    );
    report.note(&what, Finding::Good(found))?;
    for warehouse in &feed.settings.warehouses {
        let finding = known_or_not(warehouse, &known);
        report.note(&format!("{id} warehouse {warehouse}"), finding)?;
    }
    for warehouse in &feed.settings.warehouses {
        let what = format!("{id} on-hand rows of {warehouse}");
        let finding = first_row(feed, warehouse, &what).await;
        report.note(&what, finding)?;
    }
    if feed.settings.sku_mapping == SkuMapping::Variants {
        let what = format!("{id} variants");
        let question = shared::d365::VariantQuestion::All;
        let finding = match answered(&what, feed.source.variants(&question)).await {
            Ok(variants) if variants.is_empty() => Finding::Bad {
                problem: "D365 shows no released variant: no row would get a SKU".to_owned(),
                setting: VARIANTS,
            },
            Ok(variants) => Finding::Good(format!("{} released variants", variants.len())),
            Err(D365Error::Status {
                status: 400 | 404, ..
            }) => Finding::Bad {
                problem: "D365 knows no such entity".to_owned(),
                setting: VARIANTS,
            },
            Err(error) => failure(&error),
        };
        report.note(&what, finding)?;
    }
    Ok(())
}

const VARIANTS: &str =
    "tenants.variants_entity, tenants.sku_mapping, and the security roles of the D365 user";

/// What D365 asked to wait for is nothing to mend.
fn failure(error: &D365Error) -> Finding {
    match error {
        D365Error::Throttled { retry_after } => Finding::Warning(format!(
            "not looked at: D365 asked this app registration to stay away for another {} s",
            retry_after.as_secs()
        )),
        D365Error::Token { cause, .. } if cause.contains("answered 429") => {
            Finding::Warning(format!(
                "not looked at: Entra ID throttles this app registration ({cause}); check again in a minute"
            ))
        }
        error => Finding::Bad {
            setting: setting_for(error),
            problem: error.to_string(),
        },
    }
}

fn known_or_not(warehouse: &WarehouseId, known: &[WarehouseId]) -> Finding {
    if known.contains(warehouse) {
        return Finding::Good("known to D365".to_owned());
    }
    Finding::Bad {
        problem: "D365 does not know it in this legal entity; it would answer nothing".to_owned(),
        setting: "tenants.warehouses, tenants.legal_entity",
    }
}

async fn first_row(feed: &TenantFeed, warehouse: &WarehouseId, what: &str) -> Finding {
    let query = PageQuery {
        warehouse: warehouse.clone(),
        start: PageStart::First,
        up_to: None,
        page_size: 1,
    };
    let read = async {
        let page = feed.source.read_page(&query).await?;
        Ok((page.rows.into_iter().next(), page.end.dropped_rows))
    };
    match answered(what, read).await {
        Ok((Some(row), 0)) => Finding::Good(format!("readable, the first item is {:?}", row.item)),
        Ok((None, 0)) => Finding::Warning(
            "there are none; a warehouse without rows is quarantined until somebody accepts it"
                .to_owned(),
        ),
        Ok((_, _dropped)) => Finding::Bad {
            problem: "rows of another company or warehouse came back".to_owned(),
            setting: "tenants.legal_entity, tenants.warehouses",
        },
        Err(error) => failure(&error),
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
        D365Error::Status { status: 404, .. } => "tenants.entity",
        D365Error::Status { status: 400, .. } => "tenants.fields, tenants.entity",
        _ => "tenants.environment_url",
    }
}
