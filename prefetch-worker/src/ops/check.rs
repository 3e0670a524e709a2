//! `check`: is everything right? Each finding names what was looked at, what was found, and the
//! setting to touch. Changes nothing in Redis and D365, also when it is killed half-way.

use crate::error::WorkerError;
use crate::scheduler::settings_change::{self, Compared};
use crate::worker::{TenantFeed, Worker};
use shared::d365::{D365Error, PageQuery, PageStart, VariantQuestion};
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
    let tenants = format!("{} tenants", worker.feeds.len());
    report.note("settings", good(tenants))?;
    let callers = match settings.check_authentication() {
        Ok(()) if settings.api.auth.insecure_no_authentication => {
            Finding::Warning("callers are not authenticated".to_owned())
        }
        Ok(()) => good("known callers only"),
        Err(cause) => bad(cause.problem, "api.auth"),
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
                Compared::Same => good("what is stored was read with these"),
                Compared::Different(how) => Finding::Warning(how),
            };
            report.note(&format!("{} settings", feed.id()), finding)?;
        }
        tenant(feed, &mut report).await?;
    }
    Ok(report.end())
}

fn good(found: impl Into<String>) -> Finding {
    Finding::Good(found.into())
}

fn bad(problem: impl Into<String>, setting: &'static str) -> Finding {
    let problem = problem.into();
    Finding::Bad { problem, setting }
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
        let setting = "redis.url, redis.username, redis.password";
        report.note("redis", bad(error.to_string(), setting))?;
        return Ok(());
    }
    report.note("redis clock", good(worker.clock().now().to_string()))?;
    match worker.store.server_facts().await {
        Ok(facts) => {
            report.note("redis version", good(facts.version))?;
            let role = if facts.role == "master" {
                good(facts.role)
            } else {
                let problem = format!("this server is a {}; writes are refused", facts.role);
                bad(problem, "redis.url (the primary's address)")
            };
            report.note("redis role", role)?;
            let policy = facts.eviction_policy;
            let eviction = if matches!(policy.as_str(), "noeviction" | "volatile-ttl") {
                good(policy)
            } else {
                Finding::Warning(format!(
                    "{policy}: a full Redis drops lines, and what is dropped counts as absent; use noeviction and enough memory"
                ))
            };
            report.note("redis eviction", eviction)?;
        }
        Err(error) => {
            let problem = format!("INFO is not allowed for this user ({error})");
            report.note("redis facts", Finding::Warning(problem))?;
        }
    }
    for feed in worker.feeds.iter() {
        let setting = "redis.username and its ACL; Redis' own memory, disk and replicas";
        let finding = match worker.store.check_writing(feed.id()).await {
            Ok(()) => good("this user may write; nothing was written"),
            Err(error) => bad(error.to_string(), setting),
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
    let (id, company) = (feed.id(), &feed.settings.legal_entity);
    let what = format!("{id} sign-in and company");
    let known = match answered(&what, feed.source.warehouses()).await {
        Ok(known) if known.is_empty() => {
            let problem = format!(
                "D365 shows no warehouse in legal entity {company}: it does not exist, or this user may not see it"
            );
            let setting = "tenants.legal_entity, and the security roles of the D365 user";
            return report.note(&what, bad(problem, setting));
        }
        Ok(known) => known,
        Err(error) => return report.note(&what, failure(&error)),
    };
    report.note(
        &what,
        good(format!("{} warehouses in {company}", known.len())),
    )?;
    for warehouse in &feed.settings.warehouses {
        let finding = if known.contains(warehouse) {
            good("known to D365")
        } else {
            let problem = "D365 does not know it in this legal entity; it would answer nothing";
            bad(problem, "tenants.warehouses, tenants.legal_entity")
        };
        report.note(&format!("{id} warehouse {warehouse}"), finding)?;
    }
    for warehouse in &feed.settings.warehouses {
        let what = format!("{id} on-hand rows of {warehouse}");
        let finding = first_row(feed, warehouse, &what).await;
        report.note(&what, finding)?;
    }
    if feed.settings.sku_mapping == SkuMapping::Variants {
        let what = format!("{id} variants");
        let question = VariantQuestion::All;
        let finding = match answered(&what, feed.source.variants(&question)).await {
            Ok(variants) if variants.is_empty() => {
                let problem = "D365 shows no released variant: no row would get a SKU";
                bad(problem, VARIANTS)
            }
            Ok(variants) => good(format!("{} released variants", variants.len())),
            Err(D365Error::Status {
                status: 400 | 404, ..
            }) => bad("D365 knows no such entity", VARIANTS),
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
        error => bad(error.to_string(), setting_for(error)),
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
        Ok((Some(row), 0)) => good(format!("readable, the first item is {:?}", row.item)),
        Ok((None, 0)) => Finding::Warning(
            "there are none; a warehouse without rows is quarantined until somebody accepts it"
                .to_owned(),
        ),
        Ok((_, _dropped)) => bad(
            "rows of another company or warehouse came back",
            "tenants.legal_entity, tenants.warehouses",
        ),
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
