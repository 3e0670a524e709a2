//! A catalogue like the demo company's, grown to any size, the same for the same seed.

use rust_decimal::Decimal;
use serde::Deserialize;

use crate::clock::UtcMillis;
use crate::world::collation::Text;
use crate::world::company::Warehouse;
use crate::world::dimensions::DimensionsId;
use crate::world::item::{Quantities, Row, Variant, Version};
use crate::world::random::Random;
use crate::world::stock::World;

/// Size and seed of the generated world.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldConfig {
    /// The same seed gives the same world.
    pub seed: u64,
    /// Item numbers of the main company `usmf`. About one in fifty is a master with several variants.
    pub items: usize,
    /// Warehouses of each company, transit and quarantine ones not counted. At most 200.
    pub warehouses: usize,
    /// Share of item x warehouse pairs that have no row, in percent.
    pub missing_percent: usize,
}

impl Default for WorldConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            items: 100,
            warehouses: 10,
            missing_percent: 15,
        }
    }
}

/// Warehouse id (its first letter is its site), warehouse management processes used.
const WAREHOUSES: [(&str, bool); 20] = [
    ("11", false),
    ("12", false),
    ("13", false),
    ("21", false),
    ("22", false),
    ("24", true),
    ("51", false),
    ("61", true),
    ("62", true),
    ("63", false),
    ("31", false),
    ("32", false),
    ("33", false),
    ("41", false),
    ("42", false),
    ("43", false),
    ("52", true),
    ("71", false),
    ("72", false),
    ("MIXed-1", false),
];

/// Warehouses nobody sells from, and the one of rows without warehouse.
const ASIDE: [&str; 3] = ["QUAR", "TRANSIT", ""];

/// Item numbers that trip careless code: blanks, quotes, reserved letters, mixed case, prefixes of each other.
const ODD_ITEMS: [&str; 22] = [
    " RFI-TEST-001",
    "1000",
    "1000-1",
    "10000",
    "50%OFF",
    "A B C",
    "A&B=C",
    "A+B",
    "A/B",
    "A0001",
    "A\\B",
    "CAFÉ-Ñ",
    "D0001",
    "HASH#1?",
    "MÜLLER-Ö1",
    "O'NEIL-7",
    "R&D+50%",
    "SAY \"HI\"",
    "X-''-Y",
    "dollar$1",
    "miXed-Case-1",
    "under_score",
];

const COLORS: [&str; 4] = ["Black", "Navy blue", "Red", "White"];
const SIZES: [&str; 4] = ["L", "M", "S", "XL"];
const BLANK: [&str; 5] = [""; 5];

impl World {
    /// Builds the companies `usmf` (full size), `demf` and `dat` (a fiftieth, the same item numbers with
    /// other stock).
    pub(crate) fn generate(config: &WorldConfig, journal_limit: usize) -> Self {
        let mut world = Self::empty(journal_limit);
        let small = (config.items / 50).max(20).min(config.items);
        for (part, id, items) in [
            (1, "dat", small),
            (2, "demf", small),
            (3, "usmf", config.items),
        ] {
            world.grow_company(config, part, id, items);
        }
        world
    }

    fn grow_company(&mut self, config: &WorldConfig, part: u64, id: &str, items: usize) {
        let sellable = self.open_warehouses(id, config.warehouses.min(200));
        for number in 0..items {
            let mut random = Random::stream(config.seed, part << 40 | number as u64);
            let (item, set) = item_of(number);
            let mut rows = Vec::new();
            let mut variants = Vec::new();
            for (place, values) in set.iter().enumerate() {
                let dimensions = self.dimensions.id_of(*values);
                if *values != BLANK {
                    variants.push(Variant {
                        number: Text::new(&format!("SKU-{number:06}-{place:02}")),
                        dimensions,
                    });
                }
            }
            // One item in a thousand has never been in stock anywhere.
            let never_stocked = number % 1000 == 999;
            for (warehouse, site) in &sellable {
                if never_stocked || random.chance(config.missing_percent) {
                    continue;
                }
                for (place, values) in set.iter().enumerate() {
                    let share = match (set.len(), place) {
                        (1, _) => 100,
                        (_, 0) => 30,
                        _ => 80,
                    };
                    if !random.chance(share) {
                        continue;
                    }
                    let dimensions = self.dimensions.id_of(*values);
                    rows.push(row(dimensions, *site, *warehouse, quantities(&mut random)));
                }
            }
            self.add_blank_and_aside(id, number, set[0], &mut rows);
            rows.sort_by_cached_key(|row| {
                let set = self.dimensions.of(row.dimensions);
                (set.folded(), row.site, row.warehouse)
            });
            let company = self.company_to_change(id);
            let item = company.item_place(&item, &format!("Product {number}"));
            company.items[item].variants = variants;
            company.items[item].rows = rows;
        }
    }

