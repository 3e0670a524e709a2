//! Asks D365 again for some SKUs, in all the warehouses named, and stores what it says.

use crate::state::{TenantFeed, Worker};
use shared::d365::{D365Error, LookUp, LookUpAnswer, look_up_chunks};
use shared::redis_store::StoreError;
use shared::stock::{
    AsOf, ItemNumber, LineContent, LineValue, OnHandRow, Origin, QuantityError, Sku, SkuMapper,
    StockLine, WarehouseId, fold_item,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

const TIME_PER_CHUNK: Duration = Duration::from_secs(30);

/// Why SKUs could not be read again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RereadError {
    #[error(transparent)]
    D365(#[from] D365Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Quantity(#[from] QuantityError),
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Reread {
    /// The lines, as they were offered to the store.
    pub(crate) lines: Vec<StockLine>,
    /// Calls to D365.
    pub(crate) calls: u32,
}

/// The items that some SKUs are made of.
pub(crate) fn items_of(mapper: &SkuMapper, skus: &[Sku]) -> Vec<ItemNumber> {
    let items: BTreeSet<ItemNumber> = skus.iter().flat_map(|sku| mapper.items_of(sku)).collect();
    items.into_iter().collect()
}

/// Reads SKUs again, chunk by chunk, each stored before the next is asked for.
pub(crate) async fn reread(
    worker: &Worker,
    feed: &TenantFeed,
    warehouses: &[WarehouseId],
    skus: &[Sku],
) -> Result<Reread, RereadError> {
    let mapper = feed.mapper(worker).await?;
    let items = items_of(&mapper, skus);
    read(worker, feed, warehouses, &mapper, &items, Some(skus)).await
}

/// Reads items again, with all SKUs they are.
pub(crate) async fn reread_items(
    worker: &Worker,
    feed: &TenantFeed,
    warehouses: &[WarehouseId],
    items: &[ItemNumber],
) -> Result<Reread, RereadError> {
    let mapper = feed.mapper(worker).await?;
    read(worker, feed, warehouses, &mapper, items, None).await
}

async fn read(
    worker: &Worker,
    feed: &TenantFeed,
    warehouses: &[WarehouseId],
    mapper: &SkuMapper,
    items: &[ItemNumber],
    skus: Option<&[Sku]>,
) -> Result<Reread, RereadError> {
    let wanted: Option<HashSet<&Sku>> = skus.map(|skus| skus.iter().collect());
    let mut reread = Reread::default();
    for items in look_up_chunks(items, warehouses, feed.settings.longest_address) {
        let question = LookUp {
            items,
            warehouses: warehouses.to_vec(),
            time_left: TIME_PER_CHUNK,
        };
        let answer = feed.source.look_up(&question).await?;
        reread.calls += 1;
        let as_of = answer.as_of;
        let unproved: HashSet<ItemNumber> = answer.unproved.iter().cloned().collect();
        let mut seen: HashSet<(WarehouseId, Sku)> = HashSet::new();
        let mut lines = Vec::new();
        for rows in rows_by_item(answer) {
            for line in fold_item(rows, mapper, as_of, Origin::Live)?.lines {
                if wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted.contains(&line.sku))
                {
                    seen.insert((line.warehouse.clone(), line.sku.clone()));
                    lines.push(line);
                }
            }
        }
        // A SKU is absent only if everything that could have shown it was asked for here.
        let asked: HashSet<&ItemNumber> = question.items.iter().collect();
        let expected = match skus {
            Some(skus) => skus.to_vec(),
            None => skus_named_like(&question.items),
        };
        for sku in &expected {
            let items = mapper.items_of(sku);
            let is_proved = !items.is_empty()
                && items
                    .iter()
                    .all(|item| asked.contains(item) && !unproved.contains(item));
            if !is_proved {
                continue;
            }
            for warehouse in warehouses {
                if !seen.contains(&(warehouse.clone(), sku.clone())) {
                    lines.push(absent(sku.clone(), warehouse.clone(), as_of));
                }
            }
        }
        worker.store.apply(feed.id(), &lines).await?;
        reread.lines.extend(lines);
    }
    Ok(reread)
}

/// The SKUs that bear an item's own number. Other SKUs of an item that has gone become suspect and
/// absent with the snapshots.
fn skus_named_like(items: &[ItemNumber]) -> Vec<Sku> {
    items
        .iter()
        .filter_map(|item| Sku::parse(item.as_str()).ok())
        .collect()
}

fn absent(sku: Sku, warehouse: WarehouseId, as_of: AsOf) -> StockLine {
    StockLine {
        sku,
        warehouse,
        value: LineValue {
            content: LineContent::Absent,
            as_of,
            origin: Origin::Live,
        },
    }
}

fn rows_by_item(answer: LookUpAnswer) -> impl Iterator<Item = Vec<OnHandRow>> {
    let mut groups: BTreeMap<(WarehouseId, ItemNumber), Vec<OnHandRow>> = BTreeMap::new();
    for row in answer.rows {
        groups
            .entry((row.warehouse.clone(), row.item.clone()))
            .or_default()
            .push(row);
    }
    groups.into_values()
}
