//! `$filter`: from text to a condition on rows.
//!
//! `lexer` cuts the text into tokens, `parser` builds a typed expression with `OData`'s precedence
//! (unary, multiplicative, additive, comparison, `and`, `or`), `evaluate` decides a row, and `reach` tells which
//! companies, warehouses and items can match at all, so that a page need not look at the others.
//! What D365 does not support (`in`, `has`, functions) is refused, never approximated.

mod evaluate;
mod lexer;
mod parser;
mod reach;

pub(crate) use evaluate::{compare, matches};
pub(crate) use parser::parse;
pub(crate) use reach::{Reach, reach};

use super::entities::Property;
use rust_decimal::Decimal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// A condition, or a part of one, whose types have been checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Calculate(Arithmetic, Box<Expression>, Box<Expression>),
    Negate(Box<Expression>),
    Property(Property),
    /// A text literal in folded form.
    Text(String),
    Number(Decimal),
    Bool(bool),
    NoYes(bool),
    Symbol(String),
    Null,
}

#[cfg(test)]
mod tests;
