//! A catalogue like the demo company's, grown to any size, the same for the same seed.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::company::Warehouse;
use super::item::{Quantities, Row, Variant, Version};
use super::{DimensionsId, Random, Text, World};
use crate::clock::UtcMillis;

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

/// Warehouse id, site, name, warehouse management processes used.
const WAREHOUSES: [(&str, &str, &str, bool); 20] = [
    ("11", "1", "Site 1 main", false),
    ("12", "1", "Site 1 overflow", false),
    ("13", "1", "Site 1 returns", false),
    ("21", "2", "Site 2 main", false),
    ("22", "2", "Site 2 overflow", false),
    ("24", "2", "Site 2 distribution center", true),
    ("51", "5", "Site 5 process", false),
    ("61", "6", "Site 6 outbound", true),
    ("62", "6", "Site 6 inbound", true),
    ("63", "6", "Site 6 bulk", false),
    ("31", "3", "Site 3 main", false),
    ("32", "3", "Site 3 overflow", false),
    ("33", "3", "Site 3 returns", false),
    ("41", "4", "Site 4 main", false),
    ("42", "4", "Site 4 overflow", false),
    ("43", "4", "Site 4 returns", false),
    ("52", "5", "Site 5 cold", true),
    ("71", "7", "Site 7 main", false),
    ("72", "7", "Site 7 overflow", false),
    ("MIXed-1", "7", "Site 7 spelled oddly", false),
];

/// Warehouses nobody sells from.
const ASIDE: [(&str, &str); 2] = [("QUAR", "Quarantine"), ("TRANSIT", "Transit")];

/// Item numbers that trip careless code: blanks, quotes, reserved letters, mixed case, prefixes of each other.
const ODD_ITEMS: [(&str, &str); 22] = [
    (" RFI-TEST-001", "Item whose number starts with a blank"),
    ("1000", "Cabinet"),
    ("1000-1", "Cabinet door"),
    ("10000", "Cabinet, large"),
    ("50%OFF", "Percent sign"),
    ("A B C", "Blanks within"),
    ("A&B=C", "Ampersand and equals sign"),
    ("A+B", "Plus sign"),
    ("A/B", "Slash"),
    ("A0001", "HDMI cable"),
    ("A\\B", "Backslash"),
    ("CAFÉ-Ñ", "Accents"),
    ("D0001", "MidRangeSpeaker"),
    ("HASH#1?", "Hash and question mark"),
    ("MÜLLER-Ö1", "Umlauts"),
    ("O'NEIL-7", "Single quote"),
    ("R&D+50%", "All at once"),
    ("SAY \"HI\"", "Double quotes"),
    ("X-''-Y", "Two single quotes"),
    ("dollar$1", "Lower case and dollar"),
    ("miXed-Case-1", "Mixed case"),
    ("under_score", "Underscore sorts behind letters"),
];

