//! The entity sets, their properties in D365's order, and a property's value in a row.

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
    Status,
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
    MasterNumber,
    LifecycleState,
    Description,
    SalesTaxGroup,
    PurchaseTaxGroup,
    VariantNumber,
    SearchName,
    WarehouseId,
    WarehouseName,
    WarehouseType,
    OperationalSite,
    Fallback,
}

/// What kind of literal a property is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    NoYes,
    Symbol,
}

/// A property's value in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'w> {
    Text(&'w Text),
    /// A text that is compared without regard to case but kept without a folded form.
    Free(&'w str),
    Number(Decimal),
    NoYes(bool),
    /// A symbol of an enum other than `NoYes`.
    Symbol(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntitySet {
    WarehousesOnHand,
    SitesOnHand,
    StatusesOnHand,
    ReleasedVariants,
    Warehouses,
}

type Column = (&'static str, Property);

const ITEM_KEYS: [Column; 8] = [
    ("dataAreaId", Property::Company),
    ("ItemNumber", Property::ItemNumber),
    ("ProductColorId", Property::Color),
    ("ProductConfigurationId", Property::Configuration),
    ("ProductSizeId", Property::Size),
    ("ProductStyleId", Property::Style),
    ("ProductVersionId", Property::Version),
    ("InventorySiteId", Property::Site),
];
const WAREHOUSE_KEY: Column = ("InventoryWarehouseId", Property::Warehouse);
const STATUS_KEY: Column = ("InventoryStatusId", Property::Status);
const QUANTITIES: [Column; 10] = [
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

/// Joins lists of columns at compile time.
const fn joined<const N: usize>(parts: &[&[Column]]) -> [Column; N] {
    let mut columns = [WAREHOUSE_KEY; N];
    let (mut part, mut filled) = (0, 0);
    while part < parts.len() {
        let mut place = 0;
        while place < parts[part].len() {
            columns[filled] = parts[part][place];
            filled += 1;
            place += 1;
        }
        part += 1;
    }
    columns
}

static WAREHOUSES_ON_HAND: [Column; 19] = joined(&[&ITEM_KEYS, &[WAREHOUSE_KEY], &QUANTITIES]);
static SITES_ON_HAND: [Column; 18] = joined(&[&ITEM_KEYS, &QUANTITIES]);
static STATUSES_ON_HAND: [Column; 20] =
    joined(&[&ITEM_KEYS, &[WAREHOUSE_KEY, STATUS_KEY], &QUANTITIES]);
static RELEASED_VARIANTS: [Column; 15] = [
    ("dataAreaId", Property::Company),
    ("ProductMasterNumber", Property::MasterNumber),
    ("ProductConfigurationId", Property::Configuration),
    ("ProductSizeId", Property::Size),
    ("ProductColorId", Property::Color),
    ("ProductStyleId", Property::Style),
    ("ProductVersionId", Property::Version),
    ("ItemNumber", Property::ItemNumber),
    ("ProductLifecycleStateId", Property::LifecycleState),
    ("ProductDescription", Property::Description),
    ("SalesSalesTaxItemGroupCode", Property::SalesTaxGroup),
    ("ProductName", Property::ProductName),
    ("PurchaseSalesTaxItemGroupCode", Property::PurchaseTaxGroup),
    ("ProductVariantNumber", Property::VariantNumber),
    ("ProductSearchName", Property::SearchName),
];
/// A part of the real set's hundred properties, in its order.
static WAREHOUSES: [Column; 6] = [
    ("dataAreaId", Property::Company),
    ("WarehouseId", Property::WarehouseId),
    ("WarehouseName", Property::WarehouseName),
    ("WarehouseType", Property::WarehouseType),
    ("OperationalSiteId", Property::OperationalSite),
    ("IsFallbackWarehouse", Property::Fallback),
];

impl EntitySet {
    pub(crate) const ALL: [Self; 5] = [
        Self::WarehousesOnHand,
        Self::SitesOnHand,
        Self::StatusesOnHand,
        Self::ReleasedVariants,
        Self::Warehouses,
    ];

    /// The set of a name, which is case-sensitive.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WarehousesOnHand => "WarehousesOnHandV2",
            Self::SitesOnHand => "InventorySitesOnHandV2",
            Self::StatusesOnHand => "WarehouseInventoryStatusesOnHandV2",
            Self::ReleasedVariants => "ReleasedProductVariantsV2",
            Self::Warehouses => "Warehouses",
        }
    }

    /// Name of the type as error texts show it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::WarehousesOnHand => "Microsoft.Dynamics.DataEntities.WarehouseOnHandV2",
            Self::SitesOnHand => "Microsoft.Dynamics.DataEntities.InventorySiteOnHandV2",
            Self::StatusesOnHand => {
                "Microsoft.Dynamics.DataEntities.WarehouseInventoryStatusOnHandV2"
            }
            Self::ReleasedVariants => "Microsoft.Dynamics.DataEntities.ReleasedProductVariantV2",
            Self::Warehouses => "Microsoft.Dynamics.DataEntities.Warehouse",
        }
    }

    pub(crate) fn is_on_hand(self) -> bool {
        matches!(
            self,
            Self::WarehousesOnHand | Self::SitesOnHand | Self::StatusesOnHand
        )
    }

    /// Names and properties in the order of the metadata, keys first.
    pub(crate) fn columns(self) -> &'static [Column] {
        match self {
            Self::WarehousesOnHand => &WAREHOUSES_ON_HAND,
            Self::SitesOnHand => &SITES_ON_HAND,
            Self::StatusesOnHand => &STATUSES_ON_HAND,
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

impl Property {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::AvailableOnHand
            | Self::ReservedOnHand
            | Self::AvailableOrdered
            | Self::ReservedOrdered
            | Self::OnHand
            | Self::Ordered
            | Self::OnOrder
            | Self::TotalAvailable => Kind::Number,
            Self::ManagedWarehouse | Self::Fallback => Kind::NoYes,
            Self::WarehouseType => Kind::Symbol,
            _ => Kind::Text,
        }
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
    pub(crate) status: &'static str,
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
            status: "",
            variant: None,
            quantities: Quantities::default(),
            spoiled: None,
        }
    }

    pub(crate) fn value(&self, property: Property) -> Value<'_> {
        let text = |text: Option<&'w Text>| text.map_or(Value::Free(""), Value::Text);
        let number = Value::Number;
        match property {
            Property::Company => Value::Text(
                self.spoiled
                    .as_ref()
                    .and_then(|s| s.company.as_ref())
                    .unwrap_or(self.company),
            ),
            Property::Warehouse => match self.spoiled.as_ref().and_then(|s| s.warehouse.as_ref()) {
                Some(wrong) => Value::Text(wrong),
                None => text(self.warehouse.map(|warehouse| &warehouse.id)),
            },
            Property::ItemNumber | Property::MasterNumber => {
                match self.spoiled.as_ref().and_then(|s| s.item.as_ref()) {
                    Some(other) => Value::Text(other),
                    None => text(self.item.map(|item| &item.number)),
                }
            }
            Property::Color => text(self.dimensions.map(|set| &set.color)),
            Property::Configuration => text(self.dimensions.map(|set| &set.configuration)),
            Property::Size => text(self.dimensions.map(|set| &set.size)),
            Property::Style => text(self.dimensions.map(|set| &set.style)),
            Property::Version => text(self.dimensions.map(|set| &set.version)),
            Property::Site | Property::OperationalSite => text(self.site),
            Property::Status => Value::Free(self.status),
            Property::AvailableOnHand => number(self.quantities.available()),
            Property::ReservedOnHand => number(self.quantities.reserved),
            Property::AvailableOrdered => number(self.quantities.available_ordered()),
            Property::ReservedOrdered => number(self.quantities.reserved_ordered),
            Property::OnHand => number(self.quantities.on_hand),
            Property::Ordered => number(self.quantities.ordered),
            Property::OnOrder => number(self.quantities.on_order),
            Property::TotalAvailable => number(self.quantities.total_available()),
            Property::ProductName | Property::SearchName => {
                Value::Free(self.item.map_or("", |item| &item.name))
            }
            Property::ManagedWarehouse => {
                Value::NoYes(self.warehouse.is_some_and(|warehouse| warehouse.managed))
            }
            Property::VariantNumber => text(self.variant),
            Property::WarehouseId => text(self.warehouse.map(|warehouse| &warehouse.id)),
            Property::WarehouseName => {
                Value::Free(self.warehouse.map_or("", |warehouse| &warehouse.name))
            }
            Property::WarehouseType => Value::Symbol(
                self.warehouse
                    .map_or("Standard", |warehouse| warehouse.kind),
            ),
            Property::Fallback => Value::NoYes(false),
            Property::LifecycleState
            | Property::Description
            | Property::SalesTaxGroup
            | Property::PurchaseTaxGroup => Value::Free(""),
        }
    }
}
