//! SKUs made to be mistaken for others, or for something else than a SKU.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage};
use d365_simulator::{Kind, StockChange, StockKey};
use integration_tests::api_client::{ApiClient, Reply};
use serde_json::json;
use std::time::Duration;

/// What is there, with its stock in warehouse 24; awkward names that are true ones, and none of the
/// catalogue, whose own stock would be seen as well.
const THERE: [(&str, i64); 8] = [
    ("RFI-1", 41),
    ("O'BRIEN", 42),
    ("B&C=D", 43),
    ("50%25", 44),
    ("{ItemNumber}", 45),
    ("rfi-2", 46),
    ("x y", 47),
    ("STRASSE", 48),
];

/// The same in other spellings, which D365 takes for the same.
const SPELLED_OTHERWISE: [(&str, i64); 5] = [
    ("rfi-1", 41),
    ("RFI-1 ", 41),
    ("o'brien", 42),
    ("RFI-2", 46),
    ("X Y  ", 47),
];

/// What is not there, though it looks like it, or would be if somebody read it as code.
fn attacks() -> Vec<String> {
    let mut attacks: Vec<String> = [
        "'",
        "''",
        "\"",
        "RFI-1'",
        "RFI-1''",
        "RFI-1\"",
        "RFI-1' or '1' eq '1",
        "RFI-1' or 1 eq 1 or ItemNumber eq '",
        "') or (ItemNumber ne '",
        "*",
        "RFI*",
        "RFI-?",
        "RFI-1&$filter=true",
        "RFI-1&$top=1",
        "RFI-1&cross-company=false",
        "&$filter",
        "$filter",
        "RFI-1#",
        "RFI-1%00",
        "RFI-1%27",
        "%52FI-1",
        "RFI-1\u{0}",
        "RFI-1\n",
        "RFI-1\r\nX-Evil: 1",
        "RFI\t-1",
        "{RFI-1}",
        "{ItemNumber",
        "{0}",
        "${RFI-1}",
        " RFI-1",
        "RFI-1\u{a0}",
        "RFI-1\u{200b}",
        "\u{feff}RFI-1",
        "RFI\u{2010}1",
        "R\u{415}FI-1",
        "\u{420}FI-1",
        "\u{ff32}\u{ff26}\u{ff29}-1",
        "RFI-\u{661}",
        "STRA\u{df}E",
        "x  y",
        "../RFI-1",
        "RFI-1;24",
        "24|99|99|0|0",
        "null",
        "-- ",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    attacks.push("RFI-1".repeat(2_048));
    attacks.push("'".repeat(256));
    attacks
}

#[derive(Default)]
struct Verdict {
    wrong: u64,
    unclear: u64,
    refused: u64,
    answered: u64,
}

impl Verdict {
    /// `stock` is what is really there; nothing if there is no such item.
    fn judge(&mut self, way: &str, sku: &str, stock: Option<i64>, reply: &Reply) {
        let status = reply.status.as_u16();
        // 413 is for bodies and numbers of SKUs: the contract has 422 for a SKU that is too long.
        if matches!(status, 400 | 422) && reply.error_code().is_some() {
            self.refused += 1;
            // What is really there must be answered.
            self.note_wrong(stock.is_some(), way, sku, reply);
            return;
        }
        if status != 200 {
            self.unclear += 1;
            tell(way, sku, reply);
            return;
        }
        self.answered += 1;
        let lines = reply.json["data"].as_array();
        let others = lines.is_none_or(|lines| lines.iter().any(|line| line["sku"] != sku));
        let line = reply.line(sku);
        let name = if way == "order" {
            "granted"
        } else {
            "availableStock"
        };
        let told = line.and_then(|line| line[name].as_i64());
        let is_wrong = match stock {
            Some(_) if way == "order" => told != Some(1),
            Some(stock) => told != Some(stock),
            None => told.is_some_and(|told| told != 0),
        };
        self.note_wrong(others || is_wrong, way, sku, reply);
    }

    fn note_wrong(&mut self, is_wrong: bool, way: &str, sku: &str, reply: &Reply) {
        if is_wrong {
            self.wrong += 1;
            tell(way, sku, reply);
        }
    }
}

#[expect(clippy::print_stderr, reason = "an attack that got through is told")]
fn tell(way: &str, sku: &str, reply: &Reply) {
    let start = |text: &str| -> String { text.chars().take(300).collect() };
    eprintln!(
        "{way} {:?}: {} {}",
        start(sku),
        reply.status,
        start(&reply.text)
    );
}

async fn ask(
    stage: &Stage,
    api: &ApiClient,
    sku: &str,
    stock: Option<i64>,
    verdict: &mut Verdict,
) -> Result<u64, RowError> {
    verdict.judge("FAST", sku, stock, &api.fast("24", &[sku]).await?);
    verdict.judge("GET", sku, stock, &api.fast_get("24", &[sku]).await?);
    let before = stage.last_request();
    verdict.judge("EXACT", sku, stock, &api.exact("24", &[sku]).await?);
    let order = api.availability_check("24", &[(sku, json!(1))]).await?;
    verdict.judge("order", sku, stock, &order);
    let asked = stage.d365().requests(before);
    Ok(asked.iter().filter(|r| r.kind == Kind::Lookup).count() as u64)
}

pub(super) async fn tried(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.items = 200;
    rig.scale.interval = Duration::from_hours(1);
    let stage = rig.stage(rig.world(), "").await?;
    for (item, stock) in THERE {
        let key = StockKey::of("usmf", item, "24");
        let change = StockChange::on_hand(&stock.to_string());
        stage.d365().put_stock(&key, &change)?;
    }
    stage.once().await?;
    let (mut service, api) = stage.api().await?;
    let (mut true_ones, mut false_ones) = (Verdict::default(), Verdict::default());
    let mut look_ups = 0;
    for (item, stock) in THERE.into_iter().chain(SPELLED_OTHERWISE) {
        ask(&stage, &api, item, Some(stock), &mut true_ones).await?;
    }
    let attacks = attacks();
    for sku in &attacks {
        look_ups += ask(&stage, &api, sku, None, &mut false_ones).await?;
    }
    // All that may stand in one question, together: none may take another's row.
    let together: Vec<&str> = attacks
        .iter()
        .map(String::as_str)
        .filter(|sku| (1..=256).contains(&sku.len()) && !sku.chars().any(char::is_control))
        .filter(|sku| !sku.contains(['*', '?']))
        .take(25)
        .chain(["RFI-1"])
        .collect();
    let reply = api.exact("24", &together).await?;
    for sku in &together {
        let line = reply
            .line(sku)
            .and_then(|line| line["availableStock"].as_i64());
        let expected = (*sku == "RFI-1").then_some(41);
        let is_wrong = reply.status == 200 && line.filter(|stock| *stock != 0) != expected;
        false_ones.note_wrong(is_wrong, "EXACT together", sku, &reply);
    }
    let mut outcome = Outcome::default();
    outcome.none("wrong rows served", false_ones.wrong);
    outcome.none("neither refused clearly nor answered", false_ones.unclear);
    outcome.none(
        "awkward true names not answered exactly",
        true_ones.wrong + true_ones.unclear,
    );
    outcome.happened("attacks refused with 400 or 422", false_ones.refused);
    outcome.happened("answered as not there", false_ones.answered);
    outcome.happened("look-ups of attacks reached D365", look_ups);
    service.stop().await?;
    Ok(outcome)
}
