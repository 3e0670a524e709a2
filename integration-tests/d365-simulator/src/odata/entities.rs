//! The entity sets, their properties in D365's order, and a property's value in a row.

use std::sync::LazyLock;

use rust_decimal::Decimal;

use super::errors::ODataError;
use crate::world::{Company, Dimensions, Item, Quantities, Text, Warehouse};

/// A property of any of the sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Property {
    Company,
    ItemNumber,
    Color,
    Configuration,
    Size,
    Style,
    Version,
    Site,
    Warehouse,
    AvailableOnHand,
    ReservedOnHand,
    AvailableOrdered,
    ProductName,
    ReservedOrdered,
    OnHand,
    ManagedWarehouse,
    Ordered,
    OnOrder,
    TotalAvailable,
    VariantNumber,
}

impl Property {
    /// Whether it is compared with a text.
    pub(crate) fn is_text(self) -> bool {
        !matches!(
            self,
            Self::AvailableOnHand
                | Self::ReservedOnHand
                | Self::AvailableOrdered
                | Self::ReservedOrdered
                | Self::OnHand
                | Self::ManagedWarehouse
                | Self::Ordered
                | Self::OnOrder
                | Self::TotalAvailable
        )
    }
}

/// A property's value in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'w> {
    Text(&'w Text),
    Number(Decimal),
    NoYes(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntitySet {
    WarehousesOnHand,
    ReleasedVariants,
    Warehouses,
}

type Column = (&'static str, Property);

static WAREHOUSES_ON_HAND: [Column; 19] = [
    ("dataAreaId", Property::Company),
    ("ItemNumber", Property::ItemNumber),
    ("ProductColorId", Property::Color),
    ("ProductConfigurationId", Property::Configuration),
    ("ProductSizeId", Property::Size),
    ("ProductStyleId", Property::Style),
    ("ProductVersionId", Property::Version),
    ("InventorySiteId", Property::Site),
    ("InventoryWarehouseId", Property::Warehouse),
    ("AvailableOnHandQuantity", Property::AvailableOnHand),
    ("ReservedOnHandQuantity", Property::ReservedOnHand),
    ("AvailableOrderedQuantity", Property::AvailableOrdered),
    ("ProductName", Property::ProductName),
    ("ReservedOrderedQuantity", Property::ReservedOrdered),
    ("OnHandQuantity", Property::OnHand),
    (
        "AreWarehouseManagementProcessesUsed",
        Property::ManagedWarehouse,
    ),
    ("OrderedQuantity", Property::Ordered),
    ("OnOrderQuantity", Property::OnOrder),
    ("TotalAvailableQuantity", Property::TotalAvailable),
];
/// A part of the real set's properties, in its order.
static RELEASED_VARIANTS: [Column; 10] = [
    ("dataAreaId", Property::Company),
    ("ProductMasterNumber", Property::ItemNumber),
    ("ProductConfigurationId", Property::Configuration),
    ("ProductSizeId", Property::Size),
    ("ProductColorId", Property::Color),
    ("ProductStyleId", Property::Style),
    ("ProductVersionId", Property::Version),
    ("ItemNumber", Property::ItemNumber),
    ("ProductName", Property::ProductName),
    ("ProductVariantNumber", Property::VariantNumber),
];
/// A part of the real set's hundred properties.
static WAREHOUSES: [Column; 2] = [
    ("dataAreaId", Property::Company),
    ("WarehouseId", Property::Warehouse),
];

impl EntitySet {
    /// The set of a name, which is case-sensitive.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [
            Self::WarehousesOnHand,
            Self::ReleasedVariants,
            Self::Warehouses,
        ]
        .into_iter()
        .find(|set| set.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WarehousesOnHand => "WarehousesOnHandV2",
            Self::ReleasedVariants => "ReleasedProductVariantsV2",
            Self::Warehouses => "Warehouses",
        }
    }

    /// Name of the type as error texts show it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::WarehousesOnHand => "Microsoft.Dynamics.DataEntities.WarehouseOnHandV2",
            Self::ReleasedVariants => "Microsoft.Dynamics.DataEntities.ReleasedProductVariantV2",
            Self::Warehouses => "Microsoft.Dynamics.DataEntities.Warehouse",
        }
    }

    /// Names and properties in the order of the metadata, keys first.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::WarehousesOnHand => &WAREHOUSES_ON_HAND,
            Self::ReleasedVariants => &RELEASED_VARIANTS,
            Self::Warehouses => &WAREHOUSES,
        }
    }

    /// The property of a name, which is case-sensitive.
    pub(crate) fn property(self, name: &str) -> Result<Property, ODataError> {
        self.columns()
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, property)| *property)
            .ok_or_else(|| ODataError::UnknownProperty {
                property: name.to_owned(),
                type_name: self.type_name(),
            })
    }
}

