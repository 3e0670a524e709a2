//! Between ICM's SKU and D365's item number with product dimensions.
//!
//! Three mappings: the item number itself (an item's rows summed over its dimensions), D365's
//! released product variants, or a template such as `{ItemNumber}-{ProductColorId}-{ProductSizeId}`.

use crate::stock::dimensions::ProductDimensions;
use crate::stock::ids::{ItemNumber, Sku};
use crate::stock::spelling::folded;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// How a tenant's SKUs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkuMapping {
    /// SKU = item number.
    ItemNumber,
    /// SKU = product variant number; the item number for items without variants.
    Variants,
    /// SKU = item number and dimensions put together.
    Template(SkuTemplate),
}

/// Why a template is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkuMappingError {
    /// A `{` without its `}` or the other way round.
    #[error("the SKU template {0:?} has an unbalanced brace")]
    UnbalancedBrace(String),
    /// A name in braces that is no dimension.
    #[error(
        "the SKU template names {0:?}; known are ItemNumber, ProductConfigurationId, \
         ProductSizeId, ProductColorId, ProductStyleId, ProductVersionId"
    )]
    UnknownField(String),
    /// The template lacks the item number or names a field twice.
    #[error("the SKU template {0:?} must name ItemNumber, and each field at most once")]
    NotUnique(String),
    /// Two fields touch, so that no reader could tell where one ends.
    #[error("the SKU template {0:?} needs a separator between any two fields")]
    MissingSeparator(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ItemNumber,
    Configuration,
    Size,
    Color,
    Style,
    Version,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ItemNumber" => Self::ItemNumber,
            "ProductConfigurationId" => Self::Configuration,
            "ProductSizeId" => Self::Size,
            "ProductColorId" => Self::Color,
            "ProductStyleId" => Self::Style,
            "ProductVersionId" => Self::Version,
            _ => return None,
        })
    }

    /// Its value without trailing blanks: inside a SKU they would count.
    fn value<'a>(self, item: &'a ItemNumber, dimensions: &'a ProductDimensions) -> &'a str {
        let spelling = match self {
            Self::ItemNumber => return item.as_str().trim_end_matches(' '),
            Self::Configuration => &dimensions.configuration,
            Self::Size => &dimensions.size,
            Self::Color => &dimensions.color,
            Self::Style => &dimensions.style,
            Self::Version => &dimensions.version,
        };
        spelling.as_str().trim_end_matches(' ')
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// A parsed SKU template.
///
/// An item none of whose templated dimensions has a value keeps its bare item number as SKU;
/// otherwise empty dimensions leave their separators standing, so that `T-SHIRT-Black-` and
/// `T-SHIRT--Black` stay apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuTemplate {
    text: String,
    parts: Vec<Part>,
}

