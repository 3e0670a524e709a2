//! Which ports the house listens on.

use crate::console;
use crate::error::DemoError;
use crate::flags::Flags;
use launcher::free_port::is_taken;

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
    /// free one, and the console says so.
    pub(crate) fn choose(flags: &Flags) -> Result<Self, DemoError> {
        let choose = |asked: Option<u16>, usual: u16, flag: &'static str| match asked {
            Some(port) if port != 0 && is_taken(port) => Err(DemoError::PortTaken { port, flag }),
            Some(port) => Ok(port),
            None if flags.free_ports => Ok(0),
            None if is_taken(usual) => {
                console::say(&format!(
                    "Port {usual} is taken by another program: using a free one. {flag} chooses ({} with make).",
                    make_variable(flag)
                ));
                Ok(0)
            }
            None => Ok(usual),
        };
        Ok(Self {
            api: choose(flags.api_port, 8080, "--api-port")?,
            api_management: choose(flags.api_management_port, 8081, "--api-management-port")?,
            worker: choose(flags.worker_port, 8090, "--worker-port")?,
            worker_management: choose(
                flags.worker_management_port,
                8091,
                "--worker-management-port",
            )?,
            simulator: choose(flags.simulator_port, 8070, "--simulator-port")?,
        })
    }
}

/// `--api-port` is `API_PORT=` for make.
fn make_variable(flag: &str) -> String {
    let name = flag.trim_start_matches('-').replace('-', "_");
    name.to_uppercase() + "="
}

#[cfg(test)]
mod tests {
    use super::make_variable;

    #[test]
    fn make_calls_a_flag_by_its_name_in_capitals() {
        assert_eq!(make_variable("--api-port"), "API_PORT=");
    }
}
