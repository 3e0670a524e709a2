//! One attempt at a snapshot of a warehouse: a cycle, read in parts, page by page, each part under a lease.
//!
//! A worker that finds a warehouse due opens its cycle or seals it (`advance`); any worker reads a part (`part`).
//! Nothing here makes a line absent or moves a watermark unless the whole warehouse was read; `verdict` decides
//! that from what the parts noted.

pub mod accumulator;
pub(crate) mod advance;
pub mod line_hash;
pub mod next_step;
pub mod outcome;
pub(crate) mod page_reader;
pub mod page_walk;
pub(crate) mod part;
pub mod part_facts;
pub(crate) mod progress;
pub mod retry;
pub(crate) mod seal;
pub mod verdict;
pub(crate) mod writer;
