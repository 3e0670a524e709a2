//! Joins replies with the simulator's truth journal, and finds what was not true.
//!
//! A number must have been the truth at some instant between its as-of and the end of the longest
//! request (a page is one instant in between). A line may never go back to an earlier as-of. Absence
//! must have been true at some instant since its proof began.

use d365_simulator::{JournalEntry, Simulator, UtcMillis};
use serde_json::Value;
use std::collections::HashMap;

/// How far the simulator's clock (monotonic since its start) and that of Redis (the system's, which
/// time servers adjust) may drift apart during a run.
const CLOCKS_APART_MS: i64 = 20;

/// One line of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyLine {
    /// SKU; an item number here.
    pub sku: String,
    /// Warehouse.
    pub warehouse: String,
    /// Millionths, clamped at 0 as replies are.
    pub available: i64,
    /// `PRESENT`, `SUSPECT`, `ABSENT` or `UNKNOWN`.
    pub state: String,
    /// As-of in ms since 1970; none for what is unknown.
    pub as_of: Option<i64>,
    /// When it was asked for, on the simulator's clock.
    pub asked: i64,
    /// When the reply was there.
    pub seen: i64,
}

impl ReplyLine {
    /// The lines of a reply.
    pub fn of_reply(reply: &Value, asked: UtcMillis, seen: UtcMillis) -> Vec<Self> {
        let lines = reply["data"].as_array().map(Vec::as_slice);
        lines
            .unwrap_or_default()
            .iter()
            .map(|line| Self {
                sku: line["sku"].as_str().unwrap_or_default().to_owned(),
                warehouse: line["warehouseId"].as_str().unwrap_or_default().to_owned(),
                available: micros(&line["availableStock"].to_string()),
                state: line["state"].as_str().unwrap_or_default().to_owned(),
                as_of: line["asOf"]
                    .as_str()
                    .and_then(UtcMillis::parse)
                    .map(UtcMillis::unix_millis),
                asked: asked.unix_millis(),
                seen: seen.unix_millis(),
            })
            .collect()
    }
}

/// A decimal text in millionths.
pub fn micros(text: &str) -> i64 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    sign * (whole.parse::<i64>().unwrap_or(0) * 1_000_000 + fraction.parse::<i64>().unwrap_or(0))
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Lines checked.
    pub lines: u64,
    /// Numbers that were no truth at their as-of (I2, I3).
    pub lies: u64,
    /// Lines that went back to an earlier as-of (I1).
    pub regressed: u64,
    /// Absences without a truth behind them (I4).
    pub false_absences: u64,
    /// The first of them in words.
    pub example: Option<String>,
}

/// One step of an item's history in a warehouse.
#[derive(Debug, Clone, Copy)]
struct Step {
    at: i64,
    available: i64,
    is_there: bool,
}

/// Judges lines, given in the order they were seen, against the journal of a company; a page is read at
/// most `window_ms` after its request began.
pub fn judge<'l>(
    simulator: &Simulator,
    company: &str,
    window_ms: i64,
    lines: impl IntoIterator<Item = &'l ReplyLine>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut latest: HashMap<(&str, &str), &ReplyLine> = HashMap::new();
    let mut histories: HashMap<(&str, &str), Vec<Step>> = HashMap::new();
    for line in lines {
        verdict.lines += 1;
        let Some(as_of) = line.as_of else { continue };
        let key = (line.sku.as_str(), line.warehouse.as_str());
        let known = latest.entry(key).or_insert(line);
        // Replies overtake each other on their way: only a later question must not bring older lines.
        if Some(as_of) < known.as_of && line.asked > known.seen && line.state != "ABSENT" {
            verdict.regressed += 1;
            verdict.note("went back", line);
        }
        if Some(as_of) > known.as_of {
            *known = line;
        }
        let history = histories.entry(key).or_insert_with(|| {
            let journal = simulator.journal(company, &line.sku, Some(&line.warehouse));
            steps(&journal.unwrap_or_default())
        });
        match line.state.as_str() {
            "PRESENT" | "SUSPECT" => {
                let is_true = during(history, as_of - CLOCKS_APART_MS, as_of + window_ms)
                    .any(|step| step.is_there && step.available.max(0) == line.available);
                if !is_true {
                    verdict.lies += 1;
                    let around = during(history, as_of - 3_000, as_of + 3_000);
                    let around: Vec<&Step> = around.collect();
                    verdict.note(&format!("was never true ({around:?})"), line);
                }
            }
            "ABSENT" => {
                let was_gone = during(history, as_of, line.seen).any(|step| !step.is_there);
                if !was_gone {
                    verdict.false_absences += 1;
                    verdict.note("was there all the time", line);
                }
            }
            _ => {}
        }
    }
    verdict
}

