//! How many files, sockets included, the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors of one connection: the HTTP library's and the watch's.
const EACH: u64 = 2;

/// Raises the limit to what the system allows, and says so if that is too few for so many
/// connections. Systems start processes with a low limit for the sake of old programs only.
pub fn make_room(connections: usize) {
    let limits = getrlimit(Resource::Nofile);
    let mut raised = limits;
    raised.current = limits.maximum;
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limits.maximum,
        Err(cause) => {
            tracing::debug!(%cause, "the limit of open files cannot be raised");
            limits.current
        }
    };
    let needed = needed(connections);
    if let Some(limit) = limit.filter(|limit| needed > *limit) {
        tracing::warn!(
            limit,
            needed,
            "fewer files may be open than all connections need: raise the limit of open files, or \
             allow fewer connections"
        );
    }
}

fn needed(connections: usize) -> u64 {
    u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_mul(EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_becomes_what_the_system_allows() {
        make_room(1);
        let limits = getrlimit(Resource::Nofile);
        assert_eq!(limits.current, limits.maximum);
        assert_eq!(needed(5_000), 10_000);
        assert_eq!(needed(usize::MAX), u64::MAX);
    }
}
