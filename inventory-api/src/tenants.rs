//! Whose stock a question is about, and whether its caller may ask.

pub(crate) mod directory;
pub(crate) mod refresh;
pub(crate) mod scope;
pub(crate) mod sources;
pub(crate) mod visible;
