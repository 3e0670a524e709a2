//! What is known about a SKU, and how it is put into words.

pub(crate) mod availability;
pub(crate) mod evidence;
pub(crate) mod feed;
pub(crate) mod number;
pub(crate) mod popularity;
pub(crate) mod wire;
