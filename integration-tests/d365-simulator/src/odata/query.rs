//! Query options: from the raw query string to what is asked.

use percent_encoding::percent_decode_str;

use super::condition::Condition;
use super::entities::{EntitySet, Property};
use super::errors::ODataError;
use super::parser::parse;

/// A request on a set, read and checked.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) set: EntitySet,
    pub(crate) filter: Option<Condition>,
    pub(crate) order: Vec<Property>,
    /// Names as asked for, for the context; empty means all.
    pub(crate) selected: Vec<(&'static str, Property)>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
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
            "$filter" => self.filter = Some(parse(value, self.set)?),
            "$orderby" => self.order = order(value, self.set)?,
            "$select" => self.selected = selection(value, self.set)?,
            "$top" => self.top = Some(whole_number(name, value)?),
            "$skip" => self.skip = whole_number(name, value)?,
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

    /// The continuation behind `taken` rows: the request's own options, then where to go on and how
    /// many rows may still come.
    pub(crate) fn next_link(&self, origin: &str, taken: usize) -> String {
        let kept = self.raw.iter();
        let kept = kept.filter(|(name, _)| !matches!(name.as_str(), "$skip" | "$top"));
        let mut options: Vec<String> = kept.map(|(_, pair)| pair.clone()).collect();
        options.push(format!("$skip={}", self.skip + taken));
        options.extend(self.top.map(|top| format!("$top={}", top - taken)));
        format!("{origin}/data/{}?{}", self.set.name(), options.join("&"))
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

fn order(value: &str, set: EntitySet) -> Result<Vec<Property>, ODataError> {
    let names = value.split(',').map(str::trim);
    if names
        .clone()
        .any(|name| name.is_empty() || name.contains(' '))
    {
        return Err(invalid("$orderby", value));
    }
    names.map(|name| set.property(name)).collect()
}

fn selection(value: &str, set: EntitySet) -> Result<Vec<(&'static str, Property)>, ODataError> {
    let mut columns: Vec<(&'static str, Property)> = Vec::new();
    for name in value.split(',').map(str::trim) {
        if name.is_empty() {
            return Err(invalid("$select", value));
        }
        set.property(name)?;
        let column = set.columns().iter().find(|(known, _)| *known == name);
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
    fn options_are_decoded_and_columns_come_in_the_order_of_the_metadata() {
        let query = read(
            "cross-company=TRUE&%24top=5&$skip=7&$filter=ItemNumber%20eq+%27A%27%27B%27\
             &$select=OnHandQuantity,ItemNumber,ItemNumber",
        )
        .unwrap();
        assert!(query.cross_company && query.filter.is_some());
        assert_eq!((query.top, query.skip), (Some(5), 7));
        let names: Vec<_> = query.columns().iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["ItemNumber", "OnHandQuantity"]);
    }

    #[test]
    fn senseless_options_and_unknown_names_are_refused() {
        for option in [
            "$top=-1",
            "$top=x",
            "$top=",
            "$skip=1.5",
            "$apply=groupby((ItemNumber))",
            "$expand=Lines",
            "$top=1&$top=2",
            "$orderby=ItemNumber up",
            "$orderby=",
            "$select=",
            "$filter=%FF",
            "$select=ItemNumbr",
            "$select=itemNumber",
            "$orderby=ItemNumbr",
            "$filter=ItemNumbr%20eq%20'A'",
        ] {
            assert!(read(option).is_err(), "{option}");
        }
    }

    #[test]
    fn a_continuation_repeats_the_options_and_goes_on_with_the_rest() {
        let link = |raw, taken| read(raw).unwrap().next_link("http://d365", taken);
        assert_eq!(
            link("cross-company=true&$filter=ItemNumber%20gt%20%27A%27", 100),
            "http://d365/data/WarehousesOnHandV2?cross-company=true&$filter=ItemNumber%20gt%20%27A%27&$skip=100"
        );
        assert_eq!(
            link("$top=250&$skip=10", 100),
            "http://d365/data/WarehousesOnHandV2?$skip=110&$top=150"
        );
    }
}
