//! Product dimensions, stored once for all rows that share them.

use std::collections::HashMap;

use crate::world::collation::Text;

/// The five product dimensions; "" is a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dimensions {
    pub(crate) color: Text,
    pub(crate) configuration: Text,
    pub(crate) size: Text,
    pub(crate) style: Text,
    pub(crate) version: Text,
}

impl Dimensions {
    /// In the order color, configuration, size, style, version.
    pub(crate) fn new(values: [&str; 5]) -> Self {
        let [color, configuration, size, style, version] = values.map(Text::new);
        Self {
            color,
            configuration,
            size,
            style,
            version,
        }
    }

    pub(super) fn folded(&self) -> [String; 5] {
        [
            &self.color,
            &self.configuration,
            &self.size,
            &self.style,
            &self.version,
        ]
        .map(|text| text.folded().to_owned())
    }
}

/// Place of a set of dimensions in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DimensionsId(u32);

#[derive(Debug, Default)]
pub(super) struct DimensionTable {
    sets: Vec<Dimensions>,
    ids: HashMap<[String; 5], DimensionsId>,
}

impl DimensionTable {
    pub(super) fn id_of(&mut self, values: [&str; 5]) -> DimensionsId {
        let set = Dimensions::new(values);
        let key = set.folded();
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let id = DimensionsId(u32::try_from(self.sets.len()).unwrap_or(u32::MAX));
        self.sets.push(set);
        self.ids.insert(key, id);
        id
    }

    pub(super) fn of(&self, id: DimensionsId) -> &Dimensions {
        &self.sets[id.0 as usize]
    }
}
