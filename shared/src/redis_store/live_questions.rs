//! Who asks D365 about which SKU just now, so that replicas ask together.
//!
//! An announcement reads `stage|asker|told-by|as-of|settings:warehouses`: `waiting` may be joined, `asking`
//! is under way, `told` and `failed` have ended. Told-by and as-of are those of the last answer that
//! was stored, this asker's or an earlier one's: who waits for an answer may look only when the next
//! question stands there already. It goes away by itself a second after its request's deadline.

use super::error::StoreError;
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::stock::{AsOf, Fingerprint, Sku, TenantId, WarehouseId};
use std::time::Duration;

/// A request about to be made.
#[derive(Debug, Clone)]
pub struct LiveQuestion {
    /// Tells it from all others.
    pub asker: String,
    /// The comparison keys of the warehouses it is about, in its own order, after the fingerprint of the
    /// settings.
    pub warehouses: String,
    time_to_live: Duration,
}

impl LiveQuestion {
    /// How long its announcement lives.
    pub fn time_to_live(&self) -> Duration {
        self.time_to_live
    }

    /// A question about these warehouses, forgotten after this long.
    pub fn new(warehouses: &[WarehouseId], time_to_live: Duration) -> Self {
        let warehouses: Vec<&str> = warehouses.iter().map(WarehouseId::key).collect();
        Self {
            asker: uuid::Uuid::new_v4().simple().to_string(),
            warehouses: warehouses.join(","),
            time_to_live,
        }
    }
}

impl LiveQuestion {
    /// Asked with these settings: who has others does not join it.
    #[must_use]
    pub fn under(mut self, settings: Option<Fingerprint>) -> Self {
        if let Some(settings) = settings {
            self.warehouses = format!("{settings}:{}", self.warehouses);
        }
        self
    }
}

/// How far a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveStage {
    /// Announced; its request starts later.
    Waiting,
    /// Its request is under way.
    Asking,
    /// Its answer is stored.
    Told,
    /// Nothing was learned.
    Failed,
}

impl LiveStage {
    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Asking => "asking",
            Self::Told => "told",
            Self::Failed => "failed",
        }
    }
}

/// An answer that was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAnswer {
    /// Who asked.
    pub asker: String,
    /// The stock hash has this as-of or a newer one.
    pub as_of: AsOf,
}

/// What stands in an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveQuestionSeen {
    /// How far it is.
    pub stage: LiveStage,
    /// Whose it is.
    pub asker: String,
    /// The warehouses it is about.
    pub warehouses: String,
    /// The last answer to a question about this SKU.
    pub last_told: Option<LiveAnswer>,
}

/// What became of an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveTaken {
    /// It stands; nobody asked about this SKU for a while.
    Own,
    /// It stands; somebody asked a moment ago, so others may be about to.
    OwnAgain,
    /// Another one stands there.
    Taken(LiveQuestionSeen),
}

/// How far the question about one SKU is.
#[derive(Debug, Clone)]
pub struct LiveMark {
    /// The SKU.
    pub sku: Sku,
    /// How far.
    pub stage: LiveStage,
    /// The as-of of the answer, if it was told.
    pub as_of: Option<AsOf>,
}

fn read(text: &str) -> Option<LiveQuestionSeen> {
    let mut parts = text.splitn(5, '|');
    let (word, asker) = (parts.next()?, parts.next()?);
    let (told_by, as_of) = (parts.next()?, parts.next()?);
    let warehouses = parts.next()?;
    let stage = match word {
        "waiting" => LiveStage::Waiting,
        "asking" => LiveStage::Asking,
        "told" => LiveStage::Told,
        "failed" => LiveStage::Failed,
        _ => return None,
    };
    Some(LiveQuestionSeen {
        stage,
        asker: asker.to_owned(),
        warehouses: warehouses.to_owned(),
        last_told: as_of.parse().ok().map(|as_of| LiveAnswer {
            asker: told_by.to_owned(),
            as_of,
        }),
    })
}

impl StockStore {
    /// Announces a question about SKUs, for an asker who waits for so long.
    pub async fn take_live(
        &self,
        tenant: &TenantId,
        question: &LiveQuestion,
        skus: &[&Sku],
        patience: Duration,
    ) -> Result<Vec<LiveTaken>, StoreError> {
        let mut call = StoreCall::of(&scripts::TAKE_LIVE)
            .within(patience)
            .argument(question.time_to_live.as_millis().max(1))
            .argument(&question.asker)
            .argument(&question.warehouses);
        for sku in skus {
            call.push_key(self.keys().live(tenant, sku));
        }
        let answers: Vec<String> = self.run(call).await?;
        if answers.len() != skus.len() {
            return Err(StoreError::Misbehaved {
                what: "live announcements",
            });
        }
        Ok(answers
            .iter()
            .map(|text| match text.as_str() {
                "again" => LiveTaken::OwnAgain,
                text => read(text).map_or(LiveTaken::Own, LiveTaken::Taken),
            })
            .collect())
    }

    /// Says how far an announced question is. An announcement that lapsed, or that somebody else
    /// has taken since, is left alone; so is everything once this long has passed.
    pub async fn mark_live(
        &self,
        tenant: &TenantId,
        question: &LiveQuestion,
        marks: &[LiveMark],
        patience: Duration,
    ) -> Result<(), StoreError> {
        let mut call = StoreCall::of(&scripts::MARK_LIVE)
            .within(patience)
            .repeatable()
            .argument(&question.asker);
        for mark in marks {
            call.push_key(self.keys().live(tenant, &mark.sku));
            call.push_argument(mark.stage.word().to_owned());
            call.push_argument(
                mark.as_of
                    .map_or_else(String::new, |as_of| as_of.to_string()),
            );
        }
        self.run::<u64>(call).await.map(|_changed| ())
    }

    /// What is announced about SKUs.
    pub async fn live_stages(
        &self,
        tenant: &TenantId,
        skus: &[&Sku],
    ) -> Result<Vec<Option<LiveQuestionSeen>>, StoreError> {
        let keys: Vec<String> = skus
            .iter()
            .map(|sku| self.keys().live(tenant, sku))
            .collect();
        let texts: Vec<Option<String>> = self.ask(redis::cmd("MGET").arg(&keys)).await?;
        Ok(texts
            .iter()
            .map(|text| text.as_deref().and_then(read))
            .collect())
    }
}
