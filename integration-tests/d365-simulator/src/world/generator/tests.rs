use super::*;

fn world(items: usize, warehouses: usize) -> World {
    let config = WorldConfig {
        items,
        warehouses,
        ..WorldConfig::default()
    };
    World::generate(&config, 1000)
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let truth = |seed| {
        let config = WorldConfig {
            seed,
            ..WorldConfig::default()
        };
        World::generate(&config, 1000)
            .truth("usmf", None, UtcMillis::BEGINNING)
            .unwrap()
    };
    assert_eq!(truth(5), truth(5));
    assert_ne!(truth(5), truth(6));
}

#[test]
fn about_fifteen_percent_of_the_pairs_are_missing() {
    let world = world(2000, 10);
    let mut pairs = std::collections::BTreeSet::new();
    for line in world.truth("usmf", None, UtcMillis::BEGINNING).unwrap() {
        if !line.warehouse.is_empty() && line.warehouse.starts_with(char::is_numeric) {
            pairs.insert((line.item, line.warehouse));
        }
    }
    assert!(
        (16_600..17_400).contains(&pairs.len()),
        "{} pairs of 20,000",
        pairs.len()
    );
}

#[test]
fn the_world_has_every_kind_of_trouble() {
    let world = world(2000, 10);
    let lines = world.truth("USMF", None, UtcMillis::BEGINNING).unwrap();
    let any = |test: &dyn Fn(&super::super::TruthLine) -> bool| lines.iter().any(test);
    assert!(any(&|line| line.item.starts_with(' ')), "leading blank");
    assert!(any(&|line| line.item.contains('\'')), "quote");
    assert!(any(&|line| line.warehouse.is_empty()), "blank warehouse");
    assert!(any(&|line| line.available.starts_with('-')), "negative");
    assert!(any(&|line| line.available == "0"), "zero");
    assert!(any(&|line| line.available == "0.333333"), "fraction");
    assert!(
        any(&|line| !line.color.is_empty() && !line.size.is_empty()),
        "color and size"
    );
    assert!(any(&|line| !line.configuration.is_empty()), "configuration");
    assert!(
        any(&|line| !line.style.is_empty() && !line.version.is_empty()),
        "style and version"
    );
    assert!(!world.variant_lines("usmf").unwrap().is_empty(), "variants");
    let sold: std::collections::BTreeSet<_> = lines.iter().map(|line| &line.item).collect();
    assert!(sold.len() < 2000, "an item without any row");
}

#[test]
fn the_companies_share_item_numbers_but_not_stock() {
    let world = world(100, 3);
    let at = UtcMillis::BEGINNING;
    let dat = world.truth("dat", Some("11"), at).unwrap();
    let usmf = world.truth("usmf", Some("11"), at).unwrap();
    let both = dat
        .iter()
        .filter(|line| usmf.iter().any(|other| other.item == line.item));
    let same = both.clone().filter(|line| {
        usmf.iter()
            .any(|other| other.available == line.available && other.item == line.item)
    });
    assert!(both.clone().count() > 5);
    assert!(same.count() < both.count());
}
