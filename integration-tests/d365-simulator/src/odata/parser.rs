//! Reads `$filter`. What D365 does not support (`in`, `has`, functions), and what no client of on-hand
//! rows sends (arithmetic, `not`, comparisons of numbers and enums), is refused, never approximated.

use super::condition::{Comparison, Condition};
use super::entities::EntitySet;
use super::errors::ODataError;
use crate::world::collation::fold;

/// Parentheses may nest so deep; the real parser has a limit of this size too.
const DEEPEST: usize = 100;
/// Tokens in one filter; the real parser has a limit of nodes.
const LONGEST: usize = 2_000;

/// Reads a filter on a set.
pub(crate) fn parse(filter: &str, set: EntitySet) -> Result<Condition, ODataError> {
    let tokens = tokens(filter)?;
    if tokens.len() > LONGEST {
        return Err(refused("The node count limit has been exceeded."));
    }
    let mut parser = Parser {
        set,
        tokens: tokens.into_iter().peekable(),
        depth: 0,
    };
    let condition = parser.disjunction()?;
    match parser.tokens.next() {
        None => Ok(condition),
        Some(_) => Err(syntax_error()),
    }
}

fn refused(sentence: &str) -> ODataError {
    ODataError::InvalidQuery(sentence.to_owned())
}

fn syntax_error() -> ODataError {
    refused("Syntax error in the $filter expression.")
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
    /// A quoted text, quotes undone.
    Text(String),
}

fn tokens(filter: &str) -> Result<Vec<Token>, ODataError> {
    let mut rest = filter.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' => quoted(rest)?,
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')));
                let word = &rest[..end.unwrap_or(rest.len())];
                (Token::Word(word.to_owned()), word.len())
            }
            _ => return Err(syntax_error()),
        };
        tokens.push(token);
        rest = rest[length..].trim_start_matches([' ', '\t']);
    }
    Ok(tokens)
}

/// The quoted text a piece begins with, and the length of both.
fn quoted(piece: &str) -> Result<(Token, usize), ODataError> {
    let mut text = String::new();
    let mut letters = piece.char_indices().skip(1).peekable();
    while let Some((place, letter)) = letters.next() {
        if letter != '\'' {
            text.push(letter);
        } else if letters.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok((Token::Text(text), place + 1));
        }
    }
    Err(refused("There is an unterminated string literal."))
}

