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
    for (millis, quantity) in [(1000, "5"), (2000, "4.50")] {
        let change = StockChange::on_hand(quantity);
        world.put(&key(), &change, at(millis)).unwrap();
    }
    world.delete(&key(), at(3000)).unwrap();
    let change = StockChange::on_hand("9");
    world.put(&key(), &change, at(4000)).unwrap();
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

fn put(world: &mut World, key: &StockKey, quantity: &str) -> Result<(), WorldError> {
    world.put(key, &StockChange::on_hand(quantity), at(1))
}

#[test]
fn keys_are_equal_without_regard_to_case_and_never_trimmed() {
    let mut world = World::empty(100);
    for (company, item, quantity) in [("usmf", "A", "5"), ("USMF", "a", "6"), ("usmf", " A", "7")] {
        put(&mut world, &StockKey::of(company, item, "11"), quantity).unwrap();
    }
    let lines = world.truth("usmf", None, at(9)).unwrap();
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.item.as_str(), line.available.as_str()))
        .collect();
    assert_eq!(seen, [(" A", "7"), ("A", "6")]);
}

#[test]
fn a_refused_change_leaves_no_trace() {
    let mut world = World::empty(100);
    for bad in ["x", "", "1,5", "NaN", "1e30", "100000000000000000001"] {
        assert!(put(&mut world, &key(), bad).is_err(), "{bad:?}");
    }
    for (company, item) in [("", "A"), ("usmf", "")] {
        assert!(put(&mut world, &StockKey::of(company, item, "11"), "1").is_err());
    }
    assert!(world.companies().is_empty());
}

#[test]
fn only_rows_that_are_there_can_be_deleted() {
    let mut world = World::empty(100);
    put(&mut world, &key(), "5").unwrap();
    let colored = StockKey {
        color: "Red".into(),
        ..key()
    };
    for wrong in [
        StockKey::of("demf", "A", "11"),
        StockKey::of("usmf", "B", "11"),
        StockKey::of("usmf", "A", "12"),
        colored,
    ] {
        assert!(world.delete(&wrong, at(2)).is_err(), "{wrong:?}");
    }
    world.delete(&key(), at(2)).unwrap();
    assert!(world.delete(&key(), at(3)).is_err(), "a second time");
}

#[test]
fn a_full_journal_forgets_and_says_since_when_it_is_complete() {
    let mut world = World::empty(100);
    for step in 0..1000 {
        let change = StockChange::on_hand(&step.to_string());
        world.put(&key(), &change, at(1000 + step)).unwrap();
    }
    let complete_since = world.journal_complete_since();
    assert!(complete_since > at(1890));
    let too_early = world.truth("usmf", None, at(1000));
    assert!(matches!(too_early, Err(WorldError::JournalTooShort(_))));
    assert_eq!(available(&world, at(1999)).as_deref(), Some("999"));
    let then = complete_since.unix_millis() - 1000;
    assert_eq!(available(&world, complete_since), Some(then.to_string()));
    assert!(world.journal("usmf", "A", None).unwrap().len() <= 101);
}
