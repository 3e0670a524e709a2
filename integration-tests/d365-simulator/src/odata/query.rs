//! Query options: from the raw query string to what is asked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use super::entities::{EntitySet, Property};
use super::errors::ODataError;
use super::filter::{self, Expression};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SortKey {
    pub(crate) property: Property,
    pub(crate) descending: bool,
}

/// A request on a set, read and checked.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) set: EntitySet,
    pub(crate) filter: Option<Expression>,
    pub(crate) order: Vec<SortKey>,
    /// Names as asked for, for the context; empty means all.
    pub(crate) selected: Vec<(&'static str, Property)>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    pub(crate) count: bool,
    pub(crate) cross_company: bool,
    /// Options as they were sent, in their order, for the continuation link.
    pub(crate) raw: Vec<(String, String)>,
}

impl Query {
    /// Reads the part behind the question mark.
    pub(crate) fn read(set: EntitySet, raw: &str) -> Result<Self, ODataError> {
        let mut query = Self {
            set,
            filter: None,
            order: Vec::new(),
            selected: Vec::new(),
            top: None,
            skip: 0,
            count: false,
            cross_company: false,
            raw: Vec::new(),
        };
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded_name = decode(name)?;
            let seen = query.raw.iter().any(|(known, _)| *known == decoded_name);
            if seen && decoded_name.starts_with('$') {
                return Err(ODataError::InvalidQuery(format!(
                    "Query option '{decoded_name}' was specified more than once, but it must be specified at most once."
                )));
            }
            query.read_option(&decoded_name, &decode(value)?)?;
            query.raw.push((decoded_name, pair.to_owned()));
        }
        Ok(query)
    }

    fn read_option(&mut self, name: &str, value: &str) -> Result<(), ODataError> {
        match name {
            "$filter" => self.filter = Some(filter::parse(value, self.set)?),
            "$orderby" => self.order = order(value, self.set)?,
            "$select" => self.selected = selection(value, self.set)?,
            "$top" => self.top = Some(whole_number(name, value)?),
            "$skip" => self.skip = whole_number(name, value)?,
            "$skiptoken" => self.read_skip_token(value)?,
            "$count" => {
                self.count = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err(invalid(name, value)),
                };
            }
            "$expand" => {
                return Err(ODataError::UnknownProperty {
                    property: value.to_owned(),
                    type_name: self.set.type_name(),
                });
            }
            "$format" => {}
            "cross-company" => self.cross_company = value.eq_ignore_ascii_case("true"),
            _ if name.starts_with('$') => {
                return Err(ODataError::InvalidQuery(format!(
                    "The query parameter '{name}' is not supported."
                )));
            }
            _ => {}
        }
        Ok(())
    }

    fn read_skip_token(&mut self, token: &str) -> Result<(), ODataError> {
        let (skip, top) = open_skip_token(token).ok_or_else(|| invalid("$skiptoken", token))?;
        self.skip = skip;
        self.top = top.or(self.top);
        Ok(())
    }

    /// Selected columns in the order of the metadata.
    pub(crate) fn columns(&self) -> Vec<(&'static str, Property)> {
        let all = self.set.columns();
        if self.selected.is_empty() {
            return all.to_vec();
        }
        all.iter()
            .filter(|column| self.selected.contains(column))
            .copied()
            .collect()
    }
}

/// The opaque token of a continuation: how many rows to skip, and how many may still come.
pub(crate) fn skip_token(skip: usize, top: Option<usize>) -> String {
    let top = top.map_or(String::new(), |top| top.to_string());
    URL_SAFE_NO_PAD.encode(format!("{skip}:{top}"))
}

fn open_skip_token(token: &str) -> Option<(usize, Option<usize>)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (skip, top) = text.split_once(':')?;
    let top = if top.is_empty() {
        None
    } else {
        Some(top.parse().ok()?)
    };
    Some((skip.parse().ok()?, top))
}

/// Undoes percent-encoding; a plus is a blank, as in the web framework behind the real endpoint.
fn decode(text: &str) -> Result<String, ODataError> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(Into::into)
        .map_err(|_source| {
            ODataError::InvalidQuery("The query string is not valid UTF-8.".to_owned())
        })
}

fn invalid(name: &str, value: &str) -> ODataError {
    ODataError::InvalidQuery(format!(
        "Invalid value '{value}' for {name} query option found."
    ))
}

fn whole_number(name: &str, value: &str) -> Result<usize, ODataError> {
    value.trim().parse().map_err(|_source| invalid(name, value))
}

fn order(value: &str, set: EntitySet) -> Result<Vec<SortKey>, ODataError> {
    let mut keys = Vec::new();
    for part in value.split(',') {
        let mut words = part.split_ascii_whitespace();
        let (Some(name), direction, None) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("$orderby", value));
        };
        let descending = match direction {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(invalid("$orderby", value)),
        };
        keys.push(SortKey {
            property: set.property(name)?,
            descending,
        });
    }
    Ok(keys)
}

fn selection(value: &str, set: EntitySet) -> Result<Vec<(&'static str, Property)>, ODataError> {
    let mut columns = Vec::new();
    for name in value.split(',').map(str::trim) {
        if name == "*" {
            columns.extend_from_slice(set.columns());
            continue;
        }
        if name.is_empty() {
            return Err(invalid("$select", value));
        }
        let property = set.property(name)?;
        let column = set.columns().iter().find(|(_, known)| *known == property);
        columns.extend(column.filter(|column| !columns.contains(column)));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<Query, ODataError> {
        Query::read(EntitySet::WarehousesOnHand, raw)
    }

    #[test]
    fn options_are_decoded() {
        let query =
            read("cross-company=TRUE&%24top=5&$skip=7&$filter=ItemNumber%20eq+%27A%27%27B%27")
                .unwrap();
        assert!(query.cross_company);
        assert_eq!((query.top, query.skip), (Some(5), 7));
        assert!(query.filter.is_some());
    }

    #[test]
    fn an_unknown_property_is_named() {
        for option in [
            "$select=ItemNumbr",
            "$orderby=ItemNumbr",
            "$filter=ItemNumbr%20eq%20'A'",
        ] {
            assert_eq!(
                read(option).unwrap_err(),
                ODataError::UnknownProperty {
                    property: "ItemNumbr".into(),
                    type_name: "Microsoft.Dynamics.DataEntities.WarehouseOnHandV2"
                },
                "{option}"
            );
        }
    }

    #[test]
    fn names_are_case_sensitive() {
        assert!(read("$select=itemNumber").is_err());
        assert!(read("$select=DataAreaId").is_err());
    }

    #[test]
    fn senseless_options_are_refused() {
        for option in [
            "$top=-1",
            "$top=x",
            "$top=",
            "$skip=1.5",
            "$count=yes",
            "$apply=groupby((ItemNumber))",
            "$top=1&$top=2",
            "$orderby=ItemNumber up",
            "$orderby=",
            "$select=",
            "$skiptoken=zzz",
            "$filter=%FF",
        ] {
            assert!(
                matches!(read(option), Err(ODataError::InvalidQuery(_))),
                "{option}"
            );
        }
    }

    #[test]
    fn columns_come_in_the_order_of_the_metadata() {
        let query = read("$select=OnHandQuantity,ItemNumber,ItemNumber").unwrap();
        let names: Vec<_> = query.columns().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ItemNumber", "OnHandQuantity"]);
    }

    #[test]
    fn a_skip_token_opens_to_what_went_in() {
        for top in [None, Some(0), Some(12)] {
            assert_eq!(open_skip_token(&skip_token(345, top)), Some((345, top)));
        }
    }
}
