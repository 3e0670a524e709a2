//! Cuts a filter into tokens.

use rust_decimal::Decimal;

use crate::odata::errors::ODataError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    Comma,
    Minus,
    /// A keyword or a property, with the place where it stands.
    Word(String, usize),
    /// A quoted text, quotes undone.
    Text(String),
    Number(Decimal),
    /// An enum literal: type name and symbol.
    Enum(String, String),
}

pub(super) fn tokens(filter: &str) -> Result<Vec<Token>, ODataError> {
    let mut rest = filter.char_indices().peekable();
    let mut tokens = Vec::new();
    while let Some(&(place, letter)) = rest.peek() {
        let token = match letter {
            ' ' | '\t' => {
                rest.next();
                continue;
            }
            '(' => single(&mut rest, Token::Open),
            ')' => single(&mut rest, Token::Close),
            ',' => single(&mut rest, Token::Comma),
            '-' => single(&mut rest, Token::Minus),
            '\'' => {
                let (text, end) = quoted(filter, place)?;
                skip_to(&mut rest, end);
                Token::Text(text)
            }
            '0'..='9' => {
                let end = end_of(filter, place, |c| c.is_ascii_alphanumeric() || c == '.');
                skip_to(&mut rest, end);
                Token::Number(number(&filter[place..end], place, filter)?)
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = end_of(filter, place, |c| {
                    c.is_alphanumeric() || c == '_' || c == '.'
                });
                skip_to(&mut rest, end);
                let word = &filter[place..end];
                if filter[end..].starts_with('\'') {
                    let (symbol, end) = quoted(filter, end)?;
                    skip_to(&mut rest, end);
                    Token::Enum(word.to_owned(), symbol)
                } else {
                    Token::Word(word.to_owned(), place)
                }
            }
            _ => return Err(syntax_error(place, filter)),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

pub(super) fn syntax_error(place: usize, filter: &str) -> ODataError {
    ODataError::InvalidQuery(format!("Syntax error at position {place} in '{filter}'."))
}

type Letters<'a> = std::iter::Peekable<std::str::CharIndices<'a>>;

fn single(rest: &mut Letters<'_>, token: Token) -> Token {
    rest.next();
    token
}

fn skip_to(rest: &mut Letters<'_>, end: usize) {
    while rest.next_if(|(place, _)| *place < end).is_some() {}
}

fn end_of(filter: &str, start: usize, belongs: impl Fn(char) -> bool) -> usize {
    filter[start..]
        .find(|letter| !belongs(letter))
        .map_or(filter.len(), |length| start + length)
}

/// Reads the quoted text that starts at `start`; returns it and the place behind its closing quote.
fn quoted(filter: &str, start: usize) -> Result<(String, usize), ODataError> {
    let mut text = String::new();
    let mut letters = filter[start + 1..].char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        if letter != '\'' {
            text.push(letter);
        } else if letters.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok((text, start + 1 + place + 1));
        }
    }
    Err(ODataError::InvalidQuery(format!(
        "There is an unterminated string literal at position {} in '{filter}'.",
        filter.len()
    )))
}

/// Digits with an optional fraction and the type letters `OData` knows.
fn number(text: &str, place: usize, filter: &str) -> Result<Decimal, ODataError> {
    let digits = text.trim_end_matches(['m', 'M', 'd', 'D', 'f', 'F', 'l', 'L']);
    if text.len() - digits.len() > 1 {
        return Err(syntax_error(place, filter));
    }
    let parsed = if digits.contains(['e', 'E']) {
        Decimal::from_scientific(digits)
    } else {
        digits.parse()
    };
    parsed.map_err(|_source| syntax_error(place, filter))
}
