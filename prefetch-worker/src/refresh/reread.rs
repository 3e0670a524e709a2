//! Asks D365 again for some SKUs, in all the warehouses named, and stores what it says.

use crate::refresh::variants::{as_question, variants_of};
use crate::worker::{TenantFeed, Worker};
use shared::d365::{D365Error, LookUp, LookUpAnswer, VARIANT_SKUS_PER_CALL, look_up_chunks};
use shared::redis_store::StoreError;
use shared::stock::{
    AsOf, ItemNumber, LineContent, LineValue, OnHandRow, Origin, QuantityError, Sku, SkuMapper,
    StockLine, VariantIndex, Verdict, WarehouseId, fold_item,
};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
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
    pub(crate) calls: u32,
}

pub(crate) fn items_of(mapper: &SkuMapper, skus: &[Sku]) -> Vec<ItemNumber> {
    let items: BTreeSet<ItemNumber> = skus.iter().flat_map(|sku| mapper.items_of(sku)).collect();
    items.into_iter().collect()
}

/// Reads SKUs again, chunk by chunk, each stored before the next is asked for.
///
/// Of a number the mapping lacks D365 is asked first whether a variant carries it by now: looked for
/// as a plain item its absence would be claimed.
pub(crate) async fn reread(
    worker: &Worker,
    feed: &TenantFeed,
    warehouses: &[WarehouseId],
    skus: &[Sku],
) -> Result<Reread, RereadError> {
    let mapper = feed.mapper(worker).await?;
    let findings = feed.variants().findings();
    let (strange, known): (Vec<Sku>, Vec<Sku>) = skus
        .iter()
        .cloned()
        .partition(|sku| findings.needs_variant_lookup(sku, &mapper));
    let items = items_of(&mapper, &known);
    let mut reread = read(worker, feed, warehouses, &mapper, &items, Some(&known)).await?;
    for skus in strange.chunks(VARIANT_SKUS_PER_CALL) {
        let fresh = fresh_mapper(feed, skus).await?;
        let items = items_of(&fresh, skus);
        let more = read(worker, feed, warehouses, &fresh, &items, Some(skus)).await?;
        for line in &more.lines {
            let has_stock = matches!(line.value.content, LineContent::Quantities(_));
            if has_stock && !fresh.knows(&line.sku) {
                findings.note_plain(&line.sku);
            }
        }
        reread.lines.extend(more.lines);
        reread.calls += more.calls + 1;
    }
    Ok(reread)
}

/// A mapping by the variants that carry these numbers and those of items so named, as of now.
async fn fresh_mapper(feed: &TenantFeed, skus: &[Sku]) -> Result<SkuMapper, D365Error> {
    let variants = variants_of(feed.source.as_ref(), skus).await?;
    Ok(SkuMapper::Variants(Arc::new(VariantIndex::new(variants))))
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
            gives_way: false,
        };
        let answer = feed.source.look_up(&question).await?;
        reread.calls += 1;
        let as_of = answer.as_of;
        let unproved: HashSet<ItemNumber> = answer.unproved.iter().cloned().collect();
        let mut seen: HashSet<(WarehouseId, Sku)> = HashSet::new();
        let mut lines = Vec::new();
        let unmapped_items = unmapped_items(feed, mapper, &answer.rows);
        let mut variants = Vec::new();
        for skus in unmapped_items.chunks(VARIANT_SKUS_PER_CALL) {
            variants.extend(variants_of(feed.source.as_ref(), skus).await?);
            reread.calls += 1;
        }
        let fresh = SkuMapper::Variants(Arc::new(VariantIndex::new(variants)));
        for rows in rows_by_item(answer) {
            let item = rows.first().map_or("", |row| row.item.key());
            let mapper = if unmapped_items.iter().any(|sku| sku.key() == item) {
                feed.variants().findings().note_answer(&rows, &fresh);
                &fresh
            } else {
                mapper
            };
            for line in fold_item(&rows, mapper, as_of, Origin::Live)?.lines {
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
                && !sku.is_doubtful()
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
        let applied = worker.store_of(feed).apply(feed.id(), &lines).await?;
        if (applied.verdicts).contains(&Verdict::RefusedOtherSettings) {
            return Err(StoreError::OtherSettings.into());
        }
        reread.lines.extend(lines);
    }
    Ok(reread)
}

/// The items with rows the mapping does not know, as D365 can be asked for their variants.
fn unmapped_items(feed: &TenantFeed, mapper: &SkuMapper, rows: &[OnHandRow]) -> Vec<Sku> {
    let findings = feed.variants().findings();
    let items: BTreeSet<&ItemNumber> = rows
        .iter()
        .filter(|row| findings.is_unmapped(row, mapper))
        .map(|row| &row.item)
        .collect();
    items.into_iter().filter_map(as_question).collect()
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
