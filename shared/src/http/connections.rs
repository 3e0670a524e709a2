//! The connections of one listener: how many an address may hold, how many may be quiet, and how long.
//!
//! The HTTP library times a connection's first head and the pause between two requests. It does not time a
//! later head, the rest of a body that no handler reads, or a reply that its caller does not fetch. It decodes
//! every request it has read, and each takes about 7 kB. So each connection runs through a
//! [`WatchedStream`], which gives the library one request at a time, and has one deadline: without a request
//! in a handler for longer than `keep_alive` and `header_timeout` together it is closed.
//!
//! A connection with a request in a handler is left alone: handlers have deadlines of their own.
//!
//! A quiet connection costs the library's buffers, about 20 kB. Beyond `quiet` of them, those of the address
//! that has most are closed, the longest quiet first. So a caller with thousands loses them, and a shop's
//! few stay.

mod activity;
mod head_lines;
mod idle_eviction;
mod middleware;
mod open;
mod stream;

pub use middleware::note_request;
pub use open::{ConnectionLimits, Connections};
pub use stream::WatchedStream;

#[cfg(test)]
mod tests;
