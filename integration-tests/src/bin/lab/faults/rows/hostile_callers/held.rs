//! Which connections a service holds, as the system knows it. Whoever asks the caller's end learns
//! nothing about one that reads nothing.

use crate::faults::outcome::RowError;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// Connections that belong to a process.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// Where each comes from, and whether something waits in it to be read by the caller. The system
    /// may list one twice while others come and go.
    connections: BTreeMap<SocketAddrV4, bool>,
}

impl Held {
    /// Those a service holds at this address.
    pub(super) async fn by(process: u32, address: SocketAddr) -> Result<Self, RowError> {
        // Thousands of lines: they must not keep those waiting who measure others' replies.
        let reading = tokio::task::spawn_blocking(move || {
            let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp"))?;
            Ok::<_, std::io::Error>(Self::read(&table, address))
        });
        Ok(reading.await??)
    }

    fn read(table: &str, address: SocketAddr) -> Self {
        let connections = table.lines().skip(1).filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, local, caller, _state, queues, _, _, _, _, inode, ..] = words[..] else {
                return None;
            };
            // One that was closed, or was not taken yet, lives on without an inode.
            if inode == "0" || SocketAddr::V4(parsed(local)?) != address {
                return None;
            }
            let caller = parsed(caller)?;
            let waiting = u32::from_str_radix(queues.split(':').next()?, 16).ok()?;
            // The listening socket has a caller, too: nobody.
            (caller.port() != 0).then_some((caller, waiting > 0))
        });
        Self {
            connections: connections.collect(),
        }
    }

    /// How many come from addresses that end with one of these numbers.
    pub(super) fn from(&self, places: &[u8]) -> u64 {
        self.connections
            .keys()
            .filter(|caller| places.contains(&caller.ip().octets()[3]))
            .count() as u64
    }

    /// And how many of them have not read what they were told.
    pub(super) fn unread_from(&self, places: &[u8]) -> u64 {
        self.connections
            .iter()
            .filter(|(caller, is_waiting)| {
                **is_waiting && places.contains(&caller.ip().octets()[3])
            })
            .count() as u64
    }
}

/// An address as the table writes it: the number as it lies in memory, and the port.
fn parsed(text: &str) -> Option<SocketAddrV4> {
    let (address, port) = text.split_once(':')?;
    let octets = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(octets), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_closed_or_are_another_service_s_do_not_count() {
        let written =
            |octets: [u8; 4], port: u16| format!("{:08X}:{port:04X}", u32::from_ne_bytes(octets));
        let line = |local: String, caller: String, queues: &str, inode: u32| {
            format!(
                "   0: {local} {caller} 01 {queues} 00:00000000 00000000  1000  0 {inode} 1 0\n"
            )
        };
        let here = || written([127, 0, 0, 1], 8080);
        let from = |last| written([127, 0, 0, last], 40_000);
        let still = "00000000:00000000";
        let table = [
            "  sl  local_address rem_address   st tx_queue rx_queue\n".to_owned(),
            line(here(), written([0; 4], 0), still, 7),
            line(here(), from(2), still, 7),
            line(here(), from(2), still, 7),
            line(here(), from(4), still, 0),
            line(here(), from(3), "0000A000:00000000", 8),
            line(written([127, 0, 0, 1], 8081), from(2), still, 9),
            line(from(2), here(), still, 9),
        ]
        .concat();
        let held = Held::read(&table, ([127, 0, 0, 1], 8080).into());
        assert_eq!((held.from(&[2]), held.from(&[3, 4])), (1, 1));
        assert_eq!((held.unread_from(&[2]), held.unread_from(&[3, 4])), (0, 1));
    }
}
