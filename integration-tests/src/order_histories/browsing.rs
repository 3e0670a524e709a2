//! Browse questions of many histories, put together into questions of up to 200 SKUs.

use super::house::{HouseError, WAREHOUSE};
use super::tally::Tally;
use crate::api_client::ApiClient;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// SKUs of one question.
pub(super) const AT_ONCE: usize = 200;
/// Questions under way.
const QUESTIONS: usize = 8;
/// How long a question waits for company.
const COMPANY: Duration = Duration::from_millis(5);
/// A question that is turned away is asked again, so often.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

type Wanted = (String, oneshot::Sender<Value>);

/// Where histories leave their questions.
#[derive(Debug, Clone)]
pub(super) struct Browsing(UnboundedSender<Wanted>);

/// The other end.
#[derive(Debug)]
pub(super) struct Questions(UnboundedReceiver<Wanted>);

/// The two ends.
pub(super) fn browsing() -> (Browsing, Questions) {
    let (sender, receiver) = unbounded_channel();
    (Browsing(sender), Questions(receiver))
}

impl Browsing {
    /// The line of a SKU.
    pub(super) async fn line(&self, sku: &str) -> Result<Value, HouseError> {
        let (sender, receiver) = oneshot::channel();
        self.0.send((sku.to_owned(), sender))?;
        Ok(receiver.await?)
    }
}

impl Questions {
    /// Asks until nobody can want anything any more, the replicas in turn.
    pub(super) async fn ask(
        mut self,
        replicas: &[ApiClient; 2],
        tally: &Tally,
    ) -> Result<(), HouseError> {
        let mut under_way = FuturesUnordered::new();
        let mut number = 0;
        loop {
            let mut wanted = Vec::with_capacity(AT_ONCE);
            tokio::select! {
                Some(done) = under_way.next() => {
                    done?;
                    continue;
                }
                first = self.0.recv(), if under_way.len() < QUESTIONS => match first {
                    Some(first) => wanted.push(first),
                    None => break,
                },
            }
            tokio::time::sleep(COMPANY).await;
            while let Ok(more) = self.0.try_recv() {
                wanted.push(more);
                if wanted.len() == AT_ONCE {
                    break;
                }
            }
            number += 1;
            under_way.push(answer(&replicas[number % 2], wanted, tally));
        }
        while let Some(done) = under_way.next().await {
            done?;
        }
        Ok(())
    }
}

async fn answer(api: &ApiClient, wanted: Vec<Wanted>, tally: &Tally) -> Result<(), HouseError> {
    let skus: Vec<&str> = wanted.iter().map(|(sku, _)| sku.as_str()).collect();
    let mut lines = lines(api, &skus, tally).await?;
    for (sku, sender) in wanted {
        let line = lines
            .remove(&sku)
            .ok_or_else(|| format!("no line of {sku}"))?;
        // Who has gone away does not want it any more.
        let _ = sender.send(line);
    }
    Ok(())
}

/// What one question says about these SKUs.
pub(super) async fn lines(
    api: &ApiClient,
    skus: &[&str],
    tally: &Tally,
) -> Result<HashMap<String, Value>, HouseError> {
    for _ in 0..TRIES {
        tally.calls.add(1);
        let reply = api.fast(WAREHOUSE, skus).await;
        if let Ok(mut reply) = reply
            && reply.status == 200
        {
            let lines = reply.json["data"].as_array_mut().map(std::mem::take);
            let named = |line: Value| Some((line["sku"].as_str()?.to_owned(), line));
            return Ok(lines
                .unwrap_or_default()
                .into_iter()
                .filter_map(named)
                .collect());
        }
        tally.retries.add(1);
        tokio::time::sleep(PAUSE).await;
    }
    Err("browse questions are turned away all the time".into())
}
