//! What is due, and who has it. There is no leader: every worker asks the same sorted set.
//!
//! A lease saves work and proves nothing: two holders after a failover do no harm, because lines
//! are judged by their as-of. All times are those of Redis' own clock, taken inside the scripts.

use super::calls::Calls;
use super::error::StoreError;
use super::script::{StoreCall, read};
use super::scripts;
use super::store::StockStore;
use crate::stock::TenantId;
use redis::Value;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// How many shards that others were faster with a worker tries before it asks again.
const CLAIM_TRIES: usize = 8;
/// Longest error that is noted, in characters.
const LONGEST_ERROR: usize = 500;

/// A lease's counter: stops a worker early that was paused past its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencingToken(u64);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The shard: a warehouse, or a part of its cycle.
    pub shard: String,
    /// Shown when extending and giving back.
    pub token: FencingToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Work.
    Shard(Claim),
    /// None; the next shard is due after this time (none if nothing is scheduled).
    NothingDue {
        /// Time until then, by Redis' clock.
        next_due_in: Option<Duration>,
    },
}

/// The lease belongs to somebody else by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease has passed to another worker")]
pub struct LeaseLost;

/// How far a holder is. What it names is stored: another may go on from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardProgress {
    pub rows: u64,
    pub cursor: String,
    /// What else the next holder must know, in this holder's own form.
    pub notes: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    Well,
    Failed { error: String },
    Later,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardRecord {
    pub holder: Option<String>,
    /// Until when, in ms since 1970 on Redis' clock.
    pub lease_until_ms: Option<u64>,
    /// When it is due, in ms since 1970 on Redis' clock; while it is held, when the lease ends.
    pub due_ms: Option<u64>,
    pub rows: u64,
    pub cursor: Option<String>,
    /// What else its holder noted, in the holder's own form.
    pub notes: Option<String>,
    /// How often it was taken without getting on.
    pub taken: u32,
    pub failures: u32,
    pub last_error: Option<String>,
}