/// One row of any set. What a set does not have is blank.
#[derive(Debug, Clone)]
pub(crate) struct SetRow<'w> {
    pub(crate) company: &'w Text,
    pub(crate) item: Option<&'w Item>,
    pub(crate) dimensions: Option<&'w Dimensions>,
    pub(crate) site: Option<&'w Text>,
    pub(crate) warehouse: Option<&'w Warehouse>,
    pub(crate) variant: Option<&'w Text>,
    pub(crate) quantities: Quantities,
    /// What a fault has done to this row.
    pub(crate) spoiled: Option<Box<Spoiled>>,
}

/// Damage done to a row by a fault.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spoiled {
    pub(crate) company: Option<Text>,
    pub(crate) warehouse: Option<Text>,
    pub(crate) item: Option<Text>,
    /// Property left out or written as null.
    pub(crate) missing: Option<Property>,
    pub(crate) null: Option<Property>,
}

impl<'w> SetRow<'w> {
    pub(crate) fn of_company(company: &'w Company) -> Self {
        Self {
            company: company.id(),
            item: None,
            dimensions: None,
            site: None,
            warehouse: None,
            variant: None,
            quantities: Quantities::default(),
            spoiled: None,
        }
    }

    pub(crate) fn value(&self, property: Property) -> Value<'_> {
        static BLANK: LazyLock<Text> = LazyLock::new(|| Text::new(""));
        let spoiled = self.spoiled.as_deref();
        let quantities = &self.quantities;
        let text = |text: Option<&'w Text>| Value::Text(text.unwrap_or(&BLANK));
        let dimension = |of: fn(&Dimensions) -> &Text| text(self.dimensions.map(of));
        match property {
            Property::Company => {
                let wrong = spoiled.and_then(|spoiled| spoiled.company.as_ref());
                Value::Text(wrong.unwrap_or(self.company))
            }
            Property::Warehouse => match spoiled.and_then(|spoiled| spoiled.warehouse.as_ref()) {
                Some(wrong) => Value::Text(wrong),
                None => text(self.warehouse.map(|warehouse| &warehouse.id)),
            },
            Property::ItemNumber => match spoiled.and_then(|spoiled| spoiled.item.as_ref()) {
                Some(other) => Value::Text(other),
                None => text(self.item.map(|item| &item.number)),
            },
            Property::Color => dimension(|set| &set.color),
            Property::Configuration => dimension(|set| &set.configuration),
            Property::Size => dimension(|set| &set.size),
            Property::Style => dimension(|set| &set.style),
            Property::Version => dimension(|set| &set.version),
            Property::Site => text(self.site),
            Property::ProductName => text(self.item.map(|item| &item.name)),
            Property::VariantNumber => text(self.variant),
            Property::AvailableOnHand => Value::Number(quantities.available()),
            Property::ReservedOnHand => Value::Number(quantities.reserved),
            Property::AvailableOrdered => Value::Number(quantities.available_ordered()),
            Property::ReservedOrdered => Value::Number(quantities.reserved_ordered),
            Property::OnHand => Value::Number(quantities.on_hand),
            Property::Ordered => Value::Number(quantities.ordered),
            Property::OnOrder => Value::Number(quantities.on_order),
            Property::TotalAvailable => Value::Number(quantities.total_available()),
            Property::ManagedWarehouse => {
                Value::NoYes(self.warehouse.is_some_and(|warehouse| warehouse.managed))
            }
        }
    }
}
