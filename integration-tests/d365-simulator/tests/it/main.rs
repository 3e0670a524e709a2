//! The simulator over HTTP, as a service sees it.

#[cfg(test)]
mod client;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod control;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod samples;
