//! Spellings: which texts D365's database takes for one identifier.
//!
//! SQL Server compares item numbers, dimensions, warehouses, sites and companies without regard to
//! letter case and to trailing blanks. Shops and ERPs spell differently, so we compare likewise: by
//! one [`comparison_key`], made here and nowhere else.
//!
//! The key of a text is made by two steps:
//!
//! 1. Trailing blanks (U+0020) are dropped. Leading and inner ones count.
//! 2. Each letter becomes its upper-case letter, one for one. A letter stays as it is if its upper case
//!    is not exactly one letter (`ß`), or if that letter's lower case is another one (`ı`, `ſ`, `ς`, `µ`).
//!
//! Nothing else is changed: accents, full-width forms, composed and decomposed letters stay apart.
//!
//! **Doubtful** is a text whose key has a character outside ASCII. A database may still take it for
//! another one (`ß` for `ss`, full-width for plain, `é` for `e`; it may pass over zero-width characters),
//! depending on its collation, which is not known here. So a number is told for a doubtful SKU if D365
//! reports one, but its absence is never proved. Plain ASCII leaves such doubt only beside a doubtful one:
//! see [`Spelling::may_be`].

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// What all spellings of one identifier share. Borrowed if the text is its own key, or but for
/// trailing blanks.
pub fn comparison_key(text: &str) -> Cow<'_, str> {
    let text = text.trim_end_matches(' ');
    if text
        .bytes()
        .all(|b| b.is_ascii() && !b.is_ascii_lowercase())
        || text.chars().all(|letter| folded(letter) == letter)
    {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(folded).collect())
    }
}

/// A letter without its case.
pub(super) fn folded(letter: char) -> char {
    if letter.is_ascii() {
        return letter.to_ascii_uppercase();
    }
    match only(letter.to_uppercase()) {
        Some(upper) if only(upper.to_lowercase()) == Some(letter) => upper,
        _ => letter,
    }
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// A text as it was given, compared by its [`comparison_key`].
#[derive(Clone, Default)]
pub struct Spelling {
    given: Box<str>,
    /// None: the text is its own key.
    key: Option<Box<str>>,
}

impl Spelling {
    /// The text as it was given: for replies, and for asking D365.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// What all spellings of it share: for Redis.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(&self.given)
    }

    /// Whether there is nothing in it but blanks.
    pub fn is_empty(&self) -> bool {
        self.key().is_empty()
    }

    /// Whether a database may take it for a text with another key.
    pub fn is_doubtful(&self) -> bool {
        !self.key().is_ascii()
    }

    /// Whether a database may take it for this doubtful one (`STRASSE` for `straße`, `V1` for `Ｖ1`): what
    /// that one has of ASCII stands here too, in this order, and it is at most twice as long.
    pub fn may_be(&self, doubtful: &Self) -> bool {
        let mut letters = self.key().bytes();
        doubtful.is_doubtful()
            && self.key().len() <= 2 * doubtful.key().chars().count()
            && (doubtful.key().bytes().filter(u8::is_ascii))
                .all(|known| letters.any(|letter| letter == known))
    }

    /// Whether a text is a spelling of it.
    pub fn is_named_by(&self, text: &str) -> bool {
        self.as_str() == text || *self.key() == *comparison_key(text)
    }
}

impl<T: Into<Box<str>>> From<T> for Spelling {
    fn from(given: T) -> Self {
        let given = given.into();
        let key = match comparison_key(&given) {
            Cow::Borrowed(key) if key.len() == given.len() => None,
            key => Some(key.into()),
        };
        Self { given, key }
    }
}

