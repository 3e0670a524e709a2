//! The rows, by what goes wrong.

mod broken_pages;
mod callers_tokens;
mod calm_base;
mod clock_steps;
mod dead_erp;
mod dead_workers;
mod hostile_callers;
mod hostile_links;
mod hostile_skus;
mod lost_state;
mod moving_rows;
mod racing_writes;
mod rush;
mod secrets;
mod shopping;
mod tenants;
mod throttling;
mod token_endpoint;

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::Rig;
use std::future::Future;
use std::pin::Pin;

type Running = Pin<Box<dyn Future<Output = Result<Outcome, RowError>>>>;

/// A fault and how it is tried.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) fault: &'static str,
    /// Whether it belongs to the rows CI runs.
    pub(crate) quick: bool,
    /// What is switched off for the negative control.
    pub(crate) guard: &'static str,
    pub(crate) run: fn(Rig) -> Running,
}

macro_rules! row {
    ($id:literal, $fault:literal, $quick:literal, $guard:literal, $run:path) => {
        Row {
            id: $id,
            fault: $fault,
            quick: $quick,
            guard: $guard,
            run: |rig| Box::pin($run(rig)),
        }
    };
}

/// All rows in their order.
#[rustfmt::skip]
pub(crate) const ROWS: [Row; 27] = [
    row!("BASE", "nothing goes wrong", false, "Redis 30 ms away", calm_base::measured),
    row!("F1", "slow pages against live write-through", true, "RequestStartStamps", racing_writes::slow_pages),
    row!("F2", "two workers on one part", true, "NewestWins", racing_writes::two_holders),
    row!("F3", "Redis TIME steps back by 30 s, then forward", true, "FutureIsCorrupt", clock_steps::by_30_seconds),
    row!("F7", "Redis restarts empty", true, "AbsenceNeedsProof", lost_state::redis_restarts_empty),
    row!("F8", "a page fails: 500, cut, bad JSON, HTML", true, "Completeness", broken_pages::failing_pages),
    row!("F9", "snapshot empty, halved, of another company, of one warehouse only", true, "Completeness", broken_pages::wrong_snapshots),
    row!("F10", "rows move while paging", false, "offset paging", moving_rows::rows_move),
    row!("F11", "an item's rows straddle pages", true, "HeldBackItems", moving_rows::straddling_items),
    row!("F12", "an item vanishes, then a late page shows it", false, "RequestStartStamps", moving_rows::late_page),
    row!("F13", "429 with seconds, date, nothing, growing; 3 workers", true, "ThrottleGate", throttling::told_to_wait),
    row!("F14", "D365 swallows everything", true, "Breaker", dead_erp::black_hole),
    row!("F15", "D365 trickles, takes 30 s, half-closes", false, "Deadline", dead_erp::trickle),
    row!("F16", "D365 flaps, 10 s on, 10 s off", false, "Pauses", throttling::flapping),
    row!("F17", "1,000 orders at once for one cold SKU", true, "SharedQuestions", rush::one_cold_sku),
    row!("F19", "schedule, leases, cycles, markers evicted", false, "ScheduleRebuilt", lost_state::evicted_keys),
    row!("F21", "a worker is killed mid-cycle, another at its begin", true, "LeasesEnd", dead_workers::killed),
    row!("F22", "a worker is paused, then goes on", false, "RequestStartStamps", dead_workers::paused),
    row!("F23", "all workers dead", true, "ReaderJudgesAge", dead_workers::all_dead),
    row!("F25", "D365's token revoked, its endpoint slow, then down", true, "TokenPauses", token_endpoint::revoked_slow_down),
    row!("F26", "callers' tokens: 400 attacks, 10,000 unknown keys", true, "TokenChecks", callers_tokens::attacked),
    row!("F27", "hostile nextLink: host, port, http, user, circle, endless", true, "LinkOrigin", hostile_links::bent_links),
    row!("F28", "SKU attacks through FAST, EXACT and orders", true, "RowEcho", hostile_skus::tried),
    row!("F29", "oversized, slow and idle callers", false, "limits raised", hostile_callers::greedy),
    row!("F30", "secrets in replies, logs, metrics, errors", false, "a planted secret", secrets::canaries),
    row!("F31", "two tenants, same SKUs and warehouses", false, "TenantsApart", tenants::same_skus),
    row!("F32", "Redis forgets its scripts", true, "ScriptReload", lost_state::scripts_forgotten),
];
