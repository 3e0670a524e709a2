//! The `OData` dialect: what may be asked under `/data/` and how it is answered.
//!
//! `query` reads the options, `parser` the condition, `select` finds the rows, `page_writer` writes
//! them, `errors` says no in the two envelopes there are. It must never trim a key or touch a number
//! with floating point.

pub(crate) mod condition;
pub(crate) mod entities;
pub(crate) mod errors;
pub(crate) mod page;
pub(crate) mod page_writer;
pub(crate) mod parser;
pub(crate) mod query;
pub(crate) mod reach;
pub(crate) mod select;
pub(crate) mod service;
