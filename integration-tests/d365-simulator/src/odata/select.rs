//! Finds the rows of a query in order, looking at as few as possible.
//!
//! The condition's reach says which companies, warehouses and items can match. When the wanted order
//! starts with the item number (what the filter pins to one value does not count), items are
//! walked in that order and the walk ends with the page; otherwise all matches are collected and sorted.

use std::cmp::Ordering;
use std::ops::Bound;

use super::entities::{EntitySet, Property, SetRow};
use super::filter::{self, Expression, Reach};
use super::query::SortKey;
use crate::world::{Company, Item, Quantities, Random, World};

/// What to find.
pub(crate) struct Search<'q> {
    pub(crate) set: EntitySet,
    pub(crate) filter: Option<&'q Expression>,
    pub(crate) order: &'q [SortKey],
    /// Only this company, unless all are asked.
    pub(crate) only_company: Option<&'q str>,
    pub(crate) skip: usize,
    pub(crate) take: usize,
    /// Count all matches.
    pub(crate) count: bool,
    /// Without an order: shuffle with this seed.
    pub(crate) shuffle: Option<u64>,
}

pub(crate) struct Found<'w> {
    pub(crate) rows: Vec<SetRow<'w>>,
    /// Whether more rows follow.
    pub(crate) more: bool,
    /// All matches, if they were to be counted.
    pub(crate) total: Option<usize>,
}

struct Reaches {
    company: Reach,
    warehouse: Reach,
    item: Reach,
}

/// Answers a search from the world as it is now.
pub(crate) fn select<'w>(world: &'w World, search: &Search<'_>) -> Found<'w> {
    let always = Expression::Bool(true);
    let filter = search.filter.unwrap_or(&always);
    let reaches = Reaches {
        company: filter::reach(filter, Property::Company),
        warehouse: filter::reach(filter, Property::Warehouse),
        item: filter::reach(filter, Property::ItemNumber),
    };
    let mut companies: Vec<&Company> = world
        .companies()
        .iter()
        .filter(|company| reaches.company.contains(company.id().folded()))
        .filter(|company| {
            search
                .only_company
                .is_none_or(|only| only.eq_ignore_ascii_case(company.id().raw()))
        })
        .collect();
    let order: Vec<SortKey> = search
        .order
        .iter()
        .filter(|key| !is_pinned(**key, &reaches, companies.len()))
        .copied()
        .collect();
    let mut page = Page::new(search);
    match walk_of(&order, companies.len()) {
        Some(walk) if search.shuffle.is_none() => {
            if walk.companies_descending {
                companies.reverse();
            }
            for company in companies {
                page.walk(
                    world,
                    company,
                    filter,
                    &reaches,
                    &order,
                    walk.items_descending,
                );
                if page.is_complete() {
                    break;
                }
            }
            page.found()
        }
        _ => {
            let mut rows = Vec::new();
            for company in companies {
                if search.set == EntitySet::Warehouses {
                    warehouse_rows(company, filter, &mut rows);
                    continue;
                }
                each_item(company, &reaches.item, false, |item| {
                    rows_of(
                        world, search.set, company, item, filter, &reaches, &mut rows,
                    );
                    true
                });
            }
            match search.shuffle {
                Some(seed) => Random::seeded(seed).shuffle(&mut rows),
                None => rows.sort_by(|left, right| compare(&order, left, right)),
            }
            page.take_from(rows);
            page.found()
        }
    }
}

/// Whether the filter leaves the sort key a single value.
fn is_pinned(key: SortKey, reaches: &Reaches, companies: usize) -> bool {
    match key.property {
        Property::Company => companies <= 1,
        Property::Warehouse => reaches.warehouse.single().is_some(),
        Property::ItemNumber => reaches.item.single().is_some(),
        _ => false,
    }
}

struct Walk {
    companies_descending: bool,
    items_descending: bool,
}

/// How to walk companies and items to meet the order; `None` if a walk cannot.
fn walk_of(order: &[SortKey], companies: usize) -> Option<Walk> {
    let (company, rest) = match order {
        [first, rest @ ..] if first.property == Property::Company => (Some(*first), rest),
        all => (None, all),
    };
    if company.is_none() && companies > 1 && !order.is_empty() {
        return None;
    }
    let items_descending = match rest.first() {
        None => false,
        Some(key) if matches!(key.property, Property::ItemNumber | Property::MasterNumber) => {
            key.descending
        }
        Some(_) => return None,
    };
    Some(Walk {
        companies_descending: company.is_some_and(|key| key.descending),
        items_descending,
    })
}