struct Parser {
    set: EntitySet,
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

impl Parser {
    fn disjunction(&mut self) -> Result<Condition, ODataError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused("Recursion limit reached."));
        }
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Condition::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Condition, ODataError> {
        let mut left = self.primary()?;
        while self.take_word("and") {
            left = Condition::And(Box::new(left), Box::new(self.primary()?));
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<Condition, ODataError> {
        match self.tokens.next() {
            Some(Token::Open) => {
                let inner = self.disjunction()?;
                match self.tokens.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(syntax_error()),
                }
            }
            Some(Token::Word(name)) => self.comparison(&name),
            _ => Err(syntax_error()),
        }
    }

    fn comparison(&mut self, name: &str) -> Result<Condition, ODataError> {
        if self.tokens.peek() == Some(&Token::Open) {
            return Err(refused(&format!(
                "An unknown function with name '{name}' was found."
            )));
        }
        let property = self.set.property(name)?;
        let Some(Token::Word(operator)) = self.tokens.next() else {
            return Err(syntax_error());
        };
        let comparison = match operator.as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            _ => {
                return Err(refused(&format!(
                    "The operator '{operator}' is not supported."
                )));
            }
        };
        match self.tokens.next() {
            Some(Token::Text(text)) if property.is_text() => Ok(Condition::Compare(
                property,
                comparison,
                fold(&text).into_owned(),
            )),
            Some(Token::Text(_) | Token::Word(_)) => Err(refused(&format!(
                "A binary operator with incompatible types was detected for operator kind '{comparison:?}'."
            ))),
            _ => Err(syntax_error()),
        }
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        self.tokens
            .next_if(|token| matches!(token, Token::Word(word) if word == wanted))
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UtcMillis;
    use crate::odata::select::{Search, select};
    use crate::world::{StockChange, StockKey, World};

    /// Items that fulfil a filter, found the short way and by looking at every row.
    fn found(filter: &str) -> Vec<String> {
        let mut world = World::empty(1000);
        for (item, warehouse) in [
            ("A", "11"),
            ("B", "11"),
            ("C", "24"),
            ("a'b", "24"),
            ("a''b", "24"),
            (" lead", "11"),
            ("Müller", ""),
        ] {
            let key = StockKey::of("usmf", item, warehouse);
            let change = StockChange::on_hand("1");
            world.put(&key, &change, UtcMillis::BEGINNING).unwrap();
        }
        let condition = parse(filter, EntitySet::WarehousesOnHand).unwrap();
        let all = |filter| {
            let search = Search {
                set: EntitySet::WarehousesOnHand,
                filter,
                order: &[],
                only_company: None,
                skip: 0,
                take: 1000,
            };
            select(&world, &search).rows
        };
        let names = |rows: &[SetRow<'_>]| -> Vec<String> {
            let items = rows.iter().map(|row| row.item.unwrap());
            items.map(|item| item.number.raw().to_owned()).collect()
        };
        let short = names(&all(Some(&condition)));
        let mut every = all(None);
        every.retain(|row| condition.is_met_by(row));
        assert_eq!(short, names(&every), "the short way differs for {filter}");
        short
    }
    use crate::odata::entities::SetRow;

    #[test]
    fn filters_find_what_d365_would_find() {
        for (filter, items) in [
            // `and` binds closer than `or`.
            (
                "ItemNumber eq 'A' or ItemNumber eq 'B' and InventoryWarehouseId eq '24'",
                &["A"][..],
            ),
            (
                "(ItemNumber eq 'A' or ItemNumber eq 'C') and InventoryWarehouseId eq '24'",
                &["C"],
            ),
            // A doubled quote is one quote.
            ("ItemNumber eq 'a''b'", &["a'b"]),
            ("ItemNumber eq 'a''''b'", &["a''b"]),
            // Neither case nor trailing blanks count, leading ones do.
            ("ItemNumber eq 'MÜLLER'", &["Müller"]),
            ("dataAreaId eq 'USMF' and ItemNumber eq 'a '", &["A"]),
            ("ItemNumber eq 'lead'", &[]),
            ("ItemNumber eq ' lead'", &[" lead"]),
            ("InventoryWarehouseId eq ''", &["Müller"]),
            (
                "InventoryWarehouseId ne '' and ItemNumber lt 'B'",
                &[" lead", "A", "a''b", "a'b"],
            ),
            ("ItemNumber gt 'b'", &["C", "Müller"]),
            ("ItemNumber ge 'b' and ItemNumber le 'c'", &["B", "C"]),
            ("ItemNumber gt 'B' and ItemNumber lt 'A'", &[]),
            ("ItemNumber eq 'A' and ItemNumber eq 'B'", &[]),
            ("ItemNumber gt 'C' or ItemNumber eq 'C'", &["C", "Müller"]),
            // A star is a wildcard in `eq` and `ne` only.
            ("ItemNumber eq '*b'", &["a''b", "a'b", "B"]),
            ("ItemNumber eq 'a*''b'", &["a''b", "a'b"]),
            ("ItemNumber eq '*LL*'", &["Müller"]),
            ("ItemNumber ne '*b' and ItemNumber gt 'A'", &["C", "Müller"]),
            ("ItemNumber ge '*' and ItemNumber le 'A'", &["A"]),
        ] {
            assert_eq!(found(filter), items, "{filter}");
        }
        let chunk = vec!["ItemNumber eq 'A'"; 400].join(" or ");
        assert_eq!(found(&chunk), ["A"]);
    }

    #[test]
    fn what_is_not_supported_and_nonsense_is_refused() {
        let deep = format!("{}ItemNumber eq 'A'{}", "(".repeat(5000), ")".repeat(5000));
        let long = vec!["ItemNumber eq 'A'"; 600].join(" or ");
        for filter in [
            "ItemNumber in ('A','B')",
            "AreWarehouseManagementProcessesUsed has X.Y'Yes'",
            "contains(ItemNumber,'A')",
            "startswith(ItemNumber,'A') eq true",
            "",
            "ItemNumber",
            "'A'",
            "ItemNumber eq",
            "eq 'A'",
            "ItemNumber eq 'A' and",
            "(ItemNumber eq 'A'",
            "ItemNumber eq 'A')",
            "ItemNumber = 'A'",
            "ItemNumber eq \"A\"",
            "ItemNumber eq 5",
            "OnHandQuantity eq '5'",
            "ItemNumber eq 'a'b'",
            "ItemNumber eq 'A' ItemNumber eq 'B'",
            "ItemNumber EQ 'A'",
            "ItemNumber eq 'A' && true",
            "Unknown eq 'A'",
            "a eq\u{0}'b'",
            &deep,
            &long,
        ] {
            assert!(
                parse(filter, EntitySet::WarehousesOnHand).is_err(),
                "{filter:?}"
            );
        }
    }
}
