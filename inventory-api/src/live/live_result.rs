//! PURE: D365's answers -> what was found out about each SKU in each warehouse.

use super::failure::LiveFailure;
use super::items::ItemsOfSkus;
use super::write_through::WriteThrough;
use shared::d365::{D365Error, LookUpAnswer};
use shared::stock::{
    AsOf, ItemNumber, LineContent, LineValue, OnHandRow, Origin, Sku, SkuMapper, StockLine,
    WarehouseId, fold_item,
};
use std::collections::{BTreeMap, HashMap};

/// What was found out about one SKU in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveLine {
    /// Its line, or its proved absence.
    Line(LineValue),
    /// D365 answered, and the answer proves nothing: a row came back that was not asked for, or D365
    /// may know the SKU in a spelling that is not taken for the same here.
    Unproved,
    /// There was no usable answer.
    Failed,
}

impl LiveLine {
    /// The oldest as-of of some lines; none if one of them is no line.
    pub(crate) fn as_of_all(lines: &[Self]) -> Option<AsOf> {
        let as_of = |line: &Self| match line {
            Self::Line(line) => Some(line.as_of),
            Self::Unproved | Self::Failed => None,
        };
        let all: Option<Vec<AsOf>> = lines.iter().map(as_of).collect();
        all?.into_iter().min()
    }
}

/// What was found out: SKU by SKU, each with all warehouses.
#[derive(Debug, Clone, Default)]
pub(crate) struct LiveResult {
    pub(crate) lines: Vec<LiveLine>,
    /// The first failure, if any.
    pub(crate) failure: Option<LiveFailure>,
    /// The worst that became of storing them; none if nothing was to be stored.
    pub(crate) write_through: Option<WriteThrough>,
}

impl LiveResult {
    pub(crate) fn all_failed(count: usize, failure: LiveFailure) -> Self {
        Self {
            lines: vec![LiveLine::Failed; count],
            failure: Some(failure),
            write_through: None,
        }
    }

    /// Adds what was found out about more SKUs.
    pub(super) fn extend(&mut self, more: Self) {
        self.lines.extend(more.lines);
        self.failure = self.failure.take().or(more.failure);
        self.write_through = self.write_through.max(more.write_through);
    }

    /// The same, one by one for each SKU of so many warehouses.
    pub(super) fn by_sku(&self, warehouses: usize) -> impl Iterator<Item = Self> {
        self.lines.chunks(warehouses.max(1)).map(|lines| Self {
            lines: lines.to_vec(),
            failure: self
                .failure
                .clone()
                .filter(|_| lines.contains(&LiveLine::Failed)),
            write_through: self.write_through,
        })
    }

    /// The lines to store.
    pub(super) fn stock_lines(&self, skus: &[Sku], warehouses: &[WarehouseId]) -> Vec<StockLine> {
        let places = skus
            .iter()
            .flat_map(|sku| warehouses.iter().map(move |warehouse| (sku, warehouse)));
        let lines = places
            .zip(&self.lines)
            .filter_map(|((sku, warehouse), line)| match line {
                LiveLine::Line(value) => Some(StockLine {
                    sku: sku.clone(),
                    warehouse: warehouse.clone(),
                    value: *value,
                }),
                LiveLine::Unproved | LiveLine::Failed => None,
            });
        lines.collect()
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
) -> LiveResult {
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
    let found = skus
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
                    ItemAnswer::Failed => LiveLine::Failed,
                    ItemAnswer::Unproved => line().map_or(LiveLine::Unproved, LiveLine::Line),
                    ItemAnswer::Proved(as_of) => LiveLine::Line(line().unwrap_or(LineValue {
                        content: LineContent::Absent,
                        as_of,
                        origin: Origin::Live,
                    })),
                }
            })
        })
        .collect();
    LiveResult {
        lines: found,
        failure,
        write_through: None,
    }
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
