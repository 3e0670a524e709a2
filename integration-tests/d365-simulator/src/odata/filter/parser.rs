//! Builds a typed expression from tokens.

use super::lexer::{Token, syntax_error, tokens};
use super::{Arithmetic, Comparison, Expression};
use crate::odata::entities::{EntitySet, Kind};
use crate::odata::errors::ODataError;
use crate::world::Text;

/// Parentheses and operators may nest so deep; the real parser has a limit of this size too.
const DEEPEST: usize = 100;
/// Tokens in one filter; the real parser has a limit of nodes.
const LONGEST: usize = 2_000;

/// Reads a filter on a set.
pub(crate) fn parse(filter: &str, set: EntitySet) -> Result<Expression, ODataError> {
    let tokens = tokens(filter)?;
    if tokens.len() > LONGEST {
        return Err(ODataError::InvalidQuery(
            "The node count limit has been exceeded.".to_owned(),
        ));
    }
    let mut parser = Parser {
        filter,
        set,
        tokens,
        next: 0,
        depth: 0,
    };
    let condition = parser.disjunction()?;
    if parser.next < parser.tokens.len() {
        return Err(parser.unexpected());
    }
    if type_of(&condition) != Some(Type::Bool) {
        return Err(ODataError::InvalidQuery(
            "The $filter expression must evaluate to a single boolean value.".to_owned(),
        ));
    }
    Ok(condition)
}

struct Parser<'a> {
    filter: &'a str,
    set: EntitySet,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Bool,
    Text,
    Number,
    NoYes,
    Symbol,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "Edm.Boolean",
            Self::Text => "Edm.String",
            Self::Number => "Edm.Decimal",
            Self::NoYes => "Microsoft.Dynamics.DataEntities.NoYes",
            Self::Symbol => "Microsoft.Dynamics.DataEntities.InventLocationType",
        }
    }
}

/// The type of an expression; `None` for null, which goes with every type.
fn type_of(expression: &Expression) -> Option<Type> {
    match expression {
        Expression::And(..)
        | Expression::Or(..)
        | Expression::Not(_)
        | Expression::Compare(..)
        | Expression::Bool(_) => Some(Type::Bool),
        Expression::Calculate(..) | Expression::Negate(_) | Expression::Number(_) => {
            Some(Type::Number)
        }
        Expression::Property(property) => Some(match property.kind() {
            Kind::Text => Type::Text,
            Kind::Number => Type::Number,
            Kind::NoYes => Type::NoYes,
            Kind::Symbol => Type::Symbol,
        }),
        Expression::Text(_) => Some(Type::Text),
        Expression::NoYes(_) => Some(Type::NoYes),
        Expression::Symbol(_) => Some(Type::Symbol),
        Expression::Null => None,
    }
}

fn incompatible(left: &Expression, right: &Expression, operator: &str) -> ODataError {
    let name = |side| type_of(side).map_or("Edm.Untyped", Type::name);
    ODataError::InvalidQuery(format!(
        "A binary operator with incompatible types was detected. Found operand types '{}' and '{}' for operator kind '{operator}'.",
        name(left),
        name(right),
    ))
}

fn wrong_unary(operand: &Expression, operator: &str) -> ODataError {
    let name = type_of(operand).map_or("Edm.Untyped", Type::name);
    ODataError::InvalidQuery(format!(
        "A unary operator with an incompatible type was detected. Found operand type '{name}' for operator kind '{operator}'."
    ))
}

type Parsed = Result<Expression, ODataError>;

