//! A legal entity: its sites, warehouses and items.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::world::collation::{Text, fold};
use crate::world::item::Item;

#[derive(Debug)]
pub(crate) struct Warehouse {
    pub(crate) id: Text,
    /// Place of the site in the company's list.
    pub(crate) site: u16,
    /// Whether warehouse management processes are used.
    pub(crate) managed: bool,
    /// The blank warehouse of rows without one is not in the set `Warehouses`.
    pub(crate) listed: bool,
}

#[derive(Debug)]
pub(crate) struct Company {
    id: Text,
    pub(super) sites: Vec<Text>,
    pub(super) warehouses: Vec<Warehouse>,
    pub(super) items: Vec<Item>,
    /// Folded item number to place in `items`; the database allows no two spellings of one number.
    pub(super) index: BTreeMap<Box<str>, u32>,
}

impl Company {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: Text::new(id),
            sites: Vec::new(),
            warehouses: Vec::new(),
            items: Vec::new(),
            index: BTreeMap::new(),
        }
    }

    pub(crate) fn id(&self) -> &Text {
        &self.id
    }

    pub(crate) fn site(&self, place: u16) -> &Text {
        &self.sites[usize::from(place)]
    }

    pub(crate) fn warehouse(&self, place: u16) -> &Warehouse {
        &self.warehouses[usize::from(place)]
    }

    pub(crate) fn warehouses(&self) -> &[Warehouse] {
        &self.warehouses
    }

    pub(crate) fn item(&self, folded_number: &str) -> Option<&Item> {
        self.index
            .get(folded_number)
            .map(|place| &self.items[*place as usize])
    }

    /// Items whose folded number lies between the bounds, in order.
    pub(crate) fn items_between<'a>(
        &'a self,
        low: Bound<&str>,
        high: Bound<&str>,
    ) -> impl DoubleEndedIterator<Item = &'a Item> + use<'a> {
        self.index
            .range::<str, _>((low, high))
            .map(|(_, place)| &self.items[*place as usize])
    }

    pub(crate) fn items(&self) -> impl DoubleEndedIterator<Item = &Item> {
        self.index
            .values()
            .map(|place| &self.items[*place as usize])
    }

    pub(super) fn site_place(&mut self, id: &str) -> u16 {
        let text = Text::new(id);
        let found = self
            .sites
            .iter()
            .position(|site| site.folded() == text.folded());
        let place = found.unwrap_or_else(|| {
            self.sites.push(text);
            self.sites.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    pub(super) fn warehouse_place(&self, id: &str) -> Option<u16> {
        let wanted = fold(id);
        let place = self
            .warehouses
            .iter()
            .position(|known| known.id.folded() == wanted)?;
        u16::try_from(place).ok()
    }

    pub(super) fn add_warehouse(&mut self, warehouse: Warehouse) -> u16 {
        self.warehouses.push(warehouse);
        u16::try_from(self.warehouses.len() - 1).unwrap_or(u16::MAX)
    }

    /// Place of an item, added without rows if it is new.
    pub(super) fn item_place(&mut self, number: &str, name: &str) -> usize {
        let text = Text::new(number);
        if let Some(place) = self.index.get(text.folded()) {
            return *place as usize;
        }
        let place = self.items.len();
        self.index.insert(
            text.folded().into(),
            u32::try_from(place).unwrap_or(u32::MAX),
        );
        self.items.push(Item {
            number: text,
            name: Text::new(name),
            variants: Vec::new(),
            rows: Vec::new(),
        });
        place
    }
}
