//! What is due, and who has it. There is no leader: every worker asks the same sorted set.
//!
//! A lease saves work and proves nothing: two holders after a failover do no harm, because lines
//! are judged by their as-of. All times are those of Redis' own clock, taken inside the scripts.

use super::error::StoreError;
use super::script::Call;
use super::store::StockStore;
use crate::process::guards::{self, Guard};
use crate::stock::TenantId;
use redis::{Script, Value};
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim.lua")));
static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/extend.lua")));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/finish.lua")));
static MAKE_DUE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/make_due.lua")));
static DROP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/drop_shard.lua")));

/// How many shards that others were faster with a worker tries before it asks again.
const CLAIM_TRIES: usize = 8;

/// A lease's counter: stops a worker early that was paused past its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FencingToken(u64);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A claimed shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The shard: a warehouse, or a part of its cycle.
    pub shard: String,
    /// Shown when extending and giving back.
    pub token: FencingToken,
}

/// The answer to asking for work.
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
    /// Rows read so far.
    pub rows: u64,
    /// The last item whose lines are stored.
    pub cursor: String,
    /// What else whoever goes on must know, in the holder's own form.
    pub notes: String,
}

/// How a holder parted from its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The work is done.
    Well,
    /// The work failed.
    Failed {
        /// Why.
        error: String,
    },
    /// There was nothing to do yet.
    Later,
}

/// What is noted about a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardRecord {
    /// Who holds it.
    pub holder: Option<String>,
    /// Until when, in ms since 1970 on Redis' clock.
    pub lease_until_ms: Option<u64>,
    /// When it is due, in ms since 1970 on Redis' clock; while it is held, when the lease ends.
    pub due_ms: Option<u64>,
    /// Rows its holder has read so far.
    pub rows: u64,
    /// The last item whose lines are stored.
    pub cursor: Option<String>,
    /// What else its holder noted, in the holder's own form.
    pub notes: Option<String>,
    /// How often it was taken without getting on.
    pub taken: u32,
    /// How often it has failed in a row.
    pub failures: u32,
    /// Why it failed last.
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
        self.command(async |connection| add.query_async(connection).await)
            .await
    }

    /// Takes a shard off the schedule. Its record stays, for those who look for it.
    pub async fn unschedule(&self, tenant: &TenantId, shard: &str) -> Result<(), StoreError> {
        let key = self.keys().due(tenant);
        self.command(async |connection| {
            redis::cmd("ZREM")
                .arg(&key)
                .arg(shard)
                .query_async::<()>(connection)
                .await
        })
        .await
    }

    /// Claims the earliest due shard for `lease`.
    pub async fn claim(
        &self,
        tenant: &TenantId,
        holder: &str,
        lease: Duration,
    ) -> Result<Claimed, StoreError> {
        let key = self.keys().due(tenant);
        let (now, earliest): ((u64, u64), Vec<(String, f64)>) = self
            .command(async |connection| {
                redis::pipe()
                    .cmd("TIME")
                    .cmd("ZRANGE")
                    .arg(&key)
                    .arg(0)
                    .arg(CLAIM_TRIES - 1)
                    .arg("WITHSCORES")
                    .query_async(connection)
                    .await
            })
            .await?;
        let now_ms = now.0 * 1_000 + now.1 / 1_000;
        for (shard, due) in earliest {
            let due_ms = whole_ms(due);
            if due_ms > now_ms {
                let next_due_in = Some(Duration::from_millis(due_ms - now_ms));
                return Ok(Claimed::NothingDue { next_due_in });
            }
            if let Some(token) = self
                .claim_seen(tenant, &shard, holder, lease, due_ms)
                .await?
            {
                return Ok(Claimed::Shard(Claim { shard, token }));
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
        let key = self.keys().due(tenant);
        let (now, due): ((u64, u64), Option<f64>) = self
            .command(async |connection| {
                redis::pipe()
                    .cmd("TIME")
                    .cmd("ZSCORE")
                    .arg(&key)
                    .arg(shard)
                    .query_async(connection)
                    .await
            })
            .await?;
        let now_ms = now.0 * 1_000 + now.1 / 1_000;
        let Some(due_ms) = due.map(whole_ms) else {
            return Ok(Claimed::NothingDue { next_due_in: None });
        };
        if due_ms > now_ms {
            let next_due_in = Some(Duration::from_millis(due_ms - now_ms));
            return Ok(Claimed::NothingDue { next_due_in });
        }
        let token = self
            .claim_seen(tenant, shard, holder, lease, due_ms)
            .await?;
        Ok(match token {
            Some(token) => Claimed::Shard(Claim {
                shard: shard.to_owned(),
                token,
            }),
            None => Claimed::NothingDue { next_due_in: None },
        })
    }

    async fn claim_seen(
        &self,
        tenant: &TenantId,
        shard: &str,
        holder: &str,
        lease: Duration,
        due_ms: u64,
    ) -> Result<Option<FencingToken>, StoreError> {
        let lease = kept_for(lease);
        let call = self
            .shard_call(&CLAIM, tenant, shard)
            .argument(holder)
            .argument(lease.as_millis())
            .argument(due_ms);
        let token: u64 = self.run_in_time(call, self.script_limit()).await?;
        Ok((token > 0).then_some(FencingToken(token)))
    }

    /// Keeps a claim for another `lease`, and notes how far it is if that is new.
    pub async fn extend(
        &self,
        tenant: &TenantId,
        claim: &Claim,
        lease: Duration,
        progress: Option<&ShardProgress>,
    ) -> Result<Result<(), LeaseLost>, StoreError> {
        let lease = kept_for(lease);
        let mut call = self
            .shard_call(&EXTEND, tenant, &claim.shard)
            .argument(claim.token)
            .argument(lease.as_millis());
        if let Some(progress) = progress {
            call = call
                .argument(progress.rows)
                .argument(&progress.cursor)
                .argument(&progress.notes);
        }
        let extended: i64 = self.run_in_time(call, self.script_limit()).await?;
        Ok(if extended == 1 {
            Ok(())
        } else {
            Err(LeaseLost)
        })
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
        let (word, error) = match how {
            Finished::Well => ("well", ""),
            Finished::Later => ("later", ""),
            Finished::Failed { error } => ("failed", error.as_str()),
        };
        let error: String = error.chars().take(500).collect();
        let call = self
            .shard_call(&FINISH, tenant, &claim.shard)
            .argument(claim.token)
            .argument(next_due_in.as_millis())
            .argument(word)
            .argument(error);
        let failures: i64 = self.run(call).await?;
        Ok(u32::try_from(failures).or(Err(LeaseLost)))
    }

    /// Takes a claimed shard off the schedule for good.
    pub async fn drop_shard(&self, tenant: &TenantId, claim: &Claim) -> Result<(), StoreError> {
        let call = self
            .shard_call(&DROP, tenant, &claim.shard)
            .argument(claim.token);
        self.run::<u8>(call).await.map(|_done| ())
    }

    /// Makes a warehouse due at once; if its cycle is under way, when that has ended.
    pub async fn make_due(&self, tenant: &TenantId, shard: &str) -> Result<(), StoreError> {
        let call = self
            .shard_call(&MAKE_DUE, tenant, shard)
            .key(self.keys().cycle_of(tenant, shard));
        self.run::<u8>(call).await.map(|_done| ())
    }

    /// What is noted about a shard.
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
        let answers: Vec<Value> = self
            .command(async |connection| pipeline.query_async(connection).await)
            .await?;
        answers.chunks_exact(2).map(record_of).collect()
    }

    pub(super) fn shard_call(
        &self,
        script: &'static Script,
        tenant: &TenantId,
        shard: &str,
    ) -> Call<'static> {
        Call::of(script)
            .key(self.keys().due(tenant))
            .key(self.keys().shard(tenant, shard))
            .argument(shard)
    }
}