impl PartialEq for Spelling {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Spelling {}

impl PartialOrd for Spelling {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Spelling {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(other.key())
    }
}

impl Hash for Spelling {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

impl fmt::Debug for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{ItemNumber, ProductDimensions, SiteId, Sku, WarehouseId};
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// A text, and the same in another spelling.
    pub(super) fn two_spellings() -> impl Strategy<Value = (String, String)> {
        let letter = prop_oneof![
            4 => proptest::char::range(' ', '~'),
            1 => prop::sample::select("äÄéÉøØßıſςµΣσŸÿＡａ".chars().collect::<Vec<_>>()),
        ];
        let letters = prop::collection::vec((letter, any::<bool>()), 0..12);
        (letters, 0_usize..3, 0_usize..3).prop_map(|(letters, blanks, other_blanks)| {
            let other = |(letter, turned): &(char, bool)| match letter {
                letter if !turned => *letter,
                'ä' => 'Ä',
                'É' => 'é',
                'ø' => 'Ø',
                'Σ' => 'σ',
                'ÿ' => 'Ÿ',
                'a'..='z' => letter.to_ascii_uppercase(),
                letter => letter.to_ascii_lowercase(),
            };
            let one: String = letters.iter().map(|(letter, _)| *letter).collect();
            let two: String = letters.iter().map(other).collect();
            // A first letter, so that it is no blank text.
            (
                format!("x{one}{}", " ".repeat(blanks)),
                format!("X{two}{}", " ".repeat(other_blanks)),
            )
        })
    }

    #[test]
    fn plain_texts_are_in_doubt_beside_what_a_database_may_take_for_them() {
        for (plain, doubtful, expected) in [
            ("STRASSE", "straße", true),
            ("V1", "Ｖ1", true),
            ("CAFE", "café", true),
            ("STRASSENBAHN-2", "straße", false),
            ("ABSENT", "straße", false),
            ("ABSENT", "ABSENCE", false),
            ("A", "A", false),
            ("LONGER", "ｖ", false),
        ] {
            let found = Spelling::from(plain).may_be(&Spelling::from(doubtful));
            assert_eq!(found, expected, "{plain} {doubtful}");
        }
    }

    #[test]
    fn the_key_folds_letters_one_for_one_and_drops_trailing_blanks() {
        for (text, key) in [
            ("d0001", "D0001"),
            ("D0001  ", "D0001"),
            (" d 1 ", " D 1"),
            ("T-Shirt_[x]{y}~`@", "T-SHIRT_[X]{Y}~`@"),
            ("müller", "MÜLLER"),
            ("straße", "STRAßE"),
            ("ıſςµ", "ıſςµ"),
            ("ＡＢ", "ＡＢ"),
            ("  ", ""),
        ] {
            assert_eq!(comparison_key(text), key, "{text:?}");
        }
        assert!(matches!(comparison_key("D 0001-_.:/"), Cow::Borrowed(_)));
    }

    #[test]
    fn only_ascii_leaves_no_doubt() {
        for (text, is_doubtful) in [
            ("d0001 ", false),
            ("STRASSE", false),
            ("straße", true),
            ("café", true),
            ("Ａ1", true),
            ("A\u{200b}1", true),
            ("A1\u{a0}", true),
            ("e\u{301}", true),
        ] {
            assert_eq!(Spelling::from(text).is_doubtful(), is_doubtful, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_holds_an_identifier_takes_two_spellings_for_one((one, two) in two_spellings()) {
            let (a, b) = (Sku::parse(one.as_str()).unwrap(), Sku::parse(two.as_str()).unwrap());
            prop_assert_eq!((a.as_str(), b.as_str()), (one.as_str(), two.as_str()));
            prop_assert_eq!(&a, &b);
            prop_assert_eq!(a.cmp(&b), Ordering::Equal);
            prop_assert_eq!(a.key(), b.key());
            prop_assert!(a.is_named_by(&two) && b.is_named_by(&one));
            prop_assert!(HashSet::from([a]).contains(&b));
            prop_assert_eq!(ItemNumber::parse(one.as_str()), ItemNumber::parse(two.as_str()));
            prop_assert_eq!(WarehouseId::parse(one.as_str()), WarehouseId::parse(two.as_str()));
            prop_assert_eq!(SiteId::parse(one.as_str()), SiteId::parse(two.as_str()));
            let colored = |color: &str| ProductDimensions {
                color: color.into(),
                ..ProductDimensions::default()
            };
            prop_assert!(HashSet::from([colored(&one)]).contains(&colored(&two)));
        }

        #[test]
        fn a_key_is_its_own_key_and_other_letters_have_another(text in "\\PC{0,20}", other in "\\PC{0,20}") {
            let key = comparison_key(&text).into_owned();
            prop_assert_eq!(&*comparison_key(&key), &key);
            if text.trim_end_matches(' ').to_lowercase() != other.trim_end_matches(' ').to_lowercase()
                && text.to_uppercase() != other.to_uppercase()
            {
                prop_assert_ne!(&*comparison_key(&other), &key);
            }
        }
    }
}
