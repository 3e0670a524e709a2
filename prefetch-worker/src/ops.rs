//! What operators ask of the program: commands, status, progress of a first read.

pub(crate) mod accept;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod first_read;
pub(crate) mod once;
pub(crate) mod status;
pub(crate) mod terminal;
