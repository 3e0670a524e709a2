//! Decides whether a row fulfils a condition.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::{Arithmetic, Comparison, Expression};
use crate::odata::entities::{SetRow, Value};
use crate::world::Text;

/// Whether the row fulfils the condition.
pub(crate) fn matches(condition: &Expression, row: &SetRow<'_>) -> bool {
    match condition {
        Expression::And(left, right) => matches(left, row) && matches(right, row),
        Expression::Or(left, right) => matches(left, row) || matches(right, row),
        Expression::Not(inner) => !matches(inner, row),
        Expression::Compare(operator, left, right) => holds(*operator, left, right, row),
        Expression::Bool(value) => *value,
        _ => false,
    }
}

/// The order of two values of the same property, as `$orderby` wants it.
pub(crate) fn compare(left: Value<'_>, right: Value<'_>) -> Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.total_cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(&right),
        (Value::NoYes(left), Value::NoYes(right)) => left.cmp(&right),
        (Value::Symbol(left), Value::Symbol(right)) => left.cmp(right),
        (left, right) => Text::new(text(&left)).total_cmp(&Text::new(text(&right))),
    }
}

fn text<'a>(value: &Value<'a>) -> &'a str {
    match value {
        Value::Text(text) => text.raw(),
        Value::Free(text) => text,
        Value::Symbol(symbol) => symbol,
        Value::Number(_) | Value::NoYes(_) => "",
    }
}

/// A value of an expression, texts in folded form.
enum Result<'a> {
    Text(Cow<'a, str>),
    Number(Decimal),
    Bool(bool),
    Symbol(&'a str),
    Null,
}

fn holds(operator: Comparison, left: &Expression, right: &Expression, row: &SetRow<'_>) -> bool {
    let order = match (value(left, row), value(right, row)) {
        (Result::Text(left), Result::Text(right)) => {
            if matches!(operator, Comparison::Equal | Comparison::NotEqual) {
                // The star is a wildcard on the right of `eq` and `ne`.
                let equal = if right.contains('*') {
                    is_like(&left, &right)
                } else {
                    left == right
                };
                return equal == (operator == Comparison::Equal);
            }
            left.cmp(&right)
        }
        (Result::Number(left), Result::Number(right)) => left.cmp(&right),
        (Result::Bool(left), Result::Bool(right)) => left.cmp(&right),
        (Result::Symbol(left), Result::Symbol(right)) => left.cmp(right),
        (Result::Null, Result::Null) => return operator == Comparison::Equal,
        _ => return operator == Comparison::NotEqual,
    };
    match operator {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
    }
}

fn value<'a>(expression: &'a Expression, row: &'a SetRow<'_>) -> Result<'a> {
    match expression {
        Expression::Property(property) => match row.value(*property) {
            Value::Text(text) => Result::Text(Cow::Borrowed(text.folded())),
            Value::Free(text) => Result::Text(Cow::Owned(Text::new(text).folded().to_owned())),
            Value::Number(number) => Result::Number(number),
            Value::NoYes(value) => Result::Bool(value),
            Value::Symbol(symbol) => Result::Symbol(symbol),
        },
        Expression::Text(text) => Result::Text(Cow::Borrowed(text)),
        Expression::Number(number) => Result::Number(*number),
        Expression::NoYes(value) | Expression::Bool(value) => Result::Bool(*value),
        Expression::Symbol(symbol) => Result::Symbol(symbol),
        Expression::Null => Result::Null,
        Expression::Negate(inner) => match value(inner, row) {
            Result::Number(number) => Result::Number(-number),
            _ => Result::Null,
        },
        Expression::Calculate(operator, left, right) => {
            match (value(left, row), value(right, row)) {
                (Result::Number(left), Result::Number(right)) => {
                    calculate(*operator, left, right).map_or(Result::Null, Result::Number)
                }
                _ => Result::Null,
            }
        }
        condition => Result::Bool(matches(condition, row)),
    }
}

fn calculate(operator: Arithmetic, left: Decimal, right: Decimal) -> Option<Decimal> {
    match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => left.checked_rem(right),
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
