//! PURE: D365's answers -> what was learned about each SKU in each warehouse.

use super::items::ItemsOfSkus;
use crate::live::failure::LiveFailure;
use shared::d365::{D365Error, LookUpAnswer};
use shared::stock::{
    AsOf, ItemNumber, LineContent, LineValue, OnHandRow, Origin, Sku, SkuMapper, StockLine,
    WarehouseId, fold_item,
};
use std::collections::{BTreeMap, HashMap};

/// What was learned about one SKU in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Its line, or its proved absence.
    Line(LineValue),
    /// D365 answered, and the answer proves nothing: a row came back that was not asked for, or D365
    /// may know the SKU in a spelling that is not taken for the same here.
    Unproved,
    /// There was no usable answer.
    Failed,
}

/// What was learned: SKU by SKU, each with all warehouses.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) findings: Vec<Finding>,
    /// The first failure, if any.
    pub(crate) failure: Option<LiveFailure>,
}

impl Findings {
    pub(crate) fn all_failed(count: usize, failure: LiveFailure) -> Self {
        Self {
            findings: vec![Finding::Failed; count],
            failure: Some(failure),
        }
    }

    /// Since when one SKU is known in all warehouses: the oldest as-of; none if something failed or
    /// was not proved.
    pub(crate) fn as_of(of_sku: &[Finding]) -> Option<AsOf> {
        of_sku
            .iter()
            .map(|finding| match finding {
                Finding::Line(line) => Some(line.as_of),
                Finding::Unproved | Finding::Failed => None,
            })
            .reduce(|a, b| Some(a?.min(b?)))
            .flatten()
    }

    /// The lines to store.
    pub(crate) fn lines(&self, skus: &[Sku], warehouses: &[WarehouseId]) -> Vec<StockLine> {
        let places = skus
            .iter()
            .flat_map(|sku| warehouses.iter().map(move |warehouse| (sku, warehouse)));
        places
            .zip(&self.findings)
            .filter_map(|((sku, warehouse), finding)| match finding {
                Finding::Line(value) => Some(StockLine {
                    sku: sku.clone(),
                    warehouse: warehouse.clone(),
                    value: *value,
                }),
                Finding::Unproved | Finding::Failed => None,
            })
            .collect()
    }
}

/// What is known about one item after its chunk was answered or failed.
#[derive(Debug, Clone, Copy)]
enum ItemAnswer {
    Proved(AsOf),
    Unproved,
    Failed,
}

/// What became of one request: the items it was about, and its answer.
pub(super) type Asked = (Vec<ItemNumber>, Result<LookUpAnswer, LiveFailure>);

/// Puts the answers together.
///
/// A SKU fails if one of its items failed: its sum could be half. It is absent only if all its
/// items were answered, and neither they nor its own spelling are in doubt.
pub(super) fn collect(
    skus: &[Sku],
    warehouses: &[WarehouseId],
    items: &ItemsOfSkus,
    mapper: &SkuMapper,
    answers: Vec<Asked>,
) -> Findings {
    let mut by_item: HashMap<ItemNumber, ItemAnswer> = HashMap::with_capacity(items.items.len());
    let mut lines: HashMap<(Sku, WarehouseId), LineValue> = HashMap::new();
    let mut failure = None;
    for (asked, answer) in answers {
        let answer = match answer {
            Ok(answer) => answer,
            Err(cause) => {
                failure.get_or_insert(cause);
                continue;
            }
        };
        for item in asked {
            let known = if answer.unproved.contains(&item) {
                ItemAnswer::Unproved
            } else {
                ItemAnswer::Proved(answer.as_of)
            };
            by_item.insert(item, known);
        }
        for (item, cause) in add_lines(&mut lines, answer, mapper) {
            failure.get_or_insert(LiveFailure::Erp(cause));
            by_item.insert(item, ItemAnswer::Failed);
        }
    }
    let item_answers: Vec<ItemAnswer> = items
        .items
        .iter()
        .map(|item| by_item.get(item).copied().unwrap_or(ItemAnswer::Failed))
        .collect();
    let findings = skus
        .iter()
        .zip(&items.of_sku)
        .flat_map(|(sku, of_sku)| {
            let whole = match whole_answer(of_sku, &item_answers) {
                ItemAnswer::Proved(_) if sku.is_doubtful() => ItemAnswer::Unproved,
                whole => whole,
            };
            let lines = &lines;
            warehouses.iter().map(move |warehouse| {
                let line = || lines.get(&(sku.clone(), warehouse.clone())).copied();
                match whole {
                    ItemAnswer::Failed => Finding::Failed,
                    ItemAnswer::Unproved => line().map_or(Finding::Unproved, Finding::Line),
                    ItemAnswer::Proved(as_of) => Finding::Line(line().unwrap_or(LineValue {
                        content: LineContent::Absent,
                        as_of,
                        origin: Origin::Live,
                    })),
                }
            })
        })
        .collect();
    Findings { findings, failure }
}

fn whole_answer(of_sku: &[usize], item_answers: &[ItemAnswer]) -> ItemAnswer {
    let answers = of_sku.iter().filter_map(|item| item_answers.get(*item));
    let whole = answers.copied().reduce(|a, b| match (a, b) {
        (ItemAnswer::Failed, _) | (_, ItemAnswer::Failed) => ItemAnswer::Failed,
        (ItemAnswer::Unproved, _) | (_, ItemAnswer::Unproved) => ItemAnswer::Unproved,
        (ItemAnswer::Proved(a), ItemAnswer::Proved(b)) => ItemAnswer::Proved(a.min(b)),
    });
    // A SKU that stands for no item was not asked for, so nothing is proved.
    whole.unwrap_or(ItemAnswer::Unproved)
}

/// Folds an answer's rows into lines; gives back the items whose sums left the number range.
fn add_lines(
    lines: &mut HashMap<(Sku, WarehouseId), LineValue>,
    answer: LookUpAnswer,
    mapper: &SkuMapper,
) -> Vec<(ItemNumber, D365Error)> {
    let mut by_place: BTreeMap<(ItemNumber, WarehouseId), Vec<OnHandRow>> = BTreeMap::new();
    for row in answer.rows {
        by_place
            .entry((row.item.clone(), row.warehouse.clone()))
            .or_default()
            .push(row);
    }
    let mut unusable = Vec::new();
    for ((item, _), rows) in by_place {
        match fold_item(&rows, mapper, answer.as_of, Origin::Live) {
            Ok(folded) => {
                for line in folded.lines {
                    add_line(lines, line);
                }
            }
            Err(cause) => unusable.push((
                item,
                D365Error::BadAnswer {
                    problem: cause.to_string(),
                },
            )),
        }
    }
    unusable
}

/// Two items can be written as one SKU by a template; then both are its stock.
fn add_line(lines: &mut HashMap<(Sku, WarehouseId), LineValue>, line: StockLine) {
    lines
        .entry((line.sku, line.warehouse))
        .and_modify(|known| {
            if let (LineContent::Quantities(a), LineContent::Quantities(b)) =
                (known.content, line.value.content)
                && let Ok(sum) = a.checked_add(b)
            {
                known.content = LineContent::Quantities(sum);
                known.as_of = known.as_of.min(line.value.as_of);
            }
        })
        .or_insert(line.value);
}

#[cfg(test)]
mod tests;
