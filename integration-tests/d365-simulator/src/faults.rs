//! Scripted misbehaviour: which requests it hits, what it does, and how often it did.
//!
//! `spec` is what a script says, `book` decides which faults fire on a request, `spoil` damages rows and links,
//! `refuse` makes the answers that replace the page.
//! A fault that shows rows of another company or warehouse adds 1,000,000 to their quantities, so that a wrong
//! number that is used anywhere is seen.

mod book;
mod refuse;
mod spec;
mod spoil;

pub use book::FaultReport;
pub use spec::{
    Action, CutPoint, DelayPoint, FaultSpec, Kind, LinkTrick, RetryAfter, ThrottleBody,
};

pub(crate) use book::{Call, Fault, FaultBook};
pub(crate) use refuse::refuse;
pub(crate) use spoil::{spoil_answer, spoil_link, spoil_rows};
