//! Asking D365 now.

pub(crate) mod failure;
