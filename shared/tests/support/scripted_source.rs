//! An ERP for tests: gives prepared pages, answers look-ups from a list of rows, remembers what it
//! was asked.

use crate::d365::error::D365Error;
use crate::d365::source::{
    Answer, LookUp, LookUpAnswer, OnHandPage, OnHandSource, PageEnd, PageQuery, VariantQuestion,
};
use crate::process::clock::Clock;
use crate::stock::{ItemNumber, OnHandRow, Variant, WarehouseId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Everything that was asked, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Pages.
    pub pages: Vec<PageQuery>,
    /// Look-ups.
    pub look_ups: Vec<LookUp>,
    /// Variants.
    pub variants: Vec<VariantQuestion>,
}

#[derive(Debug, Default)]
struct Script {
    pages: VecDeque<Vec<OnHandRow>>,
    stock: Vec<OnHandRow>,
    unproved: Vec<ItemNumber>,
    look_up_failure: Option<D365Error>,
    look_up_delay: Duration,
    variants: Vec<Variant>,
    questions: Questions,
}

/// See the module's head.
#[derive(Debug)]
pub struct ScriptedSource {
    clock: Arc<dyn Clock>,
    script: Mutex<Script>,
}

impl ScriptedSource {
    /// Knows nothing yet: no page is prepared, every look-up finds no row.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            script: Mutex::default(),
        }
    }

    /// Prepares the rows of the next page. A page nobody prepared is an empty whole one.
    pub fn add_page(&self, rows: Vec<OnHandRow>) {
        self.script().pages.push_back(rows);
    }

    /// Answers look-ups from these rows from now on: those that were asked for.
    pub fn set_stock(&self, rows: Vec<OnHandRow>) {
        self.script().stock = rows;
    }

    /// Names these items as unproved in each look-up that asks for them.
    pub fn set_unproved(&self, items: Vec<ItemNumber>) {
        self.script().unproved = items;
    }

    /// Fails every look-up and every question for some variants from now on, or none.
    pub fn fail_look_ups(&self, error: Option<D365Error>) {
        self.script().look_up_failure = error;
    }

    /// Lets every look-up take this long; one that has less time left fails when it is over.
    pub fn delay_look_ups(&self, delay: Duration) {
        self.script().look_up_delay = delay;
    }

    /// The variants there are.
    pub fn set_variants(&self, variants: Vec<Variant>) {
        self.script().variants = variants;
    }

    /// What was asked so far.
    pub fn questions(&self) -> Questions {
        self.script().questions.clone()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self, time_left: Duration) -> Result<(), D365Error> {
        let delay = self.script().look_up_delay;
        if delay > time_left {
            tokio::time::sleep(time_left).await;
            return Err(D365Error::TimedOut {
                stage: "the time allowed is over",
                silent_for: time_left,
            });
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match &self.script().look_up_failure {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl OnHandSource for ScriptedSource {
    fn read_page<'a>(&'a self, query: &'a PageQuery) -> Answer<'a, OnHandPage> {
        Box::pin(async move {
            let as_of = self.clock.now();
            let mut script = self.script();
            script.questions.pages.push(query.clone());
            let rows = script.pages.pop_front().unwrap_or_default();
            let end = PageEnd {
                rows: rows.len() as u64,
                ..PageEnd::default()
            };
            Ok(OnHandPage { as_of, rows, end })
        })
    }

    fn look_up<'a>(&'a self, question: &'a LookUp) -> Answer<'a, LookUpAnswer> {
        Box::pin(async move {
            let as_of = self.clock.now();
            self.script().questions.look_ups.push(question.clone());
            self.wait(question.time_left).await?;
            let script = self.script();
            let is_asked_for = |row: &&OnHandRow| {
                question.items.contains(&row.item) && question.warehouses.contains(&row.warehouse)
            };
            let unproved: Vec<ItemNumber> = script
                .unproved
                .iter()
                .filter(|item| question.items.contains(item))
                .cloned()
                .collect();
            Ok(LookUpAnswer {
                as_of,
                rows: script.stock.iter().filter(is_asked_for).cloned().collect(),
                dropped_rows: unproved.len() as u64,
                unproved,
            })
        })
    }

    fn variants<'a>(&'a self, question: &'a VariantQuestion) -> Answer<'a, Vec<Variant>> {
        Box::pin(async move {
            self.script().questions.variants.push(question.clone());
            let all = self.script().variants.clone();
            match question {
                VariantQuestion::All => Ok(all),
                VariantQuestion::Of { skus, time_left } => {
                    self.wait(*time_left).await?;
                    let is_asked_for = |variant: &Variant| {
                        skus.iter()
                            .any(|sku| *sku == variant.sku || sku.key() == variant.item.key())
                    };
                    Ok(all.into_iter().filter(is_asked_for).collect())
                }
            }
        })
    }

    fn warehouses(&self) -> Answer<'_, Vec<WarehouseId>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
