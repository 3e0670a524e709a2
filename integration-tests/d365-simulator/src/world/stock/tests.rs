use super::*;

fn at(millis: i64) -> UtcMillis {
    UtcMillis::from_unix_millis(millis)
}

fn key() -> StockKey {
    StockKey::of("usmf", "A", "11")
}

fn available(world: &World, instant: UtcMillis) -> Option<String> {
    let lines = world.truth("usmf", Some("11"), instant).unwrap();
    lines.first().map(|line| line.available.clone())
}

#[test]
fn the_truth_of_any_instant_can_be_asked() {
    let mut world = World::empty(100);
    world
        .put(&key(), &StockChange::on_hand("5"), at(1000))
        .unwrap();
    world
        .put(&key(), &StockChange::on_hand("4.50"), at(2000))
        .unwrap();
    world.delete(&key(), at(3000)).unwrap();
    world
        .put(&key(), &StockChange::on_hand("9"), at(4000))
        .unwrap();
    let cases = [
        (999, None),
        (1000, Some("5")),
        (1999, Some("5")),
        (2000, Some("4.5")),
        (3000, None),
        (4000, Some("9")),
    ];
    for (millis, expected) in cases {
        assert_eq!(
            available(&world, at(millis)).as_deref(),
            expected,
            "at {millis}"
        );
    }
    let journal = world.journal("usmf", "A", None).unwrap();
    let steps: Vec<_> = journal
        .iter()
        .map(|entry| (entry.at, entry.line.is_some()))
        .collect();
    assert_eq!(
        steps,
        [
            (at(1000), true),
            (at(2000), true),
            (at(3000), false),
            (at(4000), true)
        ]
    );
}

#[test]
fn keys_are_equal_without_regard_to_case_and_never_trimmed() {
    let mut world = World::empty(100);
    world
        .put(&key(), &StockChange::on_hand("5"), at(1))
        .unwrap();
    world
        .put(
            &StockKey::of("USMF", "a", "11"),
            &StockChange::on_hand("6"),
            at(2),
        )
        .unwrap();
    world
        .put(
            &StockKey::of("usmf", " A", "11"),
            &StockChange::on_hand("7"),
            at(3),
        )
        .unwrap();
    let lines = world.truth("usmf", None, at(9)).unwrap();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.item.as_str(), line.available.as_str()))
        .collect();
    assert_eq!(seen, [(" A", "7"), ("A", "6")]);
}

#[test]
fn a_change_sets_only_what_it_names() {
    let mut world = World::empty(100);
    let first = StockChange {
        reserved: Some("2".into()),
        ..StockChange::on_hand("5")
    };
    world.put(&key(), &first, at(1)).unwrap();
    world
        .put(
            &key(),
            &StockChange {
                ordered: Some("1".into()),
                ..StockChange::default()
            },
            at(2),
        )
        .unwrap();
    let line = world.truth("usmf", None, at(2)).unwrap().remove(0);
    assert_eq!(
        (line.on_hand, line.reserved, line.available),
        ("5".into(), "2".into(), "3".into())
    );
    assert_eq!(
        (line.ordered, line.total_available),
        ("1".into(), "4".into())
    );
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let mut world = World::empty(100);
    for bad in ["x", "", "1,5", "NaN", "1e30", "100000000000000000001"] {
        assert!(
            world
                .put(&key(), &StockChange::on_hand(bad), at(1))
                .is_err(),
            "{bad:?}"
        );
    }
    assert!(
        world
            .put(&StockKey::of("", "A", "11"), &StockChange::default(), at(1))
            .is_err()
    );
    assert!(
        world
            .put(
                &StockKey::of("usmf", "", "11"),
                &StockChange::default(),
                at(1)
            )
            .is_err()
    );
    assert!(world.companies().is_empty());
}

#[test]
fn only_rows_that_are_there_can_be_deleted() {
    let mut world = World::empty(100);
    world
        .put(&key(), &StockChange::on_hand("5"), at(1))
        .unwrap();
    for wrong in [
        StockKey::of("demf", "A", "11"),
        StockKey::of("usmf", "B", "11"),
        StockKey::of("usmf", "A", "12"),
    ] {
        assert!(world.delete(&wrong, at(2)).is_err(), "{wrong:?}");
    }
    let colored = StockKey {
        color: "Red".into(),
        ..key()
    };
    assert!(world.delete(&colored, at(2)).is_err());
    world.delete(&key(), at(2)).unwrap();
    assert!(world.delete(&key(), at(3)).is_err(), "a second time");
}

#[test]
fn a_full_journal_forgets_the_oldest_and_says_so() {
    let mut world = World::empty(100);
    for step in 0..1000 {
        world
            .put(
                &key(),
                &StockChange::on_hand(&step.to_string()),
                at(1000 + step),
            )
            .unwrap();
    }
    let complete_since = world.journal_complete_since();
    assert!(complete_since > at(1000));
    assert!(matches!(
        world.truth("usmf", None, at(1000)),
        Err(WorldError::JournalTooShort(_))
    ));
    assert_eq!(available(&world, at(1999)).as_deref(), Some("999"));
    let first = complete_since.unix_millis() - 1000;
    assert_eq!(available(&world, complete_since), Some(first.to_string()));
    assert!(world.journal("usmf", "A", None).unwrap().len() <= 101);
}