/// How long a lease is kept: as long as asked for, unless the rig wants to see what would happen.
fn kept_for(lease: Duration) -> Duration {
    if guards::is_off(Guard::LeasesEnd) {
        lease * 100
    } else {
        lease
    }
}

/// More rows than any warehouse has: sums of such numbers stay in their range.
const MOST_ROWS: u64 = 1 << 40;

/// From a score and a hash.
pub(super) fn record_of(answers: &[Value]) -> Result<ShardRecord, StoreError> {
    let misbehaved = |_cause| StoreError::Misbehaved {
        what: "a shard's record",
    };
    let [due, fields] = answers else {
        return Ok(ShardRecord::default());
    };
    let due: Option<f64> = redis::from_redis_value_ref(due).map_err(misbehaved)?;
    let fields: HashMap<String, String> =
        redis::from_redis_value_ref(fields).map_err(misbehaved)?;
    let number = |name: &str| fields.get(name).and_then(|text| text.parse().ok());
    let small = |name: &str| {
        number(name)
            .and_then(|n: u64| u32::try_from(n).ok())
            .unwrap_or_default()
    };
    Ok(ShardRecord {
        holder: fields.get("holder").cloned(),
        lease_until_ms: number("lease_until"),
        due_ms: due.map(whole_ms),
        rows: number("rows").unwrap_or_default().min(MOST_ROWS),
        cursor: fields.get("cursor").cloned(),
        notes: fields.get("notes").cloned(),
        taken: small("taken"),
        failures: small("failures"),
        last_error: fields.get("last_error").cloned(),
    })
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
