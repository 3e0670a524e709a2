use super::*;
use shared::stock::{Judged, UnknownProductPolicy};

fn at(seconds: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap()
}

const FRESHNESS: fn() -> Freshness = || Freshness {
    now: at(100),
    stale_after: Duration::from_mins(1),
};

fn with_number(state: StockState, available: &str, read_at: i64, source: Source) -> Evidence {
    Evidence {
        judged: Judged {
            state,
            quantities: Some(Quantities {
                available: available.parse().unwrap(),
                on_hand: available.parse().unwrap(),
                ..Quantities::default()
            }),
            as_of: Some(at(read_at)),
        },
        source,
        held: Quantity::ZERO,
    }
}

fn present(available: &str, read_at: i64) -> Evidence {
    with_number(StockState::Present, available, read_at, Source::Cache)
}

fn absent(read_at: i64) -> Evidence {
    Evidence {
        judged: Judged {
            state: StockState::Absent,
            quantities: None,
            as_of: Some(at(read_at)),
        },
        source: Source::Cache,
        held: Quantity::ZERO,
    }
}

fn unspecified() -> ChannelPolicy {
    ChannelPolicy {
        unknown_product: UnknownProductPolicy::Unspecified,
        ..ChannelPolicy::default()
    }
}

#[test]
fn one_warehouse_is_told_with_its_buffer_held_back_and_never_negative() {
    let policy = ChannelPolicy {
        buffer: Quantity::from(2),
        ..ChannelPolicy::default()
    };
    for (available, shown, in_stock) in [
        ("112", "110", true),
        ("2.5", "0.5", true),
        ("2", "0", false),
        ("-3", "0", false),
    ] {
        let found = Availability::of_warehouse(&present(available, 90), &policy, FRESHNESS());
        assert_eq!(found.shown_offer(&policy).number().to_string(), shown);
        assert_eq!(found.offer.is_in_stock(), in_stock);
        assert_eq!(found.quantities.unwrap().on_hand.to_string(), available);
    }
}

#[test]
fn absent_and_unknown_are_told_as_the_channel_wants_and_never_as_a_number() {
    for evidence in [absent(90), Evidence::NONE] {
        let found = Availability::of_warehouse(&evidence, &ChannelPolicy::default(), FRESHNESS());
        assert_eq!(found.offer, Offer::Amount(Quantity::ZERO));
        assert!(!found.is_found());
        let found = Availability::of_warehouse(&evidence, &unspecified(), FRESHNESS());
        assert_eq!(found.offer, Offer::Unspecified);
        assert_eq!(found.offer.number(), Quantity::from(-1));
        assert!(found.offer.is_in_stock());
    }
}

#[test]
fn a_hidden_number_is_minus_one_while_there_is_some() {
    let policy = ChannelPolicy {
        display: QuantityDisplay::Hidden,
        ..ChannelPolicy::default()
    };
    for (available, shown) in [("7", "-1"), ("0", "0"), ("-7", "0")] {
        let found = Availability::of_warehouse(&present(available, 90), &policy, FRESHNESS());
        assert_eq!(found.shown_offer(&policy).number().to_string(), shown);
    }
}

#[test]
fn a_number_is_stale_past_its_limit_unless_it_is_live() {
    let limit_hit = |read_at, source| {
        let evidence = with_number(StockState::Present, "1", read_at, source);
        Availability::of_warehouse(&evidence, &ChannelPolicy::default(), FRESHNESS()).is_stale
    };
    assert!(!limit_hit(40, Source::Cache));
    assert!(limit_hit(39, Source::Cache));
    assert!(!limit_hit(39, Source::Live));
    let policy = ChannelPolicy::default();
    assert!(Availability::of_warehouse(&Evidence::NONE, &policy, FRESHNESS()).is_stale);
}

#[test]
fn several_warehouses_have_the_state_of_their_best_evidence() {
    let suspect = with_number(StockState::Suspect, "1", 90, Source::Cache);
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
        let found =
            Availability::across_warehouses(&evidence, &ChannelPolicy::default(), FRESHNESS());
        assert_eq!(found.state, expected, "{evidence:?}");
        assert_eq!(found.as_of.is_none(), expected == StockState::Unknown);
    }
}

#[test]
fn several_warehouses_are_clamped_before_they_are_added_and_as_old_as_the_oldest() {
    let evidence = [
        present("-5", 80),
        present("3.5", 70),
        absent(75),
        Evidence::NONE,
    ];
    let found = Availability::across_warehouses(&evidence, &ChannelPolicy::default(), FRESHNESS());
    assert_eq!(found.offer, Offer::Amount("3.5".parse().unwrap()));
    assert_eq!(found.as_of, Some(at(70)));
    assert_eq!(found.quantities.unwrap().on_hand.to_string(), "-1.5");
}

#[test]
fn several_warehouses_are_live_only_together() {
    let live = with_number(StockState::Present, "3", 99, Source::Live);
    let policy = ChannelPolicy::default();
    let source = |evidence: &[Evidence]| {
        Availability::across_warehouses(evidence, &policy, FRESHNESS()).source
    };
    assert_eq!(source(&[live, live]), Source::Live);
    assert_eq!(source(&[live, present("1", 90)]), Source::Cache);
}

#[test]
fn an_amount_that_is_left_open_somewhere_is_left_open_in_the_sum_only_if_that_is_zero() {
    let found = Availability::across_warehouses(
        &[present("0", 90), absent(90)],
        &unspecified(),
        FRESHNESS(),
    );
    assert_eq!(found.offer, Offer::Unspecified);
    let found = Availability::across_warehouses(
        &[present("4", 90), absent(90)],
        &unspecified(),
        FRESHNESS(),
    );
    assert_eq!(found.offer, Offer::Amount(Quantity::from(4)));
}

#[test]
fn a_sum_beyond_the_number_range_is_left_open_instead_of_wrong() {
    let most = "79228162514264337593543950335";
    let evidence = [present(most, 90), present(most, 90)];
    let found = Availability::across_warehouses(&evidence, &ChannelPolicy::default(), FRESHNESS());
    assert_eq!((found.offer, found.quantities), (Offer::Unspecified, None));
}
