//! Released product variants: which SKU stands for which item and dimensions.

use crate::d365::error::D365Error;
use crate::d365::filter::Filter;
use crate::d365::members::Members;
use crate::d365::query::{Query, encoded_length};
use crate::stock::{
    ItemNumber, LegalEntity, ProductDimensions, Sku, Spelling, Variant, comparison_key,
};
use std::collections::HashSet;

const SELECT: &str = "dataAreaId,ItemNumber,ProductVariantNumber,ProductConfigurationId,\
                      ProductColorId,ProductSizeId,ProductStyleId,ProductVersionId";
const ORDER: &str = "ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,\
                     ProductStyleId,ProductVersionId";
/// SKUs of one call about some variants, unless they are long: each takes two terms.
pub const VARIANT_SKUS_PER_CALL: usize = 12;
/// Longest filter of one question, encoded; the rest of the address needs about 500 characters.
const LONGEST_FILTER: usize = 1_450;

/// Variants of one answer: about 300 MB. Beyond them the list is taken for one that never ends.
const MOST: usize = 1_000_000;

/// The question for all variants of a company.
pub(super) fn all_variants_query(legal_entity: &LegalEntity) -> Result<Query, D365Error> {
    company_filter(legal_entity).map(|filter| query(&filter))
}

/// The questions for variants that carry one of these numbers, and for all variants of items so
/// named.
pub(super) fn variants_queries(
    legal_entity: &LegalEntity,
    skus: &[Sku],
) -> Result<Vec<Query>, D365Error> {
    let mut questions: Vec<Vec<Filter>> = Vec::new();
    let mut length = 0;
    for sku in skus {
        let by_number = Filter::equals("ProductVariantNumber", sku.as_str())?;
        let by_item = Filter::equals("ItemNumber", sku.as_str())?;
        let more = encoded_length(&format!("{by_number} or {by_item} or "));
        match questions.last_mut() {
            Some(terms)
                if terms.len() < 2 * VARIANT_SKUS_PER_CALL && length + more <= LONGEST_FILTER =>
            {
                terms.extend([by_number, by_item]);
                length += more;
            }
            _ => {
                questions.push(vec![by_number, by_item]);
                length = more;
            }
        }
    }
    questions
        .iter()
        .map(|terms| {
            Ok(query(
                &company_filter(legal_entity)?.and(&Filter::any(terms)),
            ))
        })
        .collect()
}

fn company_filter(legal_entity: &LegalEntity) -> Result<Filter, D365Error> {
    Filter::equals("dataAreaId", legal_entity.as_str())
}

fn query(filter: &Filter) -> Query {
    Query::cross_company(filter)
        .with("$orderby", ORDER)
        .with("$select", SELECT)
}

/// Collects variants and drops rows nobody asked for.
#[derive(Debug)]
pub(super) struct VariantRows<'q> {
    legal_entity: &'q LegalEntity,
    // None: all were asked for.
    asked: Option<HashSet<&'q str>>,
    most: usize,
    /// Variants that were asked for.
    pub(super) variants: Vec<Variant>,
    /// Rows that were not, or that name no item or number.
    pub(super) dropped_rows: u64,
}

impl<'q> VariantRows<'q> {
    /// Expects variants of this company: all, or those asked for.
    pub(super) fn new(legal_entity: &'q LegalEntity, asked: Option<&'q [Sku]>) -> Self {
        Self {
            legal_entity,
            asked: asked.map(|skus| skus.iter().map(Sku::key).collect()),
            most: MOST,
            variants: Vec::new(),
            dropped_rows: 0,
        }
    }

    /// Takes a row. The error says what is wrong with it.
    pub(super) fn take(&mut self, row: &str) -> Result<(), String> {
        let members = Members::read(row)?;
        members.refuse_error_beside("")?;
        match self.asked_for(&members)? {
            Some(_) if self.variants.len() >= self.most => {
                return Err(format!("there are more than {} variants", self.most));
            }
            Some(variant) => self.variants.push(variant),
            None => self.dropped_rows += 1,
        }
        Ok(())
    }

