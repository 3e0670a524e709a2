//! Where a page ends and where it says to go on.

use super::query::{Query, skip_token};
use crate::switches::PagingStyle;

/// How many rows a page brings and what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PagePlan {
    pub(crate) take: usize,
    /// Rows the caller may still have after this page; `None`: as many as there are.
    remaining: Option<usize>,
    /// Continuation made for `Prefer: odata.maxpagesize`: repeats the size as `$top`.
    preferred: Option<usize>,
}

impl PagePlan {
    /// `preferred` is the page size asked for by header, where that is honoured.
    pub(crate) fn new(query: &Query, page_size: usize, preferred: Option<usize>) -> Self {
        let preferred = preferred.filter(|size| *size > 0 && query.top.is_none());
        let limit = preferred.map_or(page_size, |size| size.min(page_size));
        let take = query.top.map_or(limit, |top| top.min(limit));
        Self {
            take,
            remaining: query.top.map(|top| top - take),
            preferred,
        }
    }

    /// Whether a page with rows behind it continues.
    pub(crate) fn goes_on(&self, more: bool) -> bool {
        more && self.remaining != Some(0)
    }

    /// The continuation link: the request's own options, then where to go on.
    pub(crate) fn next_link(&self, query: &Query, origin: &str, style: PagingStyle) -> String {
        let skip = query.skip + self.take;
        let top = self.preferred.or(self.remaining);
        let mut options: Vec<String> = query
            .raw
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "$skip" | "$top" | "$skiptoken"))
            .map(|(_, pair)| pair.clone())
            .collect();
        match style {
            PagingStyle::SkipToken => options.push(format!("$skiptoken={}", skip_token(skip, top))),
            PagingStyle::Skip => {
                options.push(format!("$skip={skip}"));
                options.extend(top.map(|top| format!("$top={top}")));
            }
        }
        format!("{origin}/data/{}?{}", query.set.name(), options.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odata::entities::EntitySet;

    fn query(raw: &str) -> Query {
        Query::read(EntitySet::WarehousesOnHand, raw).unwrap()
    }

    #[test]
    fn without_top_the_page_size_rules() {
        let query = query("cross-company=true&$filter=ItemNumber%20gt%20%27A%27");
        let plan = PagePlan::new(&query, 100, None);
        assert_eq!(plan.take, 100);
        assert!(plan.goes_on(true) && !plan.goes_on(false));
        assert_eq!(
            plan.next_link(&query, "http://d365", PagingStyle::Skip),
            "http://d365/data/WarehousesOnHandV2?cross-company=true&$filter=ItemNumber%20gt%20%27A%27&$skip=100"
        );
    }

    #[test]
    fn a_top_within_the_page_size_ends_there() {
        let plan = PagePlan::new(&query("$top=100"), 100, None);
        assert_eq!(plan.take, 100);
        assert!(!plan.goes_on(true));
    }

    #[test]
    fn a_top_beyond_the_page_size_goes_on_with_the_rest() {
        let query = query("$top=250&$skip=10&$count=true");
        let plan = PagePlan::new(&query, 100, None);
        assert!(plan.goes_on(true));
        assert_eq!(
            plan.next_link(&query, "http://d365", PagingStyle::Skip),
            "http://d365/data/WarehousesOnHandV2?$count=true&$skip=110&$top=150"
        );
    }

    #[test]
    fn a_preferred_size_makes_a_link_whose_answer_ends() {
        let first = query("cross-company=true");
        let plan = PagePlan::new(&first, 100, Some(20));
        assert_eq!(plan.take, 20);
        let link = plan.next_link(&first, "http://d365", PagingStyle::Skip);
        assert!(link.ends_with("&$skip=20&$top=20"), "{link}");
        let second = PagePlan::new(&query("cross-company=true&$skip=20&$top=20"), 100, Some(20));
        assert!(!second.goes_on(true));
    }
}
