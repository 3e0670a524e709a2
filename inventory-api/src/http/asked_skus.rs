//! The SKUs of a question: each once, in the order of first mention, with where it was mentioned.

use crate::error::ApiError;
use shared::stock::Sku;
use std::collections::HashMap;

/// The form a question named its SKUs in, for the paths in replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MentionedIn {
    Products,
    Skus,
    Query,
}

impl MentionedIn {
    pub(crate) fn path(self, at: usize) -> String {
        match self {
            Self::Products => format!("$.products[{at}].sku"),
            Self::Skus => format!("$.skus[{at}]"),
            Self::Query => format!("sku[{at}]"),
        }
    }

    /// The name under which the limit of this place is served.
    fn limit_name(self) -> &'static str {
        match self {
            Self::Query => "skusInAddress",
            Self::Products | Self::Skus => "skus",
        }
    }

    pub(crate) fn list_path(self) -> &'static str {
        match self {
            Self::Products => "$.products",
            Self::Skus => "$.skus",
            Self::Query => "sku",
        }
    }
}

/// Distinct SKUs with the place of their first mention. Each spelling of a SKU is one of its own here, so
/// that the reply names it as the caller does.
#[derive(Debug)]
pub(crate) struct AskedSkus {
    skus: Vec<Sku>,
    first_mentions: Vec<usize>,
    mentioned_in: MentionedIn,
}

impl AskedSkus {
    /// Reads mentions; at least one, at most `limit`. Also gives for each mention the number of its
    /// SKU.
    pub(crate) fn read<'a>(
        mentions: impl ExactSizeIterator<Item = &'a str>,
        mentioned_in: MentionedIn,
        limit: usize,
    ) -> Result<(Self, Vec<usize>), ApiError> {
        let count = mentions.len();
        if count == 0 {
            return Err(ApiError::invalid(
                mentioned_in.list_path(),
                "name at least one SKU",
            ));
        }
        if count > limit {
            return Err(ApiError::TooLarge {
                path: mentioned_in.list_path().to_owned(),
                name: mentioned_in.limit_name(),
                limit,
            });
        }
        let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(count);
        let mut number_of_mention = Vec::with_capacity(count);
        let mut asked = Self {
            skus: Vec::with_capacity(count),
            first_mentions: Vec::with_capacity(count),
            mentioned_in,
        };
        for (at, mention) in mentions.enumerate() {
            let number = *numbers.entry(mention).or_insert(asked.skus.len());
            if number == asked.skus.len() {
                let sku = Sku::parse(mention).map_err(|problem| {
                    ApiError::invalid(mentioned_in.path(at), problem.to_string())
                })?;
                asked.skus.push(sku);
                asked.first_mentions.push(at);
            }
            number_of_mention.push(number);
        }
        Ok((asked, number_of_mention))
    }

    /// The same with each SKU once whatever its spelling, and for each spelling the number of its SKU.
    pub(crate) fn by_identity(&self) -> (Self, Vec<usize>) {
        let mut numbers: HashMap<&Sku, usize> = HashMap::with_capacity(self.skus.len());
        let mut number_of_spelling = Vec::with_capacity(self.skus.len());
        let mut distinct = Self {
            skus: Vec::with_capacity(self.skus.len()),
            first_mentions: Vec::with_capacity(self.skus.len()),
            mentioned_in: self.mentioned_in,
        };
        for (sku, first_mention) in self.skus.iter().zip(&self.first_mentions) {
            let number = *numbers.entry(sku).or_insert(distinct.skus.len());
            if number == distinct.skus.len() {
                distinct.skus.push(sku.clone());
                distinct.first_mentions.push(*first_mention);
            }
            number_of_spelling.push(number);
        }
        (distinct, number_of_spelling)
    }

    pub(crate) fn all(&self) -> &[Sku] {
        &self.skus
    }

    /// Refuses the question at the first SKU that `problem` finds something wrong with.
    pub(crate) fn check_each(
        &self,
        problem: impl Fn(&Sku) -> Result<(), String>,
    ) -> Result<(), ApiError> {
        for (number, sku) in self.skus.iter().enumerate() {
            problem(sku).map_err(|problem| ApiError::invalid(self.path(number), problem))?;
        }
        Ok(())
    }

    /// Where a SKU was mentioned first.
    pub(crate) fn path(&self, number: usize) -> String {
        let at = self.first_mentions.get(number).copied().unwrap_or(number);
        self.mentioned_in.path(at)
    }

    /// The path of the list they stand in.
    pub(crate) fn list_path(&self) -> &'static str {
        self.mentioned_in.list_path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mentions: &[&str], limit: usize) -> Result<(AskedSkus, Vec<usize>), ApiError> {
        AskedSkus::read(mentions.iter().copied(), MentionedIn::Products, limit)
    }

    #[test]
    fn a_sku_is_asked_once_at_the_place_of_its_first_mention() {
        let (asked, numbers) = read(&["b", "a", "b", "c", "a"], 5).unwrap();
        let names: Vec<&str> = asked.all().iter().map(Sku::as_str).collect();
        assert_eq!(names, ["b", "a", "c"]);
        assert_eq!(numbers, [0, 1, 0, 2, 1]);
        assert_eq!(asked.path(2), "$.products[3].sku");
    }

    #[test]
    fn spellings_of_one_sku_stay_apart_and_share_its_number() {
        let (asked, _) = read(&["b", "a", "B ", "A", "b"], 5).unwrap();
        let names: Vec<&str> = asked.all().iter().map(Sku::as_str).collect();
        assert_eq!(names, ["b", "a", "B ", "A"]);
        let (distinct, numbers) = asked.by_identity();
        let names: Vec<&str> = distinct.all().iter().map(Sku::as_str).collect();
        assert_eq!((names, numbers), (vec!["b", "a"], vec![0, 1, 0, 1]));
    }

    #[test]
    fn none_too_many_and_unfit_ones_are_refused_with_their_place() {
        let refused = |mentions: &[&str]| match read(mentions, 2) {
            Err(ApiError::Invalid { path, .. } | ApiError::TooLarge { path, .. }) => path,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&[]), "$.products");
        assert_eq!(refused(&["a", "b", "c"]), "$.products");
        assert_eq!(refused(&["a", ""]), "$.products[1].sku");
        assert_eq!(refused(&["a\nb"]), "$.products[0].sku");
        assert_eq!(refused(&["a", &"x".repeat(10_240)]), "$.products[1].sku");
    }
}