    fn asked_for(&self, row: &Members<'_>) -> Result<Option<Variant>, String> {
        let text = |property| row.text(property).map(Option::unwrap_or_default);
        let (item, number) = (text("ItemNumber")?, text("ProductVariantNumber")?);
        let is_asked_for = self.legal_entity.is_named_by(&text("dataAreaId")?)
            && self.asked.as_ref().is_none_or(|asked| {
                let is_asked = |text: &str| asked.contains(&*comparison_key(text));
                is_asked(&number) || is_asked(&item)
            });
        let (Ok(item), Ok(sku), true) = (ItemNumber::parse(item), Sku::parse(number), is_asked_for)
        else {
            return Ok(None);
        };
        let dimension = |property| text(property).map(|text| Spelling::from(text.as_ref()));
        Ok(Some(Variant {
            item,
            sku,
            dimensions: ProductDimensions {
                configuration: dimension("ProductConfigurationId")?,
                size: dimension("ProductSizeId")?,
                color: dimension("ProductColorId")?,
                style: dimension("ProductStyleId")?,
                version: dimension("ProductVersionId")?,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skus(texts: &[&str]) -> Vec<Sku> {
        texts
            .iter()
            .map(|text| Sku::parse(*text).unwrap())
            .collect()
    }

    fn company() -> LegalEntity {
        LegalEntity::parse("usmf").unwrap()
    }

    #[test]
    fn a_sku_is_looked_for_as_variant_and_as_item() {
        let queries = variants_queries(&company(), &skus(&["A'1"])).unwrap();
        let url = url::Url::parse(&format!("http://h/?{}", queries[0])).unwrap();
        let (name, filter) = url.query_pairs().nth(1).unwrap();
        assert_eq!(name, "$filter");
        assert_eq!(
            filter,
            "dataAreaId eq 'usmf' and (ProductVariantNumber eq 'A''1' or ItemNumber eq 'A''1')"
        );
    }

    #[test]
    fn many_skus_become_questions_that_fit() {
        let long: Vec<String> = (0..100).map(|number| format!("{number:0>40}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let queries = variants_queries(&company(), &skus(&long)).unwrap();
        assert!(queries.len() > 8);
        let texts: Vec<String> = queries.iter().map(Query::to_string).collect();
        assert!(texts.iter().all(|text| text.len() <= 1_950));
        let all = texts.concat();
        assert_eq!(all.matches("ProductVariantNumber%20eq").count(), 100);
        assert!(variants_queries(&company(), &skus(&["A*"])).is_err());
    }

    #[test]
    fn rows_nobody_asked_for_and_rows_without_number_are_dropped() {
        let row = |company: &str, item: &str, number: &str| {
            format!(
                r#"{{"@odata.etag":"x","dataAreaId":{company:?},"ItemNumber":{item:?},"ProductVariantNumber":{number:?},"ProductColorId":"Red","ProductSizeId":null}}"#
            )
        };
        let (company, asked) = (company(), skus(&["V-1", "I-2"]));
        let mut rows = VariantRows::new(&company, Some(&asked));
        for json in [
            row("USMF", "I-1", "V-1"),
            row("usmf", "I-2", "V-2"),
            row("usmf", "I-1", "v-1 "),
            row("dat", "I-1", "V-1"),
            row("usmf", "I-1", "V-12"),
            row("usmf", "I-2", ""),
        ] {
            rows.take(&json).unwrap();
        }
        let found: Vec<&str> = rows.variants.iter().map(|v| v.sku.as_str()).collect();
        assert_eq!(found, ["V-1", "V-2", "v-1 "]);
        assert_eq!(rows.dropped_rows, 3);
        assert_eq!(rows.variants[0].dimensions.color.as_str(), "Red");
        assert_eq!(rows.variants[0].dimensions.size.as_str(), "");
        for bad in [
            r#"{"ItemNumber":5}"#,
            r#"{"dataAreaId":"usmf","ItemNumber":"I-1","ProductVariantNumber":"V-1","error":{}}"#,
            r#"{"dataAreaId":"usmf","ItemNumber":"I-1","ItemNumber":"I-2"}"#,
            r#"{"error":{"code":"","message":"x"}}"#,
        ] {
            assert!(rows.take(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_that_does_not_end_is_refused() {
        let company = company();
        let mut rows = VariantRows::new(&company, None);
        rows.most = 2;
        let row = r#"{"dataAreaId":"usmf","ItemNumber":"I","ProductVariantNumber":"V"}"#;
        assert!(rows.take(row).is_ok() && rows.take(row).is_ok());
        let refused = rows.take(row).unwrap_err();
        assert!(refused.contains("more than 2"), "{refused}");
    }
}