fn compare(order: &[SortKey], left: &SetRow<'_>, right: &SetRow<'_>) -> Ordering {
    for key in order {
        let ordering = filter::compare(left.value(key.property), right.value(key.property));
        let ordering = if key.descending {
            ordering.reverse()
        } else {
            ordering
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Collects the rows between skip and skip + take, plus one that tells that more follow.
struct Page<'w, 'q> {
    search: &'q Search<'q>,
    rows: Vec<SetRow<'w>>,
    seen: usize,
}

impl<'w, 'q> Page<'w, 'q> {
    fn new(search: &'q Search<'q>) -> Self {
        Self {
            search,
            rows: Vec::with_capacity(search.take.min(10_000)),
            seen: 0,
        }
    }

    fn walk(
        &mut self,
        world: &'w World,
        company: &'w Company,
        filter: &Expression,
        reaches: &Reaches,
        order: &[SortKey],
        descending: bool,
    ) {
        let mut rows = Vec::new();
        let set = self.search.set;
        let mut visit = |item: Option<&'w Item>| {
            rows.clear();
            match item {
                Some(item) => rows_of(world, set, company, item, filter, reaches, &mut rows),
                None => warehouse_rows(company, filter, &mut rows),
            }
            if !order.is_empty() {
                rows.sort_by(|left, right| compare(order, left, right));
            }
            self.take_from(rows.drain(..));
            !self.is_complete()
        };
        if set == EntitySet::Warehouses {
            visit(None);
        } else {
            each_item(company, &reaches.item, descending, |item| visit(Some(item)));
        }
    }

    fn take_from(&mut self, rows: impl IntoIterator<Item = SetRow<'w>>) {
        for row in rows {
            if self.seen >= self.search.skip && self.rows.len() < self.search.take {
                self.rows.push(row);
            }
            self.seen += 1;
        }
    }

    fn is_complete(&self) -> bool {
        !self.search.count && self.seen > self.search.skip.saturating_add(self.search.take)
    }

    fn found(self) -> Found<'w> {
        Found {
            more: self.seen > self.search.skip.saturating_add(self.search.take),
            total: self.search.count.then_some(self.seen),
            rows: self.rows,
        }
    }
}

/// Visits the items within reach in order until the visitor has enough.
fn each_item<'w>(
    company: &'w Company,
    reach: &Reach,
    descending: bool,
    mut visit: impl FnMut(&'w Item) -> bool,
) {
    match reach {
        Reach::Points(points) => {
            let mut items: Vec<_> = points
                .iter()
                .filter_map(|point| company.item(point))
                .collect();
            if descending {
                items.reverse();
            }
            for item in items {
                if !visit(item) {
                    return;
                }
            }
        }
        Reach::Range(low, high) => {
            if is_empty_range(low, high) {
                return;
            }
            let low = low.as_ref().map(String::as_str);
            let high = high.as_ref().map(String::as_str);
            let mut items = company.items_between(low, high);
            let mut next = || {
                if descending {
                    items.next_back()
                } else {
                    items.next()
                }
            };
            while let Some(item) = next() {
                if !visit(item) {
                    return;
                }
            }
        }
    }
}

fn is_empty_range(low: &Bound<String>, high: &Bound<String>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
        _ => false,
    }
}

/// Adds the rows of one item that fulfil the condition, in the table's own order.
fn rows_of<'w>(
    world: &'w World,
    set: EntitySet,
    company: &'w Company,
    item: &'w Item,
    filter: &Expression,
    reaches: &Reaches,
    out: &mut Vec<SetRow<'w>>,
) {
    let mut keep = |row: SetRow<'w>| {
        if filter::matches(filter, &row) {
            out.push(row);
        }
    };
    let blank = SetRow {
        item: Some(item),
        ..SetRow::of_company(company)
    };
    if set == EntitySet::ReleasedVariants {
        for variant in &item.variants {
            keep(SetRow {
                dimensions: Some(world.dimensions(variant.dimensions)),
                variant: Some(&variant.number),
                ..blank.clone()
            });
        }
        return;
    }
    let mut sites: Vec<SetRow<'w>> = Vec::new();
    for row in &item.rows {
        let Some(quantities) = row.quantities() else {
            continue;
        };
        let warehouse = company.warehouse(row.warehouse);
        let dimensions = world.dimensions(row.dimensions);
        let site = company.site(row.site);
        let stock = SetRow {
            dimensions: Some(dimensions),
            site: Some(site),
            quantities: *quantities,
            ..blank.clone()
        };
        match set {
            EntitySet::SitesOnHand => {
                let same = sites.iter_mut().find(|known| {
                    known.site == Some(site)
                        && known
                            .dimensions
                            .is_some_and(|set| std::ptr::eq(set, dimensions))
                });
                match same {
                    Some(known) => known.quantities.add(quantities),
                    None => sites.push(stock),
                }
            }
            EntitySet::StatusesOnHand => {
                if reaches.warehouse.contains(warehouse.id.folded()) {
                    let stock = SetRow {
                        warehouse: Some(warehouse),
                        ..stock
                    };
                    by_status(stock).into_iter().flatten().for_each(&mut keep);
                }
            }
            _ => {
                if reaches.warehouse.contains(warehouse.id.folded()) {
                    keep(SetRow {
                        warehouse: Some(warehouse),
                        ..stock
                    });
                }
            }
        }
    }
    sites.into_iter().for_each(keep);
}

/// A row of a warehouse with warehouse management is split by inventory status.
fn by_status(row: SetRow<'_>) -> [Option<SetRow<'_>>; 2] {
    if !row.warehouse.is_some_and(|warehouse| warehouse.managed) {
        return [Some(row), None];
    }
    let blocked = row.quantities.blocked;
    let mut available = SetRow {
        status: "Available",
        ..row.clone()
    };
    available.quantities.on_hand -= blocked;
    let blocked = (!blocked.is_zero()).then(|| SetRow {
        status: "Blocked",
        quantities: Quantities {
            on_hand: blocked,
            blocked,
            ..Quantities::default()
        },
        ..row
    });
    [Some(available), blocked]
}

fn warehouse_rows<'w>(company: &'w Company, filter: &Expression, out: &mut Vec<SetRow<'w>>) {
    for warehouse in company
        .warehouses()
        .iter()
        .filter(|warehouse| warehouse.listed)
    {
        let row = SetRow {
            warehouse: Some(warehouse),
            site: Some(company.site(warehouse.site)),
            ..SetRow::of_company(company)
        };
        if filter::matches(filter, &row) {
            out.push(row);
        }
    }
}

#[cfg(test)]
mod tests;