    /// Adds the warehouses; returns place and site of those that sell.
    fn open_warehouses(&mut self, company: &str, count: usize) -> Vec<(u16, u16)> {
        let company = self.company_to_change(company);
        let mut sellable = Vec::with_capacity(count);
        for number in 0..count {
            let (id, managed) = match WAREHOUSES.get(number) {
                Some((id, managed)) => ((*id).to_owned(), *managed),
                None => (format!("W{number:03}"), false),
            };
            let site = company.site_place(&id[..1]);
            let place = company.add_warehouse(Warehouse {
                id: Text::new(&id),
                site,
                managed,
                listed: true,
            });
            sellable.push((place, site));
        }
        let site = company.site_place("1");
        for id in ASIDE {
            company.add_warehouse(Warehouse {
                id: Text::new(id),
                site,
                managed: false,
                listed: !id.is_empty(),
            });
        }
        sellable
    }

    /// A few items have a row without warehouse, or stock in quarantine or on its way.
    fn add_blank_and_aside(
        &mut self,
        company: &str,
        number: usize,
        values: [&str; 5],
        rows: &mut Vec<Row>,
    ) {
        let (warehouse, on_hand, ordered) = match number % 200 {
            7 => ("", 0, 40),
            57 => ("QUAR", 3, 0),
            107 => ("TRANSIT", 12, 0),
            _ => return,
        };
        let quantities = Quantities {
            on_hand: Decimal::from(on_hand),
            ordered: Decimal::from(ordered),
            ..Quantities::default()
        };
        let dimensions = self.dimensions.id_of(values);
        let company = self.company_to_change(company);
        if let Some(place) = company.warehouse_place(warehouse) {
            let site = company.warehouse(place).site;
            rows.push(row(dimensions, site, place, quantities));
        }
    }
}

/// An item's number, and the sets of dimensions it can have stock in (color, configuration, size, style,
/// version); the first is blank. About one in fifty is a master with variants.
fn item_of(running: usize) -> (String, Vec<[&'static str; 5]>) {
    let mut sets = vec![BLANK];
    if let Some(number) = ODD_ITEMS.get(running) {
        return ((*number).to_owned(), sets);
    }
    let number = match (running % 500, running % 40) {
        (30, _) => {
            sets.extend(["Bronze", "Gold", "Silver"].map(|value| ["", value, "", "", ""]));
            format!("CONF-{running:06}")
        }
        (40, _) => {
            for version in ["V1", "V2"] {
                sets.extend(["Classic", "Modern"].map(|style| ["", "", "", style, version]));
            }
            format!("STYLE-{running:06}")
        }
        (rest, _) if rest % 50 == 25 => {
            let sizes = &SIZES[..2 + running / 150 % 3];
            for color in &COLORS[..2 + running / 50 % 3] {
                sets.extend(sizes.iter().map(|size| [*color, "", *size, "", ""]));
            }
            format!("T-SHIRT-{running:06}")
        }
        (_, 11) => format!("w{running:06}"),
        (_, 23) => format!("P-{running:06}/{}", running % 7),
        (_, 37) => format!("Kabel {running:06}ü"),
        _ => format!("P-{running:06}"),
    };
    (number, sets)
}

fn row(dimensions: DimensionsId, site: u16, warehouse: u16, quantities: Quantities) -> Row {
    Row {
        dimensions,
        site,
        warehouse,
        now: Version {
            since: UtcMillis::BEGINNING,
            quantities: Some(quantities),
        },
        past: Vec::new(),
    }
}

/// Some zero, some negative, some fractional, the rest whole; a part reserved, ordered or blocked.
fn quantities(random: &mut Random) -> Quantities {
    let whole = Decimal::from(1 + random.below(500));
    let on_hand = match random.below(100) {
        0..8 => Decimal::ZERO,
        8..10 => -Decimal::from(1 + random.below(20)),
        10..12 => whole + Decimal::new(333_333, 6),
        12..14 => whole + Decimal::new(25, 2),
        14 => Decimal::new(333_333, 6),
        _ => whole,
    };
    let mut quantities = Quantities {
        on_hand,
        ..Quantities::default()
    };
    if on_hand > Decimal::ZERO && random.chance(20) {
        let part = Decimal::from(1 + random.below(4));
        quantities.reserved = (on_hand * part / Decimal::from(4)).round_dp(6);
    }
    if random.chance(20) {
        quantities.ordered = Decimal::from(10 * (1 + random.below(20)));
        if random.chance(30) {
            quantities.reserved_ordered = Decimal::from(5);
        }
    }
    if random.chance(10) {
        quantities.on_order = Decimal::from(1 + random.below(9));
    }
    quantities
}

#[cfg(test)]
mod tests;
