//! What part of an app registration's budget a client may use.

use crate::d365::Purpose;

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

/// Of a hundred, what calls may have that give way to orders.
const WITHOUT_ORDERS_PART: u32 = 75;

impl Share {
    /// The most prefetching calls at once.
    pub fn most_prefetching(self) -> u32 {
        self.most.saturating_sub(self.kept_for_live).max(1)
    }

    /// Of a hundred, how much this call may have of what its purpose may.
    pub fn percent(self) -> u32 {
        if self.gives_way {
            WITHOUT_ORDERS_PART
        } else {
            100
        }
    }

    /// The most calls of this purpose at once.
    pub(in crate::d365) fn most_of_purpose(self) -> u32 {
        match self.purpose {
            Purpose::Live => self.most.max(1),
            Purpose::Prefetch => self.most_prefetching(),
        }
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
pub trait CallRight: Send + Sync + std::fmt::Debug {
    /// Gives the right back. Returns the limit of calls at once, as far as it is known here.
    fn end(self: Box<Self>, end: CallEnd) -> usize;
}
