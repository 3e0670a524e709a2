//! Sharing requests with other processes, by announcements in Redis.
//!
//! Who is first to ask about a SKU announces it, waits a moment for others to join, says "asking"
//! and asks. An announcement that still waits may be joined: the request it leads to starts later.
//! One that is asking already came too early; what it learns is for those who came before. Redis
//! being away, slow or wrong costs a quarter of a second at most and an eighth of the time left, and
//! then everybody asks alone.

use super::Desk;
use crate::live_look_up::{Deadline, Finding};
use shared::process::tasks::Tasks;
use shared::redis_store::{
    LiveAnswer, LiveMark, LiveQuestion, LiveQuestionSeen, LiveStage, LiveTaken, StockStore,
    StoreError, StoredLine,
};
use shared::stock::{AsOf, Sku, TenantId, WarehouseId};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

/// How long an announcement can be joined.
const ANNOUNCED: Duration = Duration::from_millis(5);
/// The same if somebody asked a moment ago: those who waited for that answer are on their way, and
/// must first have seen it.
const ANNOUNCED_AGAIN: Duration = Duration::from_millis(18);
/// How long Redis may take for any of it; in a rush it is this process that is slow.
const PATIENCE: Duration = Duration::from_millis(250);
/// Pause between two looks at what others do: shorter than [`ANNOUNCED`], so that the next
/// announcement is seen while it can be joined.
const LOOK_EVERY: Duration = Duration::from_millis(4);
/// Whoever announced a question and does not ask by then is gone: it is longer than any process waits
/// before it says so.
const LONGEST_ANNOUNCED: Duration = Duration::from_millis(300);
/// What two processes' readings of Redis' clock may differ by.
const CLOCKS_APART: Duration = Duration::from_millis(100);
/// An announcement outlives its deadline by this, for those who still look.
const LINGERS: Duration = Duration::from_secs(1);

/// How to learn about one SKU.
#[derive(Debug)]
pub(super) enum Share {
    /// Announced: ask, and tell the others.
    Own,
    /// Ask without telling.
    Alone,
    /// Another process will ask.
    Joined(Following),
    /// Another process asks already, too early for this question.
    TooEarly,
}

/// Whose announcement was joined.
#[derive(Debug)]
pub(super) struct Following {
    asker: String,
    /// When it was joined.
    since: AsOf,
    /// What had been told before: whatever is told later answers a question asked after joining.
    told_before: Option<LiveAnswer>,
}

/// How far what was joined is.
enum Progress {
    Open,
    Told(AsOf),
    Failed,
}

impl Following {
    /// Judges what stands in the announcement now, whoever put it there.
    fn look(&self, seen: LiveQuestionSeen, now: AsOf) -> Progress {
        match seen.last_told {
            Some(told) if self.told_before.as_ref() != Some(&told) => {
                // An announcement that a failover brought back may have been joined too late.
                if told.as_of.age_at(self.since) > CLOCKS_APART {
                    Progress::Failed
                } else {
                    Progress::Told(told.as_of)
                }
            }
            _ if seen.asker != self.asker => Progress::Failed,
            _ => match seen.stage {
                LiveStage::Waiting if self.since.age_at(now) > LONGEST_ANNOUNCED => {
                    Progress::Failed
                }
                LiveStage::Waiting | LiveStage::Asking => Progress::Open,
                LiveStage::Told | LiveStage::Failed => Progress::Failed,
            },
        }
    }
}

/// The announcements of one request. Whatever was not told when it is dropped failed.
#[derive(Debug)]
pub(super) struct Announced {
    store: StockStore,
    tasks: Tasks,
    tenant: TenantId,
    question: LiveQuestion,
    skus: Vec<Sku>,
    told: Vec<Option<AsOf>>,
    can_be_joined: Duration,
    patience: Duration,
}

