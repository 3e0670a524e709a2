//! `d365-simulator` as a running process.
//!
//! Tests that want to reach into its world start the library instead, in their own process.

use super::{Program, ServiceError};
use crate::server_process::{ServerProcess, ServerProcessError};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

/// A million rows are made in seconds; a loaded machine needs longer.
const LISTENING_WITHIN: Duration = Duration::from_mins(2);

/// Size and place of a simulated D365.
#[derive(Debug, Clone, Copy)]
pub struct SimulatorFlags {
    /// Port; 0 is a free one.
    pub port: u16,
    /// Item numbers.
    pub items: usize,
    /// Warehouses.
    pub warehouses: usize,
}

/// A running simulator. Killed when dropped.
#[derive(Debug)]
pub struct Simulator {
    process: ServerProcess,
    url: String,
}

impl Simulator {
    /// Starts it, out of reach of a Ctrl-C at the terminal, and waits until its world is there.
    pub async fn start(flags: SimulatorFlags) -> Result<Self, ServiceError> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, flags.port));
        let mut command = Command::new(Program::D365Simulator.path()?);
        command
            .args(["--listen", &listen.to_string()])
            .args(["--items", &flags.items.to_string()])
            .args(["--warehouses", &flags.warehouses.to_string()]);
        let process = ServerProcess::start_shielded(Program::D365Simulator.name(), &mut command)?;
        let url = process
            .wait_for("listening on", LISTENING_WITHIN, |line| {
                let (_, url) = line.split_once("listening on ")?;
                Some(url.trim().to_owned())
            })
            .await?;
        Ok(Self { process, url })
    }

    /// Its address: of the environment, of the authority and, with `/control/`, of its controls.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process: its log, its id.
    pub fn process(&mut self) -> &mut ServerProcess {
        &mut self.process
    }

    /// Stops it kindly.
    pub async fn stop(&mut self) -> Result<(), ServerProcessError> {
        self.process.stop().await.map(drop)
    }
}
