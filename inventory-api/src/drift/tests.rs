use super::*;
use shared::redis_store::StoredLine;
use shared::stock::{FeedStanding, Generation, Origin, Quantities};

fn at(seconds: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap()
}

fn line(available: &str, as_of: AsOf, origin: Origin) -> LineValue {
    LineValue {
        content: LineContent::Quantities(Quantities {
            available: available.parse().unwrap(),
            ..Quantities::default()
        }),
        as_of,
        origin,
    }
}

/// Compares `(cached, live)` pairs of one warehouse; the cache is 100 s older.
fn counted(pairs: &[(Option<&str>, Option<&str>)]) -> DriftCounts {
    let meter = DriftMeter::default();
    let tenant = TenantId::parse("t").unwrap();
    let warehouses = [WarehouseId::parse("11").unwrap()];
    let cached = Reading {
        feeds: vec![FeedStanding {
            watermark: Some(at(0)),
            ..FeedStanding::default()
        }],
        lines: pairs
            .iter()
            .map(|(cached, _)| {
                cached.map_or(StoredLine::Unreadable, |available| {
                    StoredLine::Value(line(available, at(0), Origin::Snapshot(Generation(1))))
                })
            })
            .collect(),
        held: Vec::new(),
    };
    let found = LiveResult {
        lines: pairs
            .iter()
            .map(|(_, live)| match live {
                Some("absent") => LiveLine::Line(LineValue {
                    content: LineContent::Absent,
                    as_of: at(100),
                    origin: Origin::Live,
                }),
                Some(available) => LiveLine::Line(line(available, at(100), Origin::Live)),
                None => LiveLine::Failed,
            })
            .collect(),
        failure: None,
        write_through: None,
    };
    meter.compare(
        &tenant,
        &[],
        &warehouses,
        &found,
        &cached,
        Duration::from_hours(24),
    );
    let tallies = std::mem::take(&mut *meter.tallies());
    tallies.into_values().next().unwrap_or_default()
}

#[test]
fn more_less_and_the_same_are_told_apart_by_what_could_be_sold() {
    let counts = counted(&[
        (Some("7"), Some("7")),
        (Some("7.5"), Some("5")),
        (Some("3"), Some("absent")),
        (Some("1"), Some("4")),
        (Some("-2"), Some("-9")),
        (None, Some("1")),
        (Some("9"), None),
    ]);
    let count = |name: &str| counts.get(name).copied().unwrap_or(0);
    assert_eq!(count("compared"), 5);
    assert_eq!(count("unknown"), 1);
    assert_eq!((count("oversold"), count("undersold")), (2, 1));
    assert_eq!(count("oversold_millionths"), 5_500_000);
    assert_eq!(count("undersold_millionths"), 3_000_000);
    assert_eq!(count("over:3"), 2);
    assert_eq!(
        (count("age:300:compared"), count("age:300:oversold")),
        (5, 2)
    );
    assert_eq!(count("age:300:undersold"), 1);
}

#[test]
fn a_day_is_the_date_of_its_instant() {
    assert_eq!(day_of(AsOf::EPOCH), "1970-01-01");
}
