//! Which values of one property a condition can match at all, so that a page need not look at the rest.
//!
//! The answer may be too wide, never too narrow: candidates are still put to the whole condition.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use super::condition::{Comparison, Condition};
use super::entities::Property;

/// A superset of the folded texts that can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Points(BTreeSet<String>),
    Range(Bound<String>, Bound<String>),
}

impl Reach {
    pub(crate) const ALL: Self = Self::Range(Bound::Unbounded, Bound::Unbounded);

    /// The reach of a condition in one property.
    pub(crate) fn of(condition: &Condition, property: Property) -> Self {
        match condition {
            Condition::And(left, right) => Self::of(left, property).and(Self::of(right, property)),
            Condition::Or(left, right) => {
                match (Self::of(left, property), Self::of(right, property)) {
                    (Self::Points(mut points), Self::Points(more)) => {
                        points.extend(more);
                        Self::Points(points)
                    }
                    _ => Self::ALL,
                }
            }
            Condition::Compare(named, comparison, text) if *named == property => {
                Self::compared(*comparison, text.clone())
            }
            Condition::Compare(..) => Self::ALL,
        }
    }

    pub(crate) fn contains(&self, folded: &str) -> bool {
        match self {
            Self::Points(points) => points.contains(folded),
            Self::Range(low, high) => {
                let (low, high) = (low.as_ref(), high.as_ref());
                let range = (low.map(String::as_str), high.map(String::as_str));
                RangeBounds::<str>::contains(&range, folded)
            }
        }
    }

    fn compared(comparison: Comparison, text: String) -> Self {
        match comparison {
            Comparison::Equal if !text.contains('*') => Self::Points(BTreeSet::from([text])),
            Comparison::Equal | Comparison::NotEqual => Self::ALL,
            Comparison::Greater => Self::Range(Bound::Excluded(text), Bound::Unbounded),
            Comparison::GreaterOrEqual => Self::Range(Bound::Included(text), Bound::Unbounded),
            Comparison::Less => Self::Range(Bound::Unbounded, Bound::Excluded(text)),
            Comparison::LessOrEqual => Self::Range(Bound::Unbounded, Bound::Included(text)),
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Points(mut points), other) | (other, Self::Points(mut points)) => {
                points.retain(|point| other.contains(point));
                Self::Points(points)
            }
            // Of two bounds on one side either is wide enough; clients send one.
            (Self::Range(low, high), Self::Range(other_low, other_high)) => {
                let first = |bound, other| match bound {
                    Bound::Unbounded => other,
                    bound => bound,
                };
                Self::Range(first(low, other_low), first(high, other_high))
            }
        }
    }
}