const COLORS: [&str; 4] = ["Black", "Navy blue", "Red", "White"];
const SIZES: [&str; 4] = ["L", "M", "S", "XL"];
const NOUNS: [&str; 8] = [
    "Speaker",
    "Cable",
    "Amplifier",
    "Cabinet",
    "Mixer",
    "Tripod",
    "Lamp",
    "Stand",
];
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
            let grown = Plan::of(number);
            let set = grown.dimensions();
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
                let fold = [
                    &set.color,
                    &set.configuration,
                    &set.size,
                    &set.style,
                    &set.version,
                ]
                .map(|text| text.folded().to_owned());
                (fold, row.site, row.warehouse)
            });
            let company = self.company_to_change(id);
            let item = company.item_place(&grown.number, &grown.name);
            company.items[item].variants = variants;
            company.items[item].rows = rows;
        }
    }

    /// Adds the warehouses; returns place and site of those that sell.
    fn open_warehouses(&mut self, company: &str, count: usize) -> Vec<(u16, u16)> {
        let company = self.company_to_change(company);
        let mut sellable = Vec::with_capacity(count);
        for number in 0..count {
            let (id, site, name, managed) = match WAREHOUSES.get(number) {
                Some((id, site, name, managed)) => {
                    ((*id).to_owned(), *site, (*name).to_owned(), *managed)
                }
                None => (
                    format!("W{number:03}"),
                    "9",
                    format!("Warehouse {number}"),
                    false,
                ),
            };
            let site = company.site_place(site);
            let place = company.add_warehouse(Warehouse {
                id: Text::new(&id),
                name: name.into(),
                kind: "Standard",
                site,
                managed,
                listed: true,
            });
            sellable.push((place, site));
        }
        let site = company.site_place("1");
        for (id, kind) in ASIDE.into_iter().chain([("", "Standard")]) {
            company.add_warehouse(Warehouse {
                id: Text::new(id),
                name: kind.into(),
                kind,
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
        let (warehouse, quantities) = match number % 200 {
            7 => (
                "",
                Quantities {
                    ordered: Decimal::from(40),
                    ..Quantities::default()
                },
            ),
            57 => (
                "QUAR",
                Quantities {
                    on_hand: Decimal::from(3),
                    ..Quantities::default()
                },
            ),
            107 => (
                "TRANSIT",
                Quantities {
                    on_hand: Decimal::from(12),
                    ..Quantities::default()
                },
            ),
            _ => return,
        };
        let dimensions = self.dimensions.id_of(values);
        let company = self.company_to_change(company);
        if let Some(place) = company.warehouse_place(warehouse) {
            let site = company.warehouse(place).site;
            rows.push(row(dimensions, site, place, quantities));
        }
    }
}

/// What an item is, by its running number.
struct Plan {
    number: String,
    name: String,
    family: Family,
}

enum Family {
    Single,
    ColorsAndSizes { colors: usize, sizes: usize },
    Configurations,
    StylesAndVersions,
}

impl Plan {
    fn of(running: usize) -> Self {
        if let Some((number, name)) = ODD_ITEMS.get(running) {
            return Self {
                number: (*number).to_owned(),
                name: (*name).to_owned(),
                family: Family::Single,
            };
        }
        let noun = NOUNS[running % NOUNS.len()];
        let family = match running % 500 {
            30 => Family::Configurations,
            40 => Family::StylesAndVersions,
            rest if rest % 50 == 25 => Family::ColorsAndSizes {
                colors: 2 + running / 50 % 3,
                sizes: 2 + running / 150 % 3,
            },
            _ => Family::Single,
        };
        let number = match (&family, running % 40) {
            (Family::Single, 11) => format!("w{running:06}"),
            (Family::Single, 23) => format!("P-{running:06}/{}", running % 7),
            (Family::Single, 37) => format!("Kabel {running:06}ü"),
            (Family::Single, _) => format!("P-{running:06}"),
            (Family::ColorsAndSizes { .. }, _) => format!("T-SHIRT-{running:06}"),
            (Family::Configurations, _) => format!("CONF-{running:06}"),
            (Family::StylesAndVersions, _) => format!("STYLE-{running:06}"),
        };
        Self {
            number,
            name: format!("{noun} {running}"),
            family,
        }
    }

    /// Sets of dimensions with stock: color, configuration, size, style, version.
    /// Some masters have a row with blank dimensions next to those of their variants.
    fn dimensions(&self) -> Vec<[&'static str; 5]> {
        let mut sets = vec![BLANK];
        match self.family {
            Family::Single => {}
            Family::ColorsAndSizes { colors, sizes } => {
                for color in &COLORS[..colors] {
                    sets.extend(
                        SIZES[..sizes]
                            .iter()
                            .map(|size| [*color, "", *size, "", ""]),
                    );
                }
            }
            Family::Configurations => {
                sets.extend(["Bronze", "Gold", "Silver"].map(|value| ["", value, "", "", ""]));
            }
            Family::StylesAndVersions => {
                for version in ["V1", "V2"] {
                    sets.extend(["Classic", "Modern"].map(|style| ["", "", "", style, version]));
                }
            }
        }
        sets
    }
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
    if on_hand > Decimal::from(10) && random.chance(5) {
        quantities.blocked = Decimal::from(2);
    }
    quantities
}

#[cfg(test)]
mod tests;
