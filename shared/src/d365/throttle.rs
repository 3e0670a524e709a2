//! Staying away when D365 says so, and not asking for more at once than it bears.
//!
//! The budget of calls at once belongs to an app registration and is shared by all replicas
//! (`redis_store::SharedThrottleGate`). While Redis is away each process takes a fixed share of it
//! ([`ProcessThrottleGate`](crate::d365::ProcessThrottleGate)).

use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What D365 is asked for. Each purpose can have an app registration of its own, and each client
/// its own share of calls, so that prefetching never takes what an order needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Look-ups somebody waits for.
    Live,
    /// Pages of snapshots.
    Prefetch,
}

impl Purpose {
    /// The word used in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Prefetch => "prefetch",
        }
    }
}

/// An app registration as one D365 environment sees it. D365 counts and ranks calls by the client id,
/// so the throttle gate and the limit of calls at once are kept by it too; what one environment says
/// of waiting is nothing to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppId {
    client_id: Arc<str>,
    environment: Arc<str>,
}

impl AppId {
    /// Takes a client id as it is configured, and the environment's host.
    pub fn new(client_id: &str, environment: &str) -> Self {
        Self {
            client_id: client_id.into(),
            environment: environment.into(),
        }
    }

    /// The client id.
    pub fn as_str(&self) -> &str {
        &self.client_id
    }

    /// The environment's host, with a port that is not the usual one.
    pub fn environment(&self) -> &str {
        &self.environment
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client_id)
    }
}

/// Who asks for a call, and how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What the call is for.
    pub purpose: Purpose,
    /// The most calls of this app registration at once, over all replicas; 1 or more.
    pub most: u32,
    /// How many of them prefetching never takes; 0 where live look-ups have a registration of their
    /// own.
    pub kept_for_live: u32,
    /// Whether the call gives way to orders: of what its purpose may have, it leaves a quarter to them.
    pub gives_way: bool,
}

impl Share {
    /// The most prefetching calls at once.
    pub fn most_prefetching(self) -> u32 {
        self.most.saturating_sub(self.kept_for_live).max(1)
    }

    /// Of a hundred, how much this call may have of what its purpose may.
    pub fn percent(self) -> u32 {
        if self.gives_way { 75 } else { 100 }
    }
}

/// How a call ended, as far as the budget is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// Well.
    Well,
    /// With a 429, or not in time: D365 is asked for too much.
    Overload,
    /// It says nothing about D365: given up, held back, or failed for another reason.
    Neither,
}

impl CallEnd {
    /// The word used in Redis.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Overload => "overload",
            Self::Neither => "neither",
        }
    }
}

/// The right to one call. Dropped, it ends as [`CallEnd::Neither`].
pub trait CallRight: Send + Sync + fmt::Debug {
    /// Gives the right back. Returns the limit of calls at once, as far as it is known here.
    fn end(self: Box<Self>, end: CallEnd) -> usize;
}

/// How much may be asked of D365 at once, and whether at all just now.
///
/// "Wait until" is asked for before each call and set by each 429: carrying on during the wait makes
/// D365 lengthen the next one, so a wait one replica got holds for all that share the gate. So does the
/// number of calls at once: D365 counts by app registration, not by process. Nothing here fails: while
/// the shared store is away, what this process knows decides.
pub trait ThrottleGate: Send + Sync + fmt::Debug {
    /// How long calls of this app registration must still stay away; none if the gate is open.
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>>;

    /// Closes the gate for this long from now. Never shortens a longer closure.
    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()>;

    /// Takes the right to one call; none if as many are under way as may be.
    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>>;
}
