//! Which requests give way under load.
//!
//! Lists first, then details, orders last: of the places there are, browsing may take nine in ten, a
//! list three in four, an order check all. That holds for the requests in work and for the calls to
//! D365.

use crate::http::paths;

/// SKUs from which a browse question is a list.
const LIST_FROM: usize = 6;

/// What a request is for. The later, the more it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Many products at once: first.
    Listing,
    /// A product page or a cart: next.
    Product,
    /// Somebody pressed "Submit Order", or nothing is asked of Redis or D365: last.
    Order,
}

impl Priority {
    /// By the route; a browse question counts as one about a product until it was read.
    pub(crate) fn of_route(route: &str) -> Self {
        if route == paths::INVENTORIES {
            Self::Product
        } else {
            Self::Order
        }
    }

    /// Of a browse question about so many SKUs.
    pub(crate) fn of_browsing(skus: usize) -> Self {
        if skus >= LIST_FROM {
            Self::Listing
        } else {
            Self::Product
        }
    }

    /// Places it may use of so many; at least one.
    pub(crate) fn places_of(self, limit: usize) -> usize {
        match self {
            Self::Listing => limit.saturating_mul(3) / 4,
            Self::Product => limit.saturating_mul(9) / 10,
            Self::Order => limit,
        }
        .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_fewer_places_than_details_and_orders_all() {
        let places = [Priority::Listing, Priority::Product, Priority::Order]
            .map(|priority| priority.places_of(512));
        assert_eq!(places, [384, 460, 512]);
        assert_eq!(Priority::Listing.places_of(1), 1);
        assert_eq!(Priority::of_browsing(5), Priority::Product);
        assert_eq!(Priority::of_browsing(6), Priority::Listing);
        assert_eq!(Priority::of_route(paths::INVENTORIES), Priority::Product);
        assert_eq!(
            Priority::of_route(paths::AVAILABILITY_CHECKS),
            Priority::Order
        );
    }
}