impl StockStore {
    /// Schedules shards that are not scheduled, as due at once. Rebuilds a lost set.
    pub async fn ensure_scheduled(
        &self,
        tenant: &TenantId,
        shards: &[String],
    ) -> Result<usize, StoreError> {
        if shards.is_empty() {
            return Ok(0);
        }
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys().due(tenant)).arg("NX");
        for shard in shards {
            add.arg(0).arg(shard);
        }
        self.ask(&add).await
    }

    /// Takes a shard off the schedule. Its record stays, for those who look for it.
    pub async fn unschedule(&self, tenant: &TenantId, shard: &str) -> Result<(), StoreError> {
        let key = self.keys().due(tenant);
        self.ask(redis::cmd("ZREM").arg(key).arg(shard)).await
    }

    /// Claims the earliest due shard for `lease`.
    pub async fn claim(
        &self,
        tenant: &TenantId,
        holder: &str,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME").cmd("ZRANGE");
        pipeline.arg(self.keys().due(tenant)).arg(0);
        pipeline.arg(CLAIM_TRIES - 1).arg("WITHSCORES");
        let (now, earliest): ((u64, u64), Vec<(String, f64)>) = self.ask_all(&pipeline).await?;
        for (shard, due) in earliest {
            match self
                .claim_seen(tenant, shard, holder, lease, due, now)
                .await?
            {
                // Somebody was faster.
                Claimed::NothingDue { next_due_in: None } => {}
                claimed => return Ok(claimed),
            }
        }
        Ok(Claimed::NothingDue { next_due_in: None })
    }

    /// Claims this shard for `lease`, if it is due.
    pub async fn claim_shard(
        &self,
        tenant: &TenantId,
        shard: &str,
        holder: &str,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("TIME").cmd("ZSCORE");
        pipeline.arg(self.keys().due(tenant)).arg(shard);
        let (now, due): ((u64, u64), Option<f64>) = self.ask_all(&pipeline).await?;
        match due {
            Some(due) => {
                let shard = shard.to_owned();
                self.claim_seen(tenant, shard, holder, lease, due, now)
                    .await
            }
            None => Ok(Claimed::NothingDue { next_due_in: None }),
        }
    }

    async fn claim_seen(
        &self,
        tenant: &TenantId,
        shard: String,
        holder: &str,
        lease: Duration,
        due: f64,
        (seconds, micros): (u64, u64),
    ) -> Result<Claimed, StoreError> {
        let (due_ms, now_ms) = (whole_ms(due), seconds * 1_000 + micros / 1_000);
        if due_ms > now_ms {
            let next_due_in = Some(Duration::from_millis(due_ms - now_ms));
            return Ok(Claimed::NothingDue { next_due_in });
        }
        let claim = self.calls(tenant).claim(&shard, holder, lease, due_ms);
        Ok(match self.run(claim).await? {
            Some(token) => Claimed::Shard(Claim { shard, token }),
            None => Claimed::NothingDue { next_due_in: None },
        })
    }

    /// Keeps a claim for another `lease`, and notes how far it is if that is new.
    pub async fn extend(
        &self,
        tenant: &TenantId,
        claim: &Claim,
        lease: Duration,
        progress: Option<&ShardProgress>,
    ) -> Result<Result<(), LeaseLost>, StoreError> {
        let call = self.calls(tenant).extend(claim, lease, progress);
        self.run(call).await
    }

    /// Gives a claim back, due again after `next_due_in`. Returns how often the shard has failed in
    /// a row.
    pub async fn finish(
        &self,
        tenant: &TenantId,
        claim: &Claim,
        next_due_in: Duration,
        how: &Finished,
    ) -> Result<Result<u32, LeaseLost>, StoreError> {
        let call = self.calls(tenant).finish(claim, next_due_in, how);
        self.run(call).await
    }

    /// Takes a claimed shard off the schedule for good.
    pub async fn drop_shard(&self, tenant: &TenantId, claim: &Claim) -> Result<(), StoreError> {
        let call = self.calls(tenant).drop_shard(claim);
        self.run(call).await.map(|_was_held| ())
    }

    /// Makes a warehouse due at once; if its cycle is under way, when that has ended.
    pub async fn make_due(&self, tenant: &TenantId, shard: &str) -> Result<(), StoreError> {
        let call = self.calls(tenant).make_due(shard);
        self.run(call).await.map(|_done| ())
    }

    pub async fn shard_record(
        &self,
        tenant: &TenantId,
        shard: &str,
    ) -> Result<ShardRecord, StoreError> {
        let records = self.shard_records(tenant, &[shard.to_owned()]).await?;
        Ok(records.into_iter().next().unwrap_or_default())
    }

    /// What is noted about some shards, in the order asked for.
    pub async fn shard_records(
        &self,
        tenant: &TenantId,
        shards: &[String],
    ) -> Result<Vec<ShardRecord>, StoreError> {
        if shards.is_empty() {
            return Ok(Vec::new());
        }
        let due = self.keys().due(tenant);
        let mut pipeline = redis::Pipeline::with_capacity(shards.len() * 2);
        for shard in shards {
            let record = self.keys().shard(tenant, shard);
            pipeline.cmd("ZSCORE").arg(&due).arg(shard);
            pipeline.cmd("HGETALL").arg(record);
        }
        let records: Vec<(Option<f64>, HashMap<String, String>)> = self.ask_all(&pipeline).await?;
        let records = records.iter().map(|(due, fields)| {
            let field = |name: &str| fields.get(name).map(String::as_str);
            ShardRecord::of(due.map(whole_ms), field)
        });
        Ok(records.collect())
    }
}

