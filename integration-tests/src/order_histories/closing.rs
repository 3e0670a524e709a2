//! The end: once every order is confirmed, cancelled or over, and a snapshot was read, nothing is
//! held.

use super::browsing::{AT_ONCE, lines};
use super::house::{House, HouseError, Plan, WAREHOUSE, sku};
use super::report::Violation;
use super::tally::Tally;
use super::told::Told;
use crate::eventually::eventually_within;
use crate::oracle::micros;
use d365_simulator::UtcMillis;
use std::collections::HashMap;
use std::time::Duration;

/// Longest reservation that histories leave to its time.
const LONGEST_LEFT: Duration = Duration::from_secs(3);

/// What the end has shown.
#[derive(Debug)]
pub(super) struct Closing {
    /// What Redis held when the snapshot was there, and when it had forgotten it.
    pub(super) released: String,
    pub(super) violations: Vec<Violation>,
}

/// Waits for the end of what nobody has settled, has a snapshot made, and looks at every SKU.
pub(super) async fn close(
    plan: &Plan,
    house: &House,
    tally: &Tally,
) -> Result<Closing, HouseError> {
    tokio::time::sleep(plan.hold.max(LONGEST_LEFT)).await;
    super::snapshots::take(house, house.now()).await?;
    let truth = house
        .d365()
        .truth(super::house::COMPANY, Some(WAREHOUSE), None)?;
    let truth: HashMap<String, i64> = truth
        .into_iter()
        .map(|line| (line.item, micros(&line.available) / 1_000_000))
        .collect();
    let mut violations = Vec::new();
    let skus: Vec<String> = (0..plan.histories).map(sku).collect();
    for (at, skus) in skus.chunks(AT_ONCE).enumerate() {
        let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
        let told = lines(&house.replicas[at % 2], &skus, tally).await?;
        for sku in skus {
            let line = told.get(sku).ok_or_else(|| format!("no line of {sku}"))?;
            let told = Told::of_line(line)?;
            tally.judged.add(1);
            tally.exact.add(1);
            let number = truth.get(sku).copied();
            let is_told = Some(told.available) == number.map(|number| number.max(0));
            if !is_told || told.held != 0 || told.number != number {
                violations.push(Violation::at_the_end(plan.seed, sku, &format!("{told:?}")));
            }
        }
    }
    let left = house.holds().await?;
    // A confirmed hold stays in Redis for a while, and counts against no number any more; one that is
    // over, until somebody looks after it.
    let now = house.now();
    for (sku, text) in &left {
        if text.lines().any(|hold| stands(hold, now)) {
            let sku = sku.as_str();
            violations.push(Violation::at_the_end(plan.seed, sku, text));
        }
    }
    let released = match plan.forget_within {
        None => format!("{} SKUs have holds in Redis that count no more", left.len()),
        Some(patience) => {
            eventually_within(patience, "Redis without holds", async || {
                let is_empty =
                    house.holds().await.ok()?.is_empty() && house.ends().await.ok()? == 0;
                is_empty.then_some(())
            })
            .await?;
            format!(
                "of {} SKUs with holds that count no more, none is left in Redis",
                left.len()
            )
        }
    };
    Ok(Closing {
        released,
        violations,
    })
}

/// Whether a line of what Redis holds (`quantity|placed|until|confirmed|..`) is nobody's confirmed order,
/// and not over.
fn stands(hold: &str, now_ms: i64) -> bool {
    let fields: Vec<&str> = hold.split('|').collect();
    let until = fields.get(2).and_then(|until| UtcMillis::parse(until));
    let is_over = until.is_some_and(|until| until.unix_millis() < now_ms);
    fields.get(3) == Some(&"-") && !is_over
}

#[cfg(test)]
mod tests {
    use super::stands;
    use d365_simulator::UtcMillis;

    #[test]
    fn only_what_nobody_confirmed_and_is_not_over_stands() {
        let now = UtcMillis::parse("2026-11-23T18:32:33.271Z")
            .unwrap()
            .unix_millis();
        let hold = "1|2026-11-23T18:02:33.271Z|2026-11-23T18:32:33.271Z|-|order:10044|11";
        assert!(stands(hold, now));
        assert!(!stands(hold, now + 1));
        let confirmed = hold.replace("|-|", "|2026-11-23T18:03:00.000Z|");
        assert!(!stands(&confirmed, now));
    }
}
