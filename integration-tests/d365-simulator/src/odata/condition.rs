//! `$filter` as a condition on rows. Only what a client of on-hand rows needs: texts compared, `and`, `or`.

use std::cmp::Ordering;

use super::entities::{Property, SetRow, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    /// A property against a text literal in folded form.
    Compare(Property, Comparison, String),
}

impl Condition {
    /// Whether the row fulfils it.
    pub(crate) fn is_met_by(&self, row: &SetRow<'_>) -> bool {
        match self {
            Self::And(left, right) => left.is_met_by(row) && right.is_met_by(row),
            Self::Or(left, right) => left.is_met_by(row) || right.is_met_by(row),
            Self::Compare(property, comparison, literal) => match row.value(*property) {
                Value::Text(text) => holds(text.folded(), *comparison, literal),
                _ => false,
            },
        }
    }
}

fn holds(text: &str, comparison: Comparison, literal: &str) -> bool {
    let order = text.cmp(literal);
    match comparison {
        // The star is a wildcard on the right of `eq` and `ne`, and nowhere else.
        Comparison::Equal => is_like(text, literal),
        Comparison::NotEqual => !is_like(text, literal),
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
    }
}

/// Whether a text fits a pattern in which each star stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