impl Calls<'_> {
    /// Claims a shard that was seen to be due then; none if somebody was faster.
    pub fn claim(
        &self,
        shard: &str,
        holder: &str,
        lease: Duration,
        due_ms: u64,
    ) -> StoreCall<Option<FencingToken>> {
        let call = StoreCall::read_by(&scripts::CLAIM, |answer| {
            let token = read::<u64>(answer)?;
            Ok((token > 0).then_some(FencingToken(token)))
        });
        self.on_shard(call, shard)
            .argument(holder)
            .argument(lease.as_millis())
            .argument(due_ms)
    }

    /// Keeps a claim for another `lease`, and notes how far it is if that is new.
    pub fn extend(
        &self,
        claim: &Claim,
        lease: Duration,
        progress: Option<&ShardProgress>,
    ) -> StoreCall<Result<(), LeaseLost>> {
        let call = StoreCall::read_by(&scripts::EXTEND, if_held);
        let call = self.on_claim(call, claim).argument(lease.as_millis());
        match progress {
            Some(progress) => call
                .argument(progress.rows)
                .argument(&progress.cursor)
                .argument(&progress.notes),
            None => call,
        }
    }

    /// Gives a claim back, due again after `next_due_in`: how often it has failed in a row.
    pub fn finish(
        &self,
        claim: &Claim,
        next_due_in: Duration,
        how: &Finished,
    ) -> StoreCall<Result<u32, LeaseLost>> {
        let (word, error) = match how {
            Finished::Well => ("well", ""),
            Finished::Later => ("later", ""),
            Finished::Failed { error } => ("failed", error.as_str()),
        };
        let error: String = error.chars().take(LONGEST_ERROR).collect();
        self.on_claim(StoreCall::read_by(&scripts::FINISH, count_if_held), claim)
            .argument(next_due_in.as_millis())
            .argument(word)
            .argument(error)
    }

    /// Takes a claimed shard off the schedule for good.
    pub fn drop_shard(&self, claim: &Claim) -> StoreCall<Result<(), LeaseLost>> {
        self.on_claim(StoreCall::read_by(&scripts::DROP_SHARD, if_held), claim)
    }

    /// Makes a warehouse due at once; if its cycle is under way, when that has ended.
    pub fn make_due(&self, shard: &str) -> StoreCall<u8> {
        self.on_shard(StoreCall::of(&scripts::MAKE_DUE), shard)
            .key(self.keys.cycle_of(self.tenant, shard))
    }

    pub(super) fn on_claim<T>(&self, call: StoreCall<T>, claim: &Claim) -> StoreCall<T> {
        self.on_shard(call, &claim.shard).argument(claim.token)
    }
}

/// 1, or anything else if the lease has passed to another worker.
pub(super) fn if_held(answer: Value) -> Result<Result<(), LeaseLost>, StoreError> {
    Ok(if read::<i64>(answer)? == 1 {
        Ok(())
    } else {
        Err(LeaseLost)
    })
}

/// A count, or a negative number if the lease has passed to another worker.
pub(super) fn count_if_held(answer: Value) -> Result<Result<u32, LeaseLost>, StoreError> {
    Ok(u32::try_from(read::<i64>(answer)?).or(Err(LeaseLost)))
}

/// More rows than any warehouse has: sums of such numbers stay in their range.
const MOST_ROWS: u64 = 1 << 40;

impl ShardRecord {
    /// From when it is due and the fields of its hash.
    pub fn of<'a>(due_ms: Option<u64>, field: impl Fn(&str) -> Option<&'a str>) -> Self {
        let number = |name| field(name)?.parse::<u64>().ok();
        let small = |name| number(name).and_then(|n| u32::try_from(n).ok());
        let text = |name| field(name).map(str::to_owned);
        Self {
            holder: text("holder"),
            lease_until_ms: number("lease_until"),
            due_ms,
            rows: number("rows").unwrap_or_default().min(MOST_ROWS),
            cursor: text("cursor"),
            notes: text("notes"),
            taken: small("taken").unwrap_or_default(),
            failures: small("failures").unwrap_or_default(),
            last_error: text("last_error"),
        }
    }
}

/// Scores are whole milliseconds, which a double holds exactly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "scores are written by our scripts as whole numbers below 2^53"
)]
fn whole_ms(score: f64) -> u64 {
    score.max(0.0) as u64
}
