//! JSON out. Field names, their order and the words are contract.

use super::verdict::{DecidedBy, Fallback, Verdict};
use crate::http::asked_skus::AskedSkus;
use crate::live::write_through::WriteThrough;
use crate::stock::availability::Offer;
use crate::stock::evidence::Evidence;
use crate::stock::feed::Feed;
use crate::stock::number::{Instant, Number};
use crate::stock::wire::{
    FeedMeta, Line, LiveMeta, PolicyEvidence, ReplyContext, WarehouseFeed, whole_seconds,
};
use serde::Serialize;
use shared::http::feedback::Problem;
use shared::stock::{AsOf, HoldOwner};
use utoipa::ToSchema;

/// The answer to an order's question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CheckReply<'a> {
    /// Whether the whole order may be accepted.
    pub orderable: bool,
    /// Whether not all of it, but some.
    pub partial: bool,
    /// The policy in force where D365 does not answer; `basis` says where it was used. `fail` and `cache`
    /// are the caller's, the others the channel's.
    #[schema(pattern = "^(fail|reject|cache|accept-if-fresh|accept)$")]
    pub policy: &'static str,
    /// What is held for the order, if it was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order: Option<HoldReply>,
    /// What is held for the reservation, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reservation: Option<HoldReply>,
    /// One entry per distinct SKU, in the order of first mention.
    #[schema(min_items = 1)]
    pub data: Vec<Line<'a>>,
    /// The short lines. The check itself succeeded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Problem>,
    /// Hints: which products have no number and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub infos: Vec<Problem>,
    /// About the check as a whole.
    pub meta: CheckMeta<'a>,
}

/// About the check as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckMeta<'a> {
    #[serde(flatten)]
    pub live: LiveMeta,
    #[serde(flatten)]
    pub feed: FeedMeta,
    /// The feed of each warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub warehouses: Vec<WarehouseFeed<'a>>,
}

/// What became of the hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HoldWord {
    /// All lines are held.
    Held,
    /// The same lines were held before.
    Repeated,
    /// Not all lines may be sold, so none is held.
    NothingToHold,
    /// Not all lines may be sold; what was held for the same id before still is.
    Kept,
    /// The cache did not take it, or did not say so in time: others may be granted the same stock.
    NotStored,
}

/// What is held for an order or reservation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HoldReply {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub hold: HoldWord,
    /// Until when it is held at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Instant>,
}

/// Everything a reply is made of.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    /// As the caller spells them.
    pub skus: &'a AskedSkus,
    /// Of each spelling: what was decided, and what is known in all warehouses.
    pub lines: &'a [(Verdict, &'a [Evidence])],
    /// In the order of the warehouses; empty if the cache was not reachable.
    pub feeds: &'a [Feed],
    /// What is done where D365 did not answer.
    pub fallback: Fallback,
    /// Why some of it is not live.
    pub live_failure: Option<&'static str>,
    /// None if there were no live answers.
    pub write_through: Option<WriteThrough>,
    /// For whom stock was to be held, and what became of it.
    pub hold: Option<(&'a HoldOwner, HoldWord, Option<AsOf>)>,
}

