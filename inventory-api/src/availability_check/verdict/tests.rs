use super::*;
use crate::stock::evidence::Source;
use shared::stock::{AsOf, Judged, Quantities, UnknownProductPolicy};

fn at(seconds: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap()
}

fn evidence(state: StockState, available: &str, read_at: i64, source: Source) -> Evidence {
    let quantities =
        matches!(state, StockState::Present | StockState::Suspect).then(|| Quantities {
            available: available.parse().unwrap(),
            ..Quantities::default()
        });
    Evidence {
        judged: Judged {
            state,
            quantities,
            as_of: Some(at(read_at)),
        },
        source,
        held: Quantity::ZERO,
    }
}

fn live(available: &str) -> Evidence {
    evidence(StockState::Present, available, 100, Source::Live)
}

fn cached(available: &str, read_at: i64) -> Evidence {
    evidence(StockState::Present, available, read_at, Source::Cache)
}

fn granted(
    requested: &str,
    evidence: &[Evidence],
    is_answered: bool,
    policy: &ChannelPolicy,
    fallback: Fallback,
) -> String {
    let rules = Rules {
        policy,
        fallback,
        freshness: Freshness {
            now: at(100),
            stale_after: Duration::from_mins(30),
        },
    };
    let verdict = decide(requested.parse().unwrap(), evidence, is_answered, rules);
    assert_eq!(verdict.by == DecidedBy::Live, is_answered);
    assert_eq!(verdict.is_orderable(), verdict.granted == verdict.requested);
    verdict.granted.to_string()
}

#[test]
fn a_live_answer_grants_up_to_what_is_there() {
    let gone = || vec![evidence(StockState::Absent, "0", 100, Source::Live)];
    let plain = ChannelPolicy::default();
    let buffered = ChannelPolicy {
        buffer: Quantity::from(2),
        ..plain
    };
    let selling = ChannelPolicy {
        unknown_product: UnknownProductPolicy::Unspecified,
        ..plain
    };
    for (policy, requested, stock, expected) in [
        (&plain, "5", vec![live("112")], "5"),
        (&plain, "5", vec![live("3")], "3"),
        (&plain, "0.5", vec![live("0.25")], "0.25"),
        (&plain, "5", vec![live("-3")], "0"),
        (&plain, "5", vec![live("5")], "5"),
        (&plain, "5", gone(), "0"),
        (&selling, "5", gone(), "5"),
        // The buffer is held back per warehouse, each is clamped before they are added.
        (&buffered, "10", vec![live("5"), live("1"), live("-9")], "3"),
    ] {
        let found = granted(requested, &stock, true, policy, Fallback::Accept);
        assert_eq!(found, expected, "{requested} of {stock:?}");
    }
}

#[test]
fn without_a_live_answer_the_fallback_decides() {
    let policy = ChannelPolicy::default();
    let of = |state| evidence(state, "50", 90, Source::Cache);
    let fresh = Fallback::AcceptIfFresh {
        max_age: Duration::from_secs(30),
        buffer: Quantity::from(10),
    };
    for (fallback, stock, expected) in [
        (Fallback::Reject, vec![cached("50", 90)], "0"),
        (Fallback::Fail, vec![cached("50", 90)], "0"),
        (Fallback::Cache, vec![cached("50", -9_000)], "5"),
        (Fallback::Cache, vec![cached("3", 90)], "3"),
        (Fallback::Cache, vec![Evidence::NONE], "0"),
        (Fallback::Accept, vec![Evidence::NONE], "5"),
        (Fallback::Accept, vec![cached("0", 90)], "5"),
        (fresh, vec![cached("15", 70)], "5"),
        (fresh, vec![cached("15", 69)], "0"),
        (fresh, vec![cached("13", 90)], "3"),
        (fresh, vec![cached("8", 90)], "0"),
        (fresh, vec![cached("8", 90), cached("7", 90)], "5"),
        (fresh, vec![cached("8", 90), cached("7", 10)], "0"),
        (fresh, vec![of(StockState::Suspect)], "0"),
        (fresh, vec![of(StockState::Absent)], "0"),
        (fresh, vec![Evidence::NONE], "0"),
    ] {
        let found = granted("5", &stock, false, &policy, fallback);
        assert_eq!(found, expected, "{fallback:?} {stock:?}");
    }
}

#[test]
fn the_callers_word_goes_before_the_channels_policy() {
    let policy = ChannelPolicy {
        live_failure: LiveFailurePolicy::Accept,
        ..ChannelPolicy::default()
    };
    for (asked, expected) in [
        (Some(OnLiveFailure::Fail), "fail"),
        (Some(OnLiveFailure::Cache), "cache"),
        (None, "accept"),
    ] {
        assert_eq!(Fallback::of(asked, &policy).as_str(), expected);
    }
    let default = Fallback::of(None, &ChannelPolicy::default());
    assert_eq!((default.as_str(), default.is_refusal()), ("reject", true));
}