impl SkuTemplate {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, SkuMappingError> {
        let mut parts = Vec::new();
        let mut fields = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let literal_end = rest.find(['{', '}']).unwrap_or(rest.len());
            if literal_end > 0 {
                parts.push(Part::Literal(rest[..literal_end].to_owned()));
            } else {
                let end = rest.find('}').filter(|_| rest.starts_with('{'));
                let end = end.ok_or_else(|| SkuMappingError::UnbalancedBrace(text.to_owned()))?;
                let name = &rest[1..end];
                let field = Field::named(name)
                    .ok_or_else(|| SkuMappingError::UnknownField(name.to_owned()))?;
                if fields.contains(&field) {
                    return Err(SkuMappingError::NotUnique(text.to_owned()));
                }
                if matches!(parts.last(), Some(Part::Field(_))) {
                    return Err(SkuMappingError::MissingSeparator(text.to_owned()));
                }
                fields.push(field);
                parts.push(Part::Field(field));
                rest = &rest[end + 1..];
                continue;
            }
            rest = &rest[literal_end..];
        }
        if !fields.contains(&Field::ItemNumber) {
            return Err(SkuMappingError::NotUnique(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn render(&self, item: &ItemNumber, dimensions: &ProductDimensions) -> String {
        let has_value = |part: &Part| match part {
            Part::Field(Field::ItemNumber) | Part::Literal(_) => false,
            Part::Field(field) => !field.value(item, dimensions).is_empty(),
        };
        if !self.parts.iter().any(has_value) {
            return item.as_str().to_owned();
        }
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.as_str(),
                Part::Field(field) => field.value(item, dimensions),
            })
            .collect()
    }

    /// Every item number that could have given this SKU: separators may also occur inside values,
    /// so a SKU can be read in several ways. Blanks a SKU ends with do not count, so it may have lost
    /// some that the template put there.
    fn item_candidates(&self, sku: &Sku) -> Vec<ItemNumber> {
        let given = sku.as_str().trim_end_matches(' ');
        let blanks = self.parts.iter().map(|part| match part {
            Part::Literal(literal) => literal.matches(' ').count(),
            Part::Field(_) => 0,
        });
        let item_at = self
            .parts
            .iter()
            .position(|part| *part == Part::Field(Field::ItemNumber));
        let (before, after) = self.parts.split_at(item_at.unwrap_or(0));
        let mut candidates = BTreeSet::new();
        candidates.extend(ItemNumber::parse(given));
        for lost in 0..=blanks.sum() {
            let text = format!("{given}{}", " ".repeat(lost));
            for start in ends_of_matches(before, &text, BTreeSet::from([0])) {
                // An item number ends where the parts after it can begin to match up to the end.
                for end in (start + 1..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                    let tail = ends_of_matches(&after[1..], &text, BTreeSet::from([end]));
                    if tail.contains(&text.len()) {
                        candidates.extend(ItemNumber::parse(&text[start..end]));
                    }
                }
            }
        }
        candidates.into_iter().collect()
    }
}

/// Where in `text` a match of `parts` can end that began at one of `starts`. Sets of positions keep
/// the work polynomial for texts made of separators alone.
fn ends_of_matches(parts: &[Part], text: &str, starts: BTreeSet<usize>) -> BTreeSet<usize> {
    parts.iter().fold(starts, |positions, part| match part {
        Part::Literal(literal) => positions
            .into_iter()
            .filter_map(|at| Some(at + length_of(literal, &text[at..])?))
            .collect(),
        // A dimension's value can be any text, the empty one too.
        Part::Field(_) => match positions.first() {
            Some(first) => (*first..=text.len())
                .filter(|at| text.is_char_boundary(*at))
                .collect(),
            None => positions,
        },
    })
}

/// How many bytes of `text` are this literal in some letter case; none if it does not begin with it.
fn length_of(literal: &str, text: &str) -> Option<usize> {
    let mut letters = text.chars();
    let begins = literal
        .chars()
        .all(|letter| letters.next().map(folded) == Some(folded(letter)));
    begins.then(|| text.len() - letters.as_str().len())
}

/// One released product variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The master.
    pub item: ItemNumber,
    /// Which variant of it.
    pub dimensions: ProductDimensions,
    /// Its product variant number.
    pub sku: Sku,
}

/// Released product variants, both ways.
#[derive(Debug, Default)]
pub struct VariantIndex {
    by_item: HashMap<ItemNumber, HashMap<ProductDimensions, Sku>>,
    item_by_sku: HashMap<Sku, ItemNumber>,
}

impl VariantIndex {
    /// Indexes variants; a later one replaces an earlier one of the same item and dimensions.
    pub fn new(variants: impl IntoIterator<Item = Variant>) -> Self {
        let mut index = Self::default();
        for Variant {
            item,
            dimensions,
            sku,
        } in variants
        {
            index.item_by_sku.insert(sku.clone(), item.clone());
            index
                .by_item
                .entry(item)
                .or_default()
                .insert(dimensions, sku);
        }
        index
    }

