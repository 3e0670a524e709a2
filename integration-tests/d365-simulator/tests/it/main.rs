//! The simulator over HTTP, as a service sees it.

#[cfg(test)]
#[cfg(test)]
mod client;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod paging;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tokens;
