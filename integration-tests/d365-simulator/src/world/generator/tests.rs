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
