//! Which ports the programs listen on.

use crate::{Failure, console::say};
use launcher::free_port::is_taken;

#[derive(Debug, clap::Args)]
pub(crate) struct PortFlags {
    /// Port of the API [default: 8080]; 0 is a free one, here and below.
    #[arg(long)]
    api_port: Option<u16>,
    /// Port of the API's probes and metrics [default: 8081].
    #[arg(long)]
    api_management_port: Option<u16>,
    /// Port of the first worker [default: 8090]; the second takes a free one.
    #[arg(long)]
    worker_port: Option<u16>,
    /// Port of the first worker's probes and metrics [default: 8091].
    #[arg(long)]
    worker_management_port: Option<u16>,
    /// Port of the simulated D365 [default: 8070].
    #[arg(long)]
    simulator_port: Option<u16>,
    /// Take free ports for everything that has no port of its own above.
    #[arg(long)]
    free_ports: bool,
}

/// A port for each surface; 0 is a free one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) api_management: u16,
    pub(crate) worker: u16,
    pub(crate) worker_management: u16,
    pub(crate) simulator: u16,
}

impl Ports {
    /// A port that was asked for is used or refused. A default one that is taken is replaced by a
    /// free one, and the console says so. `--api-port` is `API_PORT=` for make.
    pub(crate) fn choose(flags: &PortFlags) -> Result<Self, Failure> {
        let choose = |asked: Option<u16>, usual: u16, name: &str| match asked {
            Some(port) if port != 0 && is_taken(port) => Err(format!(
                "port {port}, asked for with {name}, is taken by another program"
            )),
            Some(port) => Ok(port),
            None if flags.free_ports => Ok(0),
            None if is_taken(usual) => {
                say(&format!(
                    "Port {usual} is taken by another program: using a free one. {name}=<port> chooses with make."
                ));
                Ok(0)
            }
            None => Ok(usual),
        };
        Ok(Self {
            api: choose(flags.api_port, 8080, "API_PORT")?,
            api_management: choose(flags.api_management_port, 8081, "API_MANAGEMENT_PORT")?,
            worker: choose(flags.worker_port, 8090, "WORKER_PORT")?,
            worker_management: choose(
                flags.worker_management_port,
                8091,
                "WORKER_MANAGEMENT_PORT",
            )?,
            simulator: choose(flags.simulator_port, 8070, "SIMULATOR_PORT")?,
        })
    }
}
