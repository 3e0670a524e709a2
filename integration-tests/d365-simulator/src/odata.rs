//! The `OData` dialect: what may be asked under `/data/` and how it is answered.
//!
//! `query` reads the options, `filter` the condition, `select` finds the rows, `page_writer` writes
//! them, `errors` says no in the two envelopes there are. Quirks that nobody has settled are
//! [`Switches`](crate::Switches). It must never trim a key or touch a number with floating point.

pub(crate) mod entities;
pub(crate) mod errors;
pub(crate) mod filter;
pub(crate) mod numbers;
pub(crate) mod page;
pub(crate) mod page_writer;
pub(crate) mod paging;
pub(crate) mod query;
pub(crate) mod select;
pub(crate) mod service;
