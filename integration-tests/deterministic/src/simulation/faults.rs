//! What can go wrong.

use crate::chance::Chance;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A worker is killed, and comes back later with nothing.
    Kill,
    /// A worker stands still, often past its lease.
    Pause,
    /// A worker is asked to stop, and comes back later.
    Stop,
    /// A replica that is behind becomes the primary.
    Failover,
    /// Redis comes back empty.
    Emptied,
    /// The due set, a shard's record or a cycle goes away.
    Evicted,
    /// Redis' clock is set 30 s forward or back.
    ClockStep,
    /// A call to Redis is lost, or only its answer.
    LostCall,
    /// A page fails.
    LostPage,
    /// D365 says 429.
    Throttled,
    /// A page takes long.
    SlowPage,
    /// A live answer is written long after it was read.
    LateWrite,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Kill,
        Self::Pause,
        Self::Stop,
        Self::Failover,
        Self::Emptied,
        Self::Evicted,
        Self::ClockStep,
        Self::LostCall,
        Self::LostPage,
        Self::Throttled,
        Self::SlowPage,
        Self::LateWrite,
    ];

    /// Those that begin at an instant; the others happen to a call.
    pub(super) fn are_sudden() -> &'static [Self] {
        &Self::ALL[..7]
    }

    /// Whether two workers may read one part after it.
    pub(super) fn excuses_two_readers(self) -> bool {
        !matches!(
            self,
            Self::LostPage | Self::Throttled | Self::SlowPage | Self::LateWrite
        )
    }
}

/// Which faults a run has: each seed has some, so that they do not hide each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather(u16);

impl Weather {
    /// Half of all faults.
    pub(super) fn of(chance: &mut Chance) -> Self {
        Self::with(Fault::ALL.into_iter().filter(|_| chance.happens(500)))
    }

    /// These faults.
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        let bits = faults.into_iter().map(|fault| 1 << fault as u16);
        Self(bits.fold(0, |all: u16, bit: u16| all | bit))
    }

    /// Whether this fault may happen.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u16) != 0
    }
}