    /// How many variants it holds.
    pub fn len(&self) -> usize {
        self.item_by_sku.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.item_by_sku.is_empty()
    }
}

/// A mapping with what it needs to work.
#[derive(Debug, Clone)]
pub enum SkuMapper {
    /// See [`SkuMapping::ItemNumber`].
    ItemNumber,
    /// See [`SkuMapping::Variants`].
    Variants(Arc<VariantIndex>),
    /// See [`SkuMapping::Template`].
    Template(SkuTemplate),
}

impl SkuMapper {
    /// The SKU of an on-hand row, or none if the row belongs to no SKU: a dimension combination
    /// that was never released, or a text no SKU may have.
    pub fn sku_of(&self, item: &ItemNumber, dimensions: &ProductDimensions) -> Option<Sku> {
        match self {
            Self::ItemNumber => Sku::parse(item.as_str()).ok(),
            Self::Variants(index) => match index.by_item.get(item) {
                Some(variants) => variants.get(dimensions).cloned(),
                None => Sku::parse(item.as_str()).ok(),
            },
            Self::Template(template) => Sku::parse(template.render(item, dimensions)).ok(),
        }
    }

    /// Whether a row's SKU is certain. A variant may have been released since the index was read: a row
    /// of a combination it does not have may be one of it.
    pub fn is_certain(&self, item: &ItemNumber, dimensions: &ProductDimensions) -> bool {
        match self {
            Self::ItemNumber | Self::Template(_) => true,
            Self::Variants(index) => match index.by_item.get(item) {
                Some(variants) => variants.contains_key(dimensions),
                None => *dimensions == ProductDimensions::default(),
            },
        }
    }

    /// Whether it is certain which items a SKU is made of: a number the index does not have may be
    /// that of a variant released since it was read.
    pub fn knows(&self, sku: &Sku) -> bool {
        match self {
            Self::ItemNumber | Self::Template(_) => true,
            Self::Variants(index) => index.item_by_sku.contains_key(sku),
        }
    }