impl Parser<'_> {
    fn disjunction(&mut self) -> Parsed {
        self.deeper()?;
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            let right = self.conjunction()?;
            left = logical(left, right, "Or", Expression::Or)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            let right = self.comparison()?;
            left = logical(left, right, "And", Expression::And)?;
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let operator = match self.peek_word() {
            Some("eq") => Comparison::Equal,
            Some("ne") => Comparison::NotEqual,
            Some("gt") => Comparison::Greater,
            Some("ge") => Comparison::GreaterOrEqual,
            Some("lt") => Comparison::Less,
            Some("le") => Comparison::LessOrEqual,
            Some(word @ ("in" | "has")) => {
                return Err(ODataError::InvalidQuery(format!(
                    "The operator '{word}' is not supported."
                )));
            }
            _ => return Ok(left),
        };
        self.next += 1;
        let right = self.sum()?;
        let name = format!("{operator:?}");
        let (left_type, right_type) = (type_of(&left), type_of(&right));
        if let (Some(left_type), Some(right_type)) = (left_type, right_type)
            && left_type != right_type
        {
            return Err(incompatible(&left, &right, &name));
        }
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        let only_equal = |side| matches!(side, Some(Type::NoYes | Type::Symbol | Type::Bool));
        if ordered && (only_equal(left_type) || only_equal(right_type)) {
            return Err(incompatible(&left, &right, &name));
        }
        Ok(Expression::Compare(
            operator,
            Box::new(left),
            Box::new(right),
        ))
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek_word() {
                Some("add") => Arithmetic::Add,
                Some("sub") => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            left = calculation(operator, left, self.product()?)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek_word() {
                Some("mul") => Arithmetic::Multiply,
                Some("div" | "divby") => Arithmetic::Divide,
                Some("mod") => Arithmetic::Remainder,
                _ => return Ok(left),
            };
            self.next += 1;
            left = calculation(operator, left, self.unary()?)?;
        }
    }

    fn unary(&mut self) -> Parsed {
        if self.take_word("not") {
            self.deeper()?;
            let operand = self.unary()?;
            self.depth -= 1;
            return match type_of(&operand) {
                Some(Type::Bool) => Ok(Expression::Not(Box::new(operand))),
                _ => Err(wrong_unary(&operand, "Not")),
            };
        }
        if self.tokens.get(self.next) == Some(&Token::Minus) {
            self.next += 1;
            self.deeper()?;
            let operand = self.unary()?;
            self.depth -= 1;
            return match type_of(&operand) {
                Some(Type::Number) => Ok(Expression::Negate(Box::new(operand))),
                _ => Err(wrong_unary(&operand, "Negate")),
            };
        }
        self.primary()
    }

    fn primary(&mut self) -> Parsed {
        let Some(token) = self.tokens.get(self.next).cloned() else {
            return Err(self.unexpected());
        };
        self.next += 1;
        match token {
            Token::Open => {
                let inner = self.disjunction()?;
                if self.tokens.get(self.next) != Some(&Token::Close) {
                    return Err(self.unexpected());
                }
                self.next += 1;
                Ok(inner)
            }
            Token::Text(text) => Ok(Expression::Text(Text::new(&text).folded().to_owned())),
            Token::Number(number) => Ok(Expression::Number(number)),
            Token::Enum(kind, symbol) => enum_literal(&kind, &symbol),
            Token::Word(word, place) => self.word(&word, place),
            Token::Close | Token::Comma | Token::Minus => {
                self.next -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn word(&mut self, word: &str, place: usize) -> Parsed {
        match word {
            "null" => return Ok(Expression::Null),
            "true" => return Ok(Expression::Bool(true)),
            "false" => return Ok(Expression::Bool(false)),
            "and" | "or" | "not" | "eq" | "ne" | "gt" | "ge" | "lt" | "le" | "in" | "has" => {
                return Err(syntax_error(place, self.filter));
            }
            _ => {}
        }
        if self.tokens.get(self.next) == Some(&Token::Open) {
            return Err(ODataError::InvalidQuery(format!(
                "An unknown function with name '{word}' was found. This may also be a function import or a key lookup on a navigation property, which is not allowed."
            )));
        }
        Ok(Expression::Property(self.set.property(word)?))
    }

    fn peek_word(&self) -> Option<&str> {
        match self.tokens.get(self.next) {
            Some(Token::Word(word, _)) => Some(word),
            _ => None,
        }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let found = self.peek_word() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn deeper(&mut self) -> Result<(), ODataError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(ODataError::InvalidQuery(
                "Recursion limit reached.".to_owned(),
            ));
        }
        Ok(())
    }

    fn unexpected(&self) -> ODataError {
        let place = match self.tokens.get(self.next) {
            Some(Token::Word(_, place)) => *place,
            _ => self.filter.len(),
        };
        syntax_error(place, self.filter)
    }
}

fn logical(
    left: Expression,
    right: Expression,
    operator: &str,
    build: fn(Box<Expression>, Box<Expression>) -> Expression,
) -> Parsed {
    if type_of(&left) == Some(Type::Bool) && type_of(&right) == Some(Type::Bool) {
        Ok(build(Box::new(left), Box::new(right)))
    } else {
        Err(incompatible(&left, &right, operator))
    }
}

fn calculation(operator: Arithmetic, left: Expression, right: Expression) -> Parsed {
    if type_of(&left) == Some(Type::Number) && type_of(&right) == Some(Type::Number) {
        Ok(Expression::Calculate(
            operator,
            Box::new(left),
            Box::new(right),
        ))
    } else {
        Err(incompatible(&left, &right, &format!("{operator:?}")))
    }
}

fn enum_literal(kind: &str, symbol: &str) -> Parsed {
    match (kind, symbol) {
        ("Microsoft.Dynamics.DataEntities.NoYes", "Yes") => Ok(Expression::NoYes(true)),
        ("Microsoft.Dynamics.DataEntities.NoYes", "No") => Ok(Expression::NoYes(false)),
        ("Microsoft.Dynamics.DataEntities.InventLocationType", _) => {
            Ok(Expression::Symbol(symbol.to_owned()))
        }
        _ => Err(ODataError::InvalidQuery(format!(
            "The string '{kind}'{symbol}'' is not a valid enumeration type constant."
        ))),
    }
}
