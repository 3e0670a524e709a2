//! From signed quantities to what a shop may show.

use crate::stock::quantity::{Quantity, QuantityError};

/// A negative quantity is nothing to sell: ICM reads a negative number as "available, amount not
/// told".
pub fn clamp_to_sellable(available: Quantity) -> Quantity {
    available.max(Quantity::ZERO)
}

/// Adds warehouses: each is clamped first, so that one warehouse's debt does not eat another's stock.
pub fn sum_sellable(
    per_warehouse: impl IntoIterator<Item = Quantity>,
) -> Result<Quantity, QuantityError> {
    per_warehouse
        .into_iter()
        .try_fold(Quantity::ZERO, |sum, available| {
            sum.checked_add(clamp_to_sellable(available))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_warehouse_does_not_eat_anothers_stock() {
        let sum = sum_sellable([Quantity::from(-5), Quantity::from(3), Quantity::ZERO]).unwrap();
        assert_eq!(sum, Quantity::from(3));
    }
}
