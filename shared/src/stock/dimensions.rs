//! Product dimensions: what tells the variants of one item apart.

use crate::stock::spelling::Spelling;

/// The five product dimensions of an on-hand row. An empty text is a value of its own: stock can
/// sit on the empty dimension next to valued ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductDimensions {
    /// `ProductConfigurationId`
    pub configuration: Spelling,
    /// `ProductSizeId`
    pub size: Spelling,
    /// `ProductColorId`
    pub color: Spelling,
    /// `ProductStyleId`
    pub style: Spelling,
    /// `ProductVersionId`
    pub version: Spelling,
}