impl Verdict {
    fn note(&mut self, what: &str, line: &ReplyLine) {
        let example = || format!("{what}: {line:?}");
        self.example.get_or_insert_with(example);
    }
}

/// The steps that were true at some instant of a stretch of time.
fn during(history: &[Step], from: i64, to: i64) -> impl Iterator<Item = &Step> {
    let first = history.partition_point(|step| step.at <= from);
    history[first.saturating_sub(1)..]
        .iter()
        .take_while(move |step| step.at <= to)
}

/// The sums over an item's rows, step by step. Before the first step nothing was there.
fn steps(journal: &[JournalEntry]) -> Vec<Step> {
    let mut rows: HashMap<&[String; 6], i64> = HashMap::new();
    let mut steps = vec![Step {
        at: i64::MIN,
        available: 0,
        is_there: false,
    }];
    for entry in journal {
        match &entry.line {
            Some(line) => {
                rows.insert(&entry.row, micros(&line.available));
            }
            None => {
                rows.remove(&entry.row);
            }
        }
        let step = Step {
            at: entry.at.unix_millis(),
            available: rows.values().sum(),
            is_there: !rows.is_empty(),
        };
        // What the world began with has one instant for all rows of an item: sums in between were
        // never true.
        match steps.last_mut() {
            Some(last) if last.at == step.at && step.at == UtcMillis::BEGINNING.unix_millis() => {
                *last = step;
            }
            _ => steps.push(step),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use d365_simulator::{Config, StockChange, StockKey, WorldConfig};

    fn line(available: i64, state: &str, as_of: i64) -> ReplyLine {
        ReplyLine {
            sku: "X1".to_owned(),
            warehouse: "24".to_owned(),
            available: available * 1_000_000,
            state: state.to_owned(),
            as_of: Some(as_of),
            asked: as_of,
            seen: as_of + 1_000,
        }
    }

    #[tokio::test]
    async fn each_kind_of_untruth_is_found_and_the_truth_passes() {
        let world = WorldConfig {
            items: 10,
            ..WorldConfig::default()
        };
        let handle = d365_simulator::start(Config {
            world: Some(world),
            ..Config::default()
        })
        .unwrap();
        let simulator = handle.simulator();
        let key = StockKey::of("usmf", "X1", "24");
        let first = simulator
            .put_stock(&key, &StockChange::on_hand("5"))
            .unwrap()
            .unix_millis();
        let judge = |lines: &[ReplyLine]| judge(simulator, "usmf", 100, lines);
        let truth = [line(5, "PRESENT", first), line(5, "PRESENT", first + 10)];
        let verdict = judge(&truth);
        assert_eq!((verdict.lines, &verdict.example), (2, &None));
        let lies = [line(6, "PRESENT", first), line(5, "PRESENT", first - 5_000)];
        assert_eq!(judge(&lies).lies, 2);
        let mut later = line(5, "PRESENT", first);
        later.asked = first + 2_000;
        let back = [line(5, "PRESENT", first + 10), later];
        assert_eq!(judge(&back).regressed, 1);
        for (at, false_absences) in [(first + 1, 1), (first - 5_000, 0)] {
            let verdict = judge(&[line(0, "ABSENT", at)]);
            assert_eq!(verdict.false_absences, false_absences);
        }
        handle.stop().await;
    }

    #[test]
    fn decimals_become_millionths() {
        for (text, expected) in [
            ("15", 15_000_000),
            ("-0.5", -500_000),
            ("1.000001", 1_000_001),
            ("null", 0),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }
}
