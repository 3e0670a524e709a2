//! Text as D365's database compares it: without regard to case and to blanks at its end.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A text and its folded form, by which it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    raw: Box<str>,
    folded: Option<Box<str>>,
}

impl Text {
    pub(crate) fn new(raw: &str) -> Self {
        let folded = match fold(raw) {
            Cow::Borrowed(folded) if folded.len() == raw.len() => None,
            folded => Some(folded.into()),
        };
        Self {
            raw: raw.into(),
            folded,
        }
    }

    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    pub(crate) fn folded(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.raw)
    }

    /// The order of the database, equal spellings told apart by their bytes.
    pub(crate) fn total_cmp(&self, other: &Self) -> Ordering {
        self.folded()
            .cmp(other.folded())
            .then_with(|| self.raw.cmp(&other.raw))
    }
}

/// Drops trailing blanks and upper-cases letter by letter; a letter whose upper case is not one letter
/// stays as it is.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches(' ');
    if text.chars().all(|letter| upper(letter) == letter) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(upper).collect())
    }
}

fn upper(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(single), None) => single,
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_case_nor_trailing_blanks_count() {
        assert_eq!(fold("usmf"), "USMF");
        assert_eq!(fold("müller ß"), "MÜLLER ß");
        assert_eq!(fold(" A "), " A");
        assert_eq!(Text::new("A").folded(), Text::new("a ").folded());
        assert_eq!(Text::new("a ").raw(), "a ");
    }

    #[test]
    fn equal_spellings_are_told_apart_by_their_bytes() {
        assert_eq!(
            Text::new("a1").total_cmp(&Text::new("A1")),
            Ordering::Greater
        );
        assert_eq!(Text::new("a1").total_cmp(&Text::new("B0")), Ordering::Less);
        assert_eq!(Text::new(" Z").total_cmp(&Text::new("A")), Ordering::Less);
    }
}
