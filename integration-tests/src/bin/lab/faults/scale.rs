//! How large the rows are and how long they take.

use d365_simulator::Config;
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::test_bed::{Failure, TestBed, world};
use std::fmt;
use std::time::Duration;

/// The two warehouses every row reads.
pub(super) const WAREHOUSES: [&str; 2] = ["11", "24"];

#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) seed: u64,
    pub(super) items: usize,
    /// Time from one snapshot's start to the next.
    pub(super) interval: Duration,
    /// How long a fault lasts where it has no length of its own.
    pub(super) fault: Duration,
    /// Questions a second, and SKUs of each.
    pub(super) browse: (u32, usize),
    pub(super) is_full: bool,
}

impl Scale {
    pub(super) fn new(seed: u64, is_quick: bool) -> Self {
        if is_quick {
            Self {
                seed,
                items: 2_000,
                interval: Duration::from_secs(3),
                fault: Duration::from_secs(6),
                browse: (60, 20),
                is_full: false,
            }
        } else {
            Self {
                seed,
                items: 50_000,
                interval: Duration::from_mins(1),
                fault: Duration::from_mins(2),
                browse: (200, 50),
                is_full: true,
            }
        }
    }

    /// With another time from one snapshot to the next.
    pub(super) fn every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Long enough for two snapshots.
    pub(super) fn two_cycles(self) -> Duration {
        self.interval * 3 + Duration::from_secs(30)
    }

    /// A world of this size that stands still; D365 takes so long for a call.
    pub(super) fn world(self, call_ms: u64) -> Config {
        let mut d365 = world(self.items);
        if let Some(world) = &mut d365.world {
            world.seed = self.seed;
        }
        d365.load.base_ms = call_ms;
        d365
    }

    /// A test bed on a Redis process; `worker` are the lines of the section `[worker]`.
    pub(super) async fn bed(
        self,
        d365: Config,
        worker: &str,
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<TestBed, Failure> {
        self.bed_on(RedisFixture::start_process().await?, d365, worker, change)
    }

    /// The same on this Redis.
    pub(super) fn bed_on(
        self,
        redis: RedisFixture,
        d365: Config,
        worker: &str,
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<TestBed, Failure> {
        TestBed::on(redis, d365, &WAREHOUSES, |config| {
            config.refresh_interval = format!("{}ms", self.interval.as_millis());
            config.more = format!("[worker]\n{worker}\n");
            change(config);
        })
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} items x {} warehouses, a snapshot every {:?}, browse {}/s x {} SKUs",
            self.items,
            WAREHOUSES.len(),
            self.interval,
            self.browse.0,
            self.browse.1
        )
    }
}