impl Announced {
    /// Waits for company, then says that it is too late to join. None if that could not be said:
    /// somebody may join later than the request starts, so its answer is not theirs.
    pub(super) async fn asking(self) -> Option<Self> {
        // Nothing is awaited here but time itself.
        let _waited = tokio::time::timeout(self.can_be_joined, pending::<()>()).await;
        let mark = |sku: &Sku| LiveMark {
            sku: sku.clone(),
            stage: LiveStage::Asking,
            as_of: None,
        };
        let marks: Vec<LiveMark> = self.skus.iter().map(mark).collect();
        let (store, question) = (&self.store, &self.question);
        let marked = store.mark_live(&self.tenant, question, &marks, self.patience);
        let problem = match tokio::time::timeout(self.patience, marked).await {
            Ok(Ok(())) => return Some(self),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => "not in time".to_owned(),
        };
        tracing::debug!(
            problem,
            "other replicas were not told that D365 is being asked"
        );
        None
    }

    /// Says for each SKU since when the store holds what was learned; none if it does not.
    pub(super) fn told(mut self, learned: &[(&Sku, Option<AsOf>)]) {
        self.told = self
            .skus
            .iter()
            .map(|sku| {
                let of_sku = learned.iter().find(|(learned, _)| *learned == sku);
                of_sku.and_then(|(_, as_of)| *as_of)
            })
            .collect();
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if self.skus.is_empty() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let marks: Vec<LiveMark> = std::mem::take(&mut self.skus)
            .into_iter()
            .zip(std::mem::take(&mut self.told))
            .map(|(sku, as_of)| LiveMark {
                sku,
                stage: as_of.map_or(LiveStage::Failed, |_| LiveStage::Told),
                as_of,
            })
            .collect();
        let (store, tenant) = (self.store.clone(), self.tenant.clone());
        let question = self.question.clone();
        self.tasks.spawn("live-told", async move {
            // Better late than never: others wait as long as it reads "asking".
            let lives = question.time_to_live();
            let marked = store.mark_live(&tenant, &question, &marks, lives);
            if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, marked).await {
                tracing::debug!(%error, "other replicas were not told what D365 answered");
            }
        });
    }
}

