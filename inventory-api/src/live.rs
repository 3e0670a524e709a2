//! Asking D365 now.

pub(crate) mod failure;
pub(crate) mod write_through;
