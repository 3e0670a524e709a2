//! The only builder of `$filter` text: every value from outside becomes a quoted literal here.

use crate::d365::error::D365Error;
use std::fmt;

/// Longest piece of a refused value that is told back.
const SHOWN_CHARS: usize = 80;

/// A condition in `OData`'s filter language. Values are quoted, never yet percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(String);

/// Refuses values D365 cannot be asked for exactly.
///
/// `eq` reads `*` as a wildcard, and no escape for it is documented: asking for `A*` would bring
/// every item that begins with `A`. Control characters occur in no D365 key.
///
/// # Errors
/// [`D365Error::Unaskable`] naming the value, cut to 80 characters.
pub fn check_askable(value: &str) -> Result<(), D365Error> {
    if value.contains('*') {
        return Err(unaskable(value, "D365 reads * as a wildcard"));
    }
    check_quotable(value)
}

fn check_quotable(value: &str) -> Result<(), D365Error> {
    if value.contains(char::is_control) {
        return Err(unaskable(value, "it contains a control character"));
    }
    Ok(())
}

fn unaskable(value: &str, problem: &'static str) -> D365Error {
    D365Error::Unaskable {
        what: value.chars().take(SHOWN_CHARS).collect(),
        problem,
    }
}

fn quoted(value: &str) -> String {
    let mut literal = String::with_capacity(value.len() + 2);
    literal.push('\'');
    for character in value.chars() {
        if character == '\'' {
            literal.push('\'');
        }
        literal.push(character);
    }
    literal.push('\'');
    literal
}

impl Filter {
    /// `field eq 'value'`
    pub(super) fn equals(field: &str, value: &str) -> Result<Self, D365Error> {
        check_askable(value)?;
        Ok(Self(format!("{field} eq {}", quoted(value))))
    }

    /// `field gt 'value'`, in D365's own order. A `*` is taken as itself: only `eq` knows wildcards.
    pub(super) fn after(field: &str, value: &str) -> Result<Self, D365Error> {
        check_quotable(value)?;
        Ok(Self(format!("{field} gt {}", quoted(value))))
    }

    /// `field le 'value'`, in D365's own order: with [`after`](Self::after) it leaves no gap.
    pub(super) fn up_to(field: &str, value: &str) -> Result<Self, D365Error> {
        check_quotable(value)?;
        Ok(Self(format!("{field} le {}", quoted(value))))
    }

    /// `field` is `value`, also for a value with `*`: bounded from both sides, which `eq`'s
    /// wildcard cannot widen. Needed to read on inside an item whose number contains one.
    pub(super) fn is_exactly(field: &str, value: &str) -> Result<Self, D365Error> {
        if value.contains('*') {
            check_quotable(value)?;
            let literal = quoted(value);
            return Ok(Self(format!(
                "{field} ge {literal} and {field} le {literal}"
            )));
        }
        Self::equals(field, value)
    }

    /// `(field eq 'a' or field eq 'b' ...)`; D365 knows no `in`.
    pub(super) fn equals_any<'a>(
        field: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, D365Error> {
        let terms = values
            .into_iter()
            .map(|value| Self::equals(field, value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::any(&terms))
    }

    /// `(a or b ...)`
    pub(super) fn any(terms: &[Self]) -> Self {
        let terms: Vec<&str> = terms.iter().map(|term| term.0.as_str()).collect();
        match terms.as_slice() {
            [only] => Self((*only).to_owned()),
            _ => Self(format!("({})", terms.join(" or "))),
        }
    }

    /// `self and other`
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.0.push_str(" and ");
        self.0.push_str(&other.0);
        self
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::d365::query::Query;
    use proptest::prelude::*;
    use url::Url;

    /// Reads a literal as `OData`'s grammar says, knowing nothing of the builder.
    fn read_literal(text: &str) -> Option<(String, &str)> {
        let mut rest = text.strip_prefix('\'')?;
        let mut value = String::new();
        loop {
            let end = rest.find('\'')?;
            value.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    rest = after;
                }
                None => return Some((value, rest)),
            }
        }
    }

    /// Reads `F eq 'x' or F eq 'y'` back into its values.
    fn read_chain(mut text: &str) -> Vec<String> {
        let mut values = Vec::new();
        loop {
            let (value, rest) = read_literal(text.strip_prefix("F eq ").unwrap()).unwrap();
            values.push(value);
            if let Some(next) = rest.strip_prefix(" or ") {
                text = next;
            } else {
                assert_eq!(rest, "");
                return values;
            }
        }
    }

    fn any_askable() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ '&$=%+#?/\\\\();a-c\"]{0,12}",
            ".{0,24}",
            Just("' or 'x' eq 'x".to_owned()),
            Just("%27&$filter=true".to_owned()),
        ]
        .prop_map(|text| {
            text.chars()
                .filter(|c| *c != '*' && !c.is_control())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_was_asked_for_is_what_a_reader_of_the_url_finds(
            values in prop::collection::vec(any_askable(), 1..6),
        ) {
            let chain = Filter::equals_any("F", values.iter().map(String::as_str)).unwrap();
            let text = chain.to_string();
            let inner = if values.len() > 1 { &text[1..text.len() - 1] } else { &text[..] };
            prop_assert_eq!(&read_chain(inner), &values);

            let query = Query::cross_company(&chain).to_string();
            let url = Url::parse(&format!("https://contoso.example/data/Set?{query}")).unwrap();
            let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            prop_assert_eq!(pairs.len(), 2);
            prop_assert_eq!(&pairs[1].0, "$filter");
            prop_assert_eq!(&pairs[1].1, &text);
        }

        #[test]
        fn a_wildcard_or_a_control_character_is_refused(
            before in any_askable(), after in any_askable(),
            offender in prop_oneof![Just('*'), Just('\0'), Just('\n'), Just('\u{85}'), Just('\u{7f}')],
        ) {
            let value = format!("{before}{offender}{after}");
            let refused = matches!(Filter::equals("F", &value), Err(D365Error::Unaskable { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn a_cursor_may_contain_an_asterisk() {
        assert_eq!(
            Filter::after("F", "A*'").unwrap().to_string(),
            "F gt 'A*'''"
        );
        assert_eq!(
            Filter::is_exactly("F", "A*").unwrap().to_string(),
            "F ge 'A*' and F le 'A*'"
        );
        assert_eq!(
            Filter::is_exactly("F", "A").unwrap().to_string(),
            "F eq 'A'"
        );
        assert!(Filter::after("F", "a\u{0}").is_err());
    }
}