impl<'a> CheckReply<'a> {
    /// Puts a reply together.
    pub(crate) fn of(checked: &Checked<'a>, context: &ReplyContext<'a>) -> Self {
        let (skus, fallback) = (checked.skus, checked.fallback);
        let data = skus.all().iter().zip(checked.lines);
        let data = data.map(|(sku, (verdict, evidence))| {
            line(sku.as_str(), verdict, evidence, fallback, context)
        });
        let verdicts = || checked.lines.iter().map(|(verdict, _)| verdict);
        let shortages = verdicts().enumerate().filter(|(_, of)| !of.is_orderable());
        let hint = |(number, verdict): (usize, &Verdict)| {
            let sku = skus.all()[number].as_str();
            context.hint(&verdict.availability, sku, || skus.path(number))
        };
        let orderable = verdicts().all(Verdict::is_orderable);
        let is_not_held = matches!(checked.hold, Some((_, HoldWord::NotStored, _)));
        Self {
            orderable,
            partial: !orderable && verdicts().any(|verdict| verdict.granted.is_positive()),
            policy: fallback.as_str(),
            order: hold_reply(checked, |owner| matches!(owner, HoldOwner::Order(_))),
            reservation: hold_reply(checked, |owner| matches!(owner, HoldOwner::Reservation(_))),
            data: data.collect(),
            errors: shortages
                .map(|(number, verdict)| shortage(skus, number, verdict))
                .collect(),
            infos: verdicts().enumerate().filter_map(hint).collect(),
            meta: CheckMeta {
                live: LiveMeta {
                    // Without the cache nobody knows what other orders hold.
                    degraded: checked.live_failure.is_some()
                        || checked.feeds.is_empty()
                        || is_not_held,
                    live_failure: checked.live_failure,
                    write_through: checked.write_through,
                },
                feed: context.feed_meta(checked.feeds),
                warehouses: context.warehouse_feeds(checked.feeds),
            },
        }
    }
}

fn hold_reply(checked: &Checked<'_>, is_it: impl Fn(&HoldOwner) -> bool) -> Option<HoldReply> {
    let (owner, hold, until) = checked.hold.filter(|(owner, ..)| is_it(owner))?;
    Some(HoldReply {
        id: owner.id().to_string(),
        hold,
        until: until.map(Instant),
    })
}

fn line<'a>(
    sku: &'a str,
    verdict: &Verdict,
    evidence: &[Evidence],
    fallback: Fallback,
    context: &ReplyContext<'a>,
) -> Line<'a> {
    let basis = match (verdict.by, fallback) {
        (DecidedBy::Live, _) => "live",
        (DecidedBy::EarlierCheck, _) => "repeated",
        // A check that fails has no lines; were there one, it would be the cache's.
        (DecidedBy::Fallback, Fallback::Fail | Fallback::Reject) => "cache",
        (DecidedBy::Fallback, fallback) => fallback.as_str(),
    };
    let is_without_d365 = verdict.by == DecidedBy::Fallback;
    Line {
        requested: Some(Number(verdict.requested)),
        granted: Some(Number(verdict.granted)),
        orderable: Some(verdict.is_orderable()),
        basis: Some(basis),
        evidence: is_without_d365.then(|| policy_evidence(verdict, fallback, context)),
        on_hand: None,
        reserved: None,
        ordered: None,
        ..context.line(sku, &verdict.availability, evidence)
    }
}

fn policy_evidence(
    verdict: &Verdict,
    fallback: Fallback,
    context: &ReplyContext<'_>,
) -> PolicyEvidence {
    let availability = &verdict.availability;
    let quantity = match availability.offer {
        Offer::Amount(amount) if availability.is_found() => Some(Number(amount)),
        Offer::Amount(_) | Offer::Unspecified => None,
    };
    let (max_age_seconds, buffer) = match fallback {
        Fallback::AcceptIfFresh { max_age, buffer } => {
            (Some(whole_seconds(max_age)), Some(Number(buffer)))
        }
        Fallback::Fail | Fallback::Reject | Fallback::Cache | Fallback::Accept => (None, None),
    };
    PolicyEvidence {
        quantity,
        age_seconds: context.age(availability.as_of),
        max_age_seconds,
        buffer,
    }
}

fn shortage(skus: &AskedSkus, number: usize, verdict: &Verdict) -> Problem {
    let problem = Problem::info(
        "inventory.quantity.insufficient.error",
        "Less than the requested quantity can be sold.",
    );
    problem
        .path(skus.path(number))
        .parameter("sku", &skus.all()[number])
        .parameter("requested", &verdict.requested)
        .parameter("granted", &verdict.granted)
}