impl Desk {
    /// Announces SKUs, or joins whoever did.
    pub(super) async fn announce(
        &self,
        skus: &[&Sku],
        warehouses: &Arc<[WarehouseId]>,
        ends: &Deadline,
    ) -> (Announced, Vec<Share>) {
        let tools = &self.tools;
        let left = ends.left().unwrap_or_default();
        let patience = PATIENCE.min(left / 8);
        let question = LiveQuestion::new(warehouses, left + LINGERS).under(tools.store.settings());
        let taking = (tools.store).take_live(&self.tenant, &question, skus, patience);
        let (mut can_be_joined, since) = (ANNOUNCED, tools.clock.now());
        let shares: Vec<Share> = match tokio::time::timeout(patience, taking).await {
            Ok(Ok(taken)) => taken
                .into_iter()
                .map(|taken| match taken {
                    LiveTaken::Own => Share::Own,
                    LiveTaken::OwnAgain => {
                        can_be_joined = ANNOUNCED_AGAIN;
                        Share::Own
                    }
                    LiveTaken::Taken(other) if other.warehouses != question.warehouses => {
                        Share::Alone
                    }
                    LiveTaken::Taken(other) if other.stage == LiveStage::Waiting => {
                        Share::Joined(Following {
                            asker: other.asker,
                            since,
                            told_before: other.last_told,
                        })
                    }
                    LiveTaken::Taken(_) => Share::TooEarly,
                })
                .collect(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "live questions are not shared with other replicas");
                skus.iter().map(|_| Share::Alone).collect()
            }
            Err(_elapsed) => skus.iter().map(|_| Share::Alone).collect(),
        };
        let own: Vec<Sku> = skus
            .iter()
            .zip(&shares)
            .filter(|(_, share)| matches!(share, Share::Own))
            .map(|(sku, _)| (*sku).clone())
            .collect();
        let announced = Announced {
            store: tools.store.clone(),
            tasks: tools.tasks.clone(),
            tenant: self.tenant.clone(),
            question,
            told: vec![None; own.len()],
            skus: own,
            can_be_joined,
            patience,
        };
        (announced, shares)
    }

    /// Waits until nobody asks about these SKUs any more; false if that takes too long.
    pub(super) async fn wait_until_free(&self, skus: &[&Sku], patience_ends: Duration) -> bool {
        if skus.is_empty() {
            return true;
        }
        let left = patience_ends.saturating_sub(self.tools.clock.monotonic());
        let free = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                looks.tick().await;
                let stages = self.tools.store.live_stages(&self.tenant, skus).await?;
                let is_asking = |stage: &Option<LiveQuestionSeen>| {
                    stage
                        .as_ref()
                        .is_some_and(|seen| seen.stage == LiveStage::Asking)
                };
                if !stages.iter().any(is_asking) {
                    return Ok::<_, StoreError>(());
                }
            }
        };
        matches!(tokio::time::timeout(left, free).await, Ok(Ok(())))
    }

    /// Waits for what other processes learn, so long at most, and reads it from the store; none where
    /// they failed, vanished or take longer.
    pub(super) async fn follow(
        &self,
        skus: &[&Sku],
        following: &[&Following],
        warehouses: &Arc<[WarehouseId]>,
        (longest, ends): (Duration, &Deadline),
    ) -> Vec<Option<Arc<[Finding]>>> {
        let mut told: Vec<Option<AsOf>> = vec![None; skus.len()];
        let mut open: Vec<usize> = (0..skus.len()).collect();
        let watch = async {
            let mut looks = tokio::time::interval(LOOK_EVERY);
            while !open.is_empty() {
                looks.tick().await;
                let asked: Vec<&Sku> = open.iter().map(|at| skus[*at]).collect();
                let looking = self.tools.store.live_stages(&self.tenant, &asked);
                let Ok(Ok(seen)) = tokio::time::timeout(PATIENCE, looking).await else {
                    return;
                };
                let now = self.tools.clock.now();
                let mut still_open = Vec::with_capacity(open.len());
                for (at, seen) in open.iter().copied().zip(seen) {
                    match seen.map(|seen| following[at].look(seen, now)) {
                        Some(Progress::Open) => still_open.push(at),
                        Some(Progress::Told(as_of)) => told[at] = Some(as_of),
                        Some(Progress::Failed) | None => {}
                    }
                }
                open = still_open;
            }
        };
        if skus.is_empty() {
            return Vec::new();
        }
        // What was told by then counts.
        let _elapsed = tokio::time::timeout(longest, watch).await;
        self.read_told(skus, warehouses, &told, ends).await
    }

    /// What is stored for SKUs others learned about; none if it is not as young as they said.
    async fn read_told(
        &self,
        skus: &[&Sku],
        warehouses: &Arc<[WarehouseId]>,
        told: &[Option<AsOf>],
        ends: &Deadline,
    ) -> Vec<Option<Arc<[Finding]>>> {
        if told.iter().all(Option::is_none) {
            return vec![None; skus.len()];
        }
        let owned: Vec<Sku> = skus.iter().map(|sku| (*sku).clone()).collect();
        let reading = self.reader.read_many(&self.tenant, warehouses, &owned);
        let Some(Ok(reading)) = ends.wait_for(reading).await else {
            return vec![None; skus.len()];
        };
        told.iter()
            .enumerate()
            .map(|(at, told)| {
                let told = (*told)?;
                let findings = reading.of_sku(at).iter().map(|line| match line {
                    StoredLine::Value(line) if line.as_of >= told => Some(Finding::Line(*line)),
                    _ => None,
                });
                findings.collect::<Option<Arc<[Finding]>>>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_redis::TestRedis;

    /// What is announced, and what became of a question that joined at some earlier moment.
    struct Watch {
        store: StockStore,
        tenant: TenantId,
        sku: Sku,
    }

    impl Watch {
        fn question() -> LiveQuestion {
            let warehouse = WarehouseId::parse("11").unwrap();
            LiveQuestion::new(&[warehouse], Duration::from_secs(5))
        }

        async fn take(&self, question: &LiveQuestion) -> LiveTaken {
            let skus = [&self.sku];
            let taken = (self.store).take_live(&self.tenant, question, &skus, PATIENCE);
            taken.await.unwrap().remove(0)
        }

        async fn join(&self) -> Following {
            match self.take(&Self::question()).await {
                LiveTaken::Taken(seen) => Following {
                    asker: seen.asker,
                    since: "2026-05-04T09:59:59.500Z".parse().unwrap(),
                    told_before: seen.last_told,
                },
                other => panic!("nothing to join: {other:?}"),
            }
        }

        async fn mark(&self, question: &LiveQuestion, stage: LiveStage, as_of: Option<&str>) {
            let marks = [LiveMark {
                sku: self.sku.clone(),
                stage,
                as_of: as_of.map(|as_of| as_of.parse().unwrap()),
            }];
            let marked = (self.store).mark_live(&self.tenant, question, &marks, PATIENCE);
            marked.await.unwrap();
        }

        async fn of(&self, following: &Following) -> Progress {
            let seen = self.store.live_stages(&self.tenant, &[&self.sku]).await;
            let now = "2026-05-04T09:59:59.800Z".parse().unwrap();
            following.look(seen.unwrap().remove(0).unwrap(), now)
        }
    }

    #[tokio::test]
    async fn an_answer_is_found_although_the_next_question_stands_there_already() {
        let redis = TestRedis::start().unwrap();
        let store = StockStore::open(&redis.settings().unwrap()).unwrap();
        let watch = Watch {
            store,
            tenant: TenantId::parse("t").unwrap(),
            sku: Sku::parse("A").unwrap(),
        };
        let [first, second, third] = [(); 3].map(|()| Watch::question());
        let (before, later) = ("2026-05-04T10:00:00.000Z", "2026-05-04T10:00:01.000Z");

        assert_eq!(watch.take(&first).await, LiveTaken::Own);
        let of_first = watch.join().await;
        assert!(matches!(watch.of(&of_first).await, Progress::Open));
        watch.mark(&first, LiveStage::Asking, None).await;
        assert!(matches!(watch.of(&of_first).await, Progress::Open));
        watch.mark(&first, LiveStage::Told, Some(before)).await;
        assert_eq!(watch.take(&second).await, LiveTaken::OwnAgain);
        let of_second = watch.join().await;
        let told = |progress| match progress {
            Progress::Told(as_of) => as_of.to_string(),
            Progress::Open => "open".to_owned(),
            Progress::Failed => "failed".to_owned(),
        };
        assert_eq!(told(watch.of(&of_first).await), before);
        // The answer from before is no answer to the second question.
        assert_eq!(told(watch.of(&of_second).await), "open");

        watch.mark(&second, LiveStage::Asking, None).await;
        watch.mark(&second, LiveStage::Failed, None).await;
        assert_eq!(told(watch.of(&of_second).await), "failed");
        assert_eq!(watch.take(&third).await, LiveTaken::OwnAgain);
        assert_eq!(told(watch.of(&of_second).await), "failed");
        // It was asked for after the second, so it answers that one as well.
        watch.mark(&third, LiveStage::Told, Some(later)).await;
        assert_eq!(told(watch.of(&of_second).await), later);

        // Joined after the request began: a failover had brought the announcement back.
        let too_late = Following {
            since: "2026-05-04T10:00:01.101Z".parse().unwrap(),
            ..of_second
        };
        assert_eq!(told(watch.of(&too_late).await), "failed");
    }
}
