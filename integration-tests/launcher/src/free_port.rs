//! A TCP port nobody listens on right now.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Asks the system for a free loopback port and gives it back at once.
///
/// Another process may take it before it is used. Programs that can listen on port 0 and say which they
/// got need no such guess.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Whether something listens on, or otherwise holds, this loopback port.
pub fn is_taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err()
}
