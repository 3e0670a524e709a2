//! Product dimensions: what tells the variants of one item apart.

/// The five product dimensions of an on-hand row. An empty text is a value of its own: stock can
/// sit on the empty dimension next to valued ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductDimensions {
    /// `ProductConfigurationId`
    pub configuration: Box<str>,
    /// `ProductSizeId`
    pub size: Box<str>,
    /// `ProductColorId`
    pub color: Box<str>,
    /// `ProductStyleId`
    pub style: Box<str>,
    /// `ProductVersionId`
    pub version: Box<str>,
}

impl ProductDimensions {
    /// Whether no dimension has a value.
    pub fn are_all_empty(&self) -> bool {
        [
            &self.configuration,
            &self.size,
            &self.color,
            &self.style,
            &self.version,
        ]
        .iter()
        .all(|value| value.is_empty())
    }
}