    /// The items whose rows must be read to learn everything about a SKU.
    ///
    /// For [`SkuMapper::Variants`] the index must have been filled for this SKU before.
    pub fn items_of(&self, sku: &Sku) -> Vec<ItemNumber> {
        match self {
            Self::ItemNumber => ItemNumber::parse(sku.as_str()).into_iter().collect(),
            Self::Variants(index) => match index.item_by_sku.get(sku) {
                Some(item) => vec![item.clone()],
                None => ItemNumber::parse(sku.as_str()).into_iter().collect(),
            },
            Self::Template(template) => template.item_candidates(sku),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(text: &str) -> ItemNumber {
        ItemNumber::parse(text).unwrap()
    }

    fn sku(text: &str) -> Sku {
        Sku::parse(text).unwrap()
    }

    fn colored(color: &str, size: &str) -> ProductDimensions {
        ProductDimensions {
            color: color.into(),
            size: size.into(),
            ..ProductDimensions::default()
        }
    }

    fn template() -> SkuTemplate {
        SkuTemplate::parse("{ItemNumber}-{ProductColorId}-{ProductSizeId}").unwrap()
    }

    #[test]
    fn a_template_keeps_the_bare_number_of_an_item_without_dimensions() {
        let mapper = SkuMapper::Template(template());
        for (number, color, size, expected) in [
            (" D-1", "", "", " D-1"),
            ("T ", "Black ", "  ", "T-Black-"),
            ("T", "Black", "L", "T-Black-L"),
            ("T", "", "L", "T--L"),
        ] {
            let rendered = mapper.sku_of(&item(number), &colored(color, size));
            assert_eq!(rendered.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn separators_inside_values_leave_several_readings() {
        let mapper = SkuMapper::Template(template());
        let items = mapper.items_of(&sku("T-SHIRT-Black-L"));
        assert_eq!(items, [item("T"), item("T-SHIRT"), item("T-SHIRT-Black-L")]);
    }

    #[test]
    fn a_template_is_read_back_whatever_the_case_of_its_words_and_the_blanks_at_its_end() {
        let words = SkuTemplate::parse("No.{ItemNumber} in {ProductColorId} ").unwrap();
        let mapper = SkuMapper::Template(words);
        assert!(
            mapper
                .items_of(&sku("NO.a1 IN black"))
                .contains(&item("A1"))
        );
        let blanks = SkuTemplate::parse("{ItemNumber} {ProductColorId} {ProductSizeId}").unwrap();
        let mapper = SkuMapper::Template(blanks);
        let rendered = mapper.sku_of(&item("A1"), &colored("Black", "")).unwrap();
        assert_eq!(rendered, sku("A1 Black"));
        assert!(mapper.items_of(&rendered).contains(&item("A1")));
    }

    #[test]
    fn wrong_templates_are_refused_by_name() {
        use SkuMappingError::{MissingSeparator, NotUnique, UnbalancedBrace, UnknownField};
        for (text, expected) in [
            (
                "{ItemNumber",
                UnbalancedBrace as fn(String) -> SkuMappingError,
            ),
            ("ItemNumber}", UnbalancedBrace),
            ("{Item}", |_| UnknownField("Item".into())),
            ("{ProductColorId}", NotUnique),
            ("{ItemNumber}-{ItemNumber}", NotUnique),
            ("{ItemNumber}{ProductColorId}", MissingSeparator),
        ] {
            let refused = SkuTemplate::parse(text).unwrap_err();
            assert_eq!(refused, expected(text.to_owned()));
        }
    }

    #[test]
    fn a_master_row_without_a_released_variant_belongs_to_no_sku() {
        let index = VariantIndex::new([Variant {
            item: item("T-SHIRT"),
            dimensions: colored("Black", "L"),
            sku: sku("T-SHIRT : : L : Black"),
        }]);
        let mapper = SkuMapper::Variants(Arc::new(index));
        for (number, color) in [("T-SHIRT", "Black"), ("t-Shirt ", "BLACK")] {
            assert_eq!(
                mapper.sku_of(&item(number), &colored(color, "L")),
                Some(sku("T-SHIRT : : L : Black"))
            );
        }
        assert!(mapper.knows(&sku("t-shirt : : l : black")));
        assert_eq!(mapper.sku_of(&item("T-SHIRT"), &colored("", "")), None);
        assert_eq!(
            mapper.sku_of(&item("D0001"), &colored("", "")),
            Some(sku("D0001"))
        );
        assert_eq!(
            mapper.items_of(&sku("T-SHIRT : : L : Black")),
            [item("T-SHIRT")]
        );
        assert!(mapper.is_certain(&item("T-SHIRT"), &colored("Black", "L")));
        assert!(!mapper.is_certain(&item("T-SHIRT"), &colored("Black", "XL")));
        assert!(!mapper.is_certain(&item("NEW"), &colored("Black", "L")));
        assert!(mapper.is_certain(&item("D0001"), &colored("", "")));
        assert!(mapper.knows(&sku("T-SHIRT : : L : Black")) && !mapper.knows(&sku("D0001")));
        assert_eq!(mapper.items_of(&sku("D0001")), [item("D0001")]);
    }

    proptest! {
        #[test]
        fn the_true_item_is_always_among_the_candidates(
            number in "[ A-Z0-9-]{0,11}[A-Z0-9-]", color in "[A-Za-z-]{0,5}", size in "[A-Z0-9-]{0,3}",
        ) {
            let mapper = SkuMapper::Template(template());
            let number = item(&number);
            let rendered = mapper.sku_of(&number, &colored(&color, &size)).unwrap();
            prop_assert!(mapper.items_of(&rendered).contains(&number));
            let lower = sku(&format!("{} ", rendered.as_str().to_lowercase()));
            prop_assert!(mapper.items_of(&lower).contains(&number));
        }
    }
}
