//! Which values of one property a condition can match at all.
//!
//! The answer may be too wide, never too narrow: candidates are still put to the whole condition.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::{Comparison, Expression};
use crate::odata::entities::Property;

/// A superset of the folded texts that can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    Points(BTreeSet<String>),
    Range(Bound<String>, Bound<String>),
}

impl Reach {
    const ALL: Self = Self::Range(Bound::Unbounded, Bound::Unbounded);

    pub(crate) fn contains(&self, folded: &str) -> bool {
        match self {
            Self::Points(points) => points.contains(folded),
            Self::Range(low, high) => above(low, folded) && below(high, folded),
        }
    }

    /// The only text that can match, if there is just one.
    pub(crate) fn single(&self) -> Option<&str> {
        match self {
            Self::Points(points) if points.len() == 1 => points.first().map(String::as_str),
            _ => None,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Points(mut points), other) | (other, Self::Points(mut points)) => {
                points.retain(|point| other.contains(point));
                Self::Points(points)
            }
            (Self::Range(low, high), Self::Range(other_low, other_high)) => {
                Self::Range(higher(low, other_low), lower(high, other_high))
            }
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Points(mut points), Self::Points(more)) => {
                points.extend(more);
                Self::Points(points)
            }
            (left, right) => {
                let (Some((low, high)), Some((other_low, other_high))) =
                    (left.hull(), right.hull())
                else {
                    return Self::ALL;
                };
                Self::Range(
                    wider(&low, &other_low, true),
                    wider(&high, &other_high, false),
                )
            }
        }
    }

    fn hull(&self) -> Option<(Bound<String>, Bound<String>)> {
        match self {
            Self::Range(low, high) => Some((low.clone(), high.clone())),
            Self::Points(points) => {
                let (first, last) = (points.first()?, points.last()?);
                Some((
                    Bound::Included(first.clone()),
                    Bound::Included(last.clone()),
                ))
            }
        }
    }
}

/// Works out the reach of a condition in one property.
pub(crate) fn reach(condition: &Expression, property: Property) -> Reach {
    match condition {
        Expression::And(left, right) => reach(left, property).and(reach(right, property)),
        Expression::Or(left, right) => reach(left, property).or(reach(right, property)),
        Expression::Compare(operator, left, right) => match (&**left, &**right) {
            (Expression::Property(named), Expression::Text(text)) if *named == property => {
                compared(*operator, text)
            }
            (Expression::Text(text), Expression::Property(named)) if *named == property => {
                compared(mirrored(*operator), text)
            }
            _ => Reach::ALL,
        },
        _ => Reach::ALL,
    }
}

fn compared(operator: Comparison, text: &str) -> Reach {
    let text = text.to_owned();
    match operator {
        Comparison::Equal if text.contains('*') => Reach::ALL,
        Comparison::Equal => Reach::Points(BTreeSet::from([text])),
        Comparison::NotEqual => Reach::ALL,
        Comparison::Greater => Reach::Range(Bound::Excluded(text), Bound::Unbounded),
        Comparison::GreaterOrEqual => Reach::Range(Bound::Included(text), Bound::Unbounded),
        Comparison::Less => Reach::Range(Bound::Unbounded, Bound::Excluded(text)),
        Comparison::LessOrEqual => Reach::Range(Bound::Unbounded, Bound::Included(text)),
    }
}

fn mirrored(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        same => same,
    }
}

fn above(low: &Bound<String>, text: &str) -> bool {
    match low {
        Bound::Included(low) => text >= low.as_str(),
        Bound::Excluded(low) => text > low.as_str(),
        Bound::Unbounded => true,
    }
}

fn below(high: &Bound<String>, text: &str) -> bool {
    match high {
        Bound::Included(high) => text <= high.as_str(),
        Bound::Excluded(high) => text < high.as_str(),
        Bound::Unbounded => true,
    }
}

fn text_of(bound: &Bound<String>) -> Option<&str> {
    match bound {
        Bound::Included(text) | Bound::Excluded(text) => Some(text),
        Bound::Unbounded => None,
    }
}

/// The stricter of two lower bounds.
fn higher(left: Bound<String>, right: Bound<String>) -> Bound<String> {
    match (text_of(&left), text_of(&right)) {
        (None, _) => right,
        (_, None) => left,
        (Some(a), Some(b)) if a > b || (a == b && matches!(left, Bound::Excluded(_))) => left,
        _ => right,
    }
}

/// The stricter of two upper bounds.
fn lower(left: Bound<String>, right: Bound<String>) -> Bound<String> {
    match (text_of(&left), text_of(&right)) {
        (None, _) => right,
        (_, None) => left,
        (Some(a), Some(b)) if a < b || (a == b && matches!(left, Bound::Excluded(_))) => left,
        _ => right,
    }
}

/// The laxer of two bounds; made inclusive, which is wide enough.
fn wider(left: &Bound<String>, right: &Bound<String>, lowest: bool) -> Bound<String> {
    match (text_of(left), text_of(right)) {
        (Some(a), Some(b)) => {
            let text = if lowest { a.min(b) } else { a.max(b) };
            Bound::Included(text.to_owned())
        }
        _ => Bound::Unbounded,
    }
}
