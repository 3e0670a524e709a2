use super::*;
use shared::stock::{Judged, UnknownProductPolicy};

const FRESHNESS: fn() -> Freshness = || Freshness {
    now: at(100),
    stale_after: Duration::from_mins(1),
};

fn at(seconds: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap()
}

fn number(state: StockState, available: &str, read_at: i64, source: Source) -> Evidence {
    let available: Quantity = available.parse().unwrap();
    Evidence {
        judged: Judged {
            state,
            quantities: Some(Quantities {
                available,
                on_hand: available,
                ..Quantities::default()
            }),
            as_of: Some(at(read_at)),
        },
        source,
        held: Quantity::ZERO,
    }
}

fn present(available: &str, read_at: i64) -> Evidence {
    number(StockState::Present, available, read_at, Source::Cache)
}

fn absent(read_at: i64) -> Evidence {
    let mut evidence = number(StockState::Absent, "0", read_at, Source::Cache);
    evidence.judged.quantities = None;
    evidence
}

fn unspecified() -> ChannelPolicy {
    ChannelPolicy {
        unknown_product: UnknownProductPolicy::Unspecified,
        ..ChannelPolicy::default()
    }
}

fn one(evidence: &Evidence, policy: &ChannelPolicy) -> Availability {
    Availability::of_warehouse(evidence, policy, FRESHNESS())
}

fn several(evidence: &[Evidence]) -> Availability {
    Availability::across_warehouses(evidence, &ChannelPolicy::default(), FRESHNESS())
}

#[test]
fn one_warehouse_offers_what_the_channel_lets_it() {
    let buffered = ChannelPolicy {
        buffer: Quantity::from(2),
        ..ChannelPolicy::default()
    };
    let hidden = ChannelPolicy {
        display: QuantityDisplay::Hidden,
        ..ChannelPolicy::default()
    };
    for (policy, available, shown) in [
        (&buffered, "112", "110"),
        (&buffered, "2.5", "0.5"),
        (&buffered, "2", "0"),
        (&buffered, "-3", "0"),
        (&hidden, "7", "-1"),
        (&hidden, "0", "0"),
        (&hidden, "-7", "0"),
    ] {
        let found = one(&present(available, 90), policy);
        assert_eq!(found.shown_offer(policy).number().to_string(), shown);
        assert_eq!(found.offer.is_in_stock(), shown != "0");
        assert_eq!(found.quantities.unwrap().on_hand.to_string(), available);
    }
}

#[test]
fn absent_and_unknown_are_as_the_channel_wants_and_never_a_number() {
    for evidence in [absent(90), Evidence::NONE] {
        let found = one(&evidence, &ChannelPolicy::default());
        assert_eq!(
            (found.offer, found.is_found()),
            (Offer::Amount(Quantity::ZERO), false)
        );
        let found = one(&evidence, &unspecified());
        assert_eq!(
            (found.offer, found.offer.is_in_stock()),
            (Offer::Unspecified, true)
        );
        assert_eq!(found.offer.number(), Quantity::from(-1));
    }
}

#[test]
fn a_number_is_stale_past_its_limit_unless_it_is_live() {
    for (evidence, expected) in [
        (present("1", 40), false),
        (present("1", 39), true),
        (number(StockState::Present, "1", 39, Source::Live), false),
        (Evidence::NONE, true),
    ] {
        let found = one(&evidence, &ChannelPolicy::default());
        assert_eq!(found.is_stale, expected, "{evidence:?}");
    }
}

#[test]
fn several_warehouses_have_the_state_of_their_best_evidence() {
    let suspect = number(StockState::Suspect, "1", 90, Source::Cache);
    for (evidence, expected) in [
        (vec![present("1", 90), Evidence::NONE], StockState::Present),
        (vec![suspect, present("0", 90)], StockState::Present),
        (
            vec![absent(90), suspect, Evidence::NONE],
            StockState::Suspect,
        ),
        (vec![absent(90), Evidence::NONE], StockState::Unknown),
        (vec![Evidence::NONE, Evidence::NONE], StockState::Unknown),
        (vec![absent(90), absent(80)], StockState::Absent),
    ] {
        let found = several(&evidence);
        assert_eq!(found.state, expected, "{evidence:?}");
        assert_eq!(found.as_of.is_none(), expected == StockState::Unknown);
    }
}

#[test]
fn several_warehouses_are_clamped_before_they_are_added_as_old_as_the_oldest_and_live_only_together()
 {
    let found = several(&[
        present("-5", 80),
        present("3.5", 70),
        absent(75),
        Evidence::NONE,
    ]);
    assert_eq!(found.offer, Offer::Amount("3.5".parse().unwrap()));
    assert_eq!(found.as_of, Some(at(70)));
    assert_eq!(found.quantities.unwrap().on_hand.to_string(), "-1.5");
    let live = number(StockState::Present, "3", 99, Source::Live);
    assert_eq!(several(&[live, live]).source, Source::Live);
    assert_eq!(several(&[live, present("1", 90)]).source, Source::Cache);
}

#[test]
fn a_sum_is_left_open_where_it_is_zero_and_open_somewhere_or_beyond_the_number_range() {
    let offer = |amount| {
        let evidence = [present(amount, 90), absent(90)];
        Availability::across_warehouses(&evidence, &unspecified(), FRESHNESS()).offer
    };
    assert_eq!(offer("0"), Offer::Unspecified);
    assert_eq!(offer("4"), Offer::Amount(Quantity::from(4)));
    let most = present("79228162514264337593543950335", 90);
    let found = several(&[most, most]);
    assert_eq!((found.offer, found.quantities), (Offer::Unspecified, None));
}
