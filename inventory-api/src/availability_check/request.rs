//! JSON in -> an order's question, parsed, deduplicated, limited and summed up.

use crate::error::ApiError;
use crate::http::asked_skus::{AskedSkus, MentionedIn};
use crate::http::question_body::{self, Given, List, Number, Object, Product, Text};
use crate::http::question_fields::{
    body_skus, check_live_size, on_live_failure as on_live_failure_of, seconds, timeout,
};
use crate::live::failure::OnLiveFailure;
use crate::tenants::scope::AskedScope;
use shared::settings::ApiSettings;
use shared::stock::{HoldId, Quantity};
use std::time::Duration;

/// Largest quantity of one mention.
pub(crate) const LARGEST_QUANTITY: i64 = 1_000_000_000;

/// "May I accept this order?"
#[derive(Debug)]
pub(crate) struct OrderQuestion<'a> {
    pub scope: AskedScope<'a>,
    /// How long the caller waits.
    pub timeout: Duration,
    /// What to do without a live answer; the channel's policy if the caller does not say.
    pub on_live_failure: Option<OnLiveFailure>,
    /// Which SKUs, each once whatever its spelling.
    pub skus: AskedSkus,
    /// How much of each; mentions of the same SKU are added up.
    pub requested: Vec<Quantity>,
    /// The SKUs as the caller spells them.
    pub spellings: AskedSkus,
    /// For each spelling the number of its SKU, and how much was asked of it.
    of_spellings: Vec<(usize, Quantity)>,
    pub order: Option<HoldId>,
    /// Whether what is granted is to be held for the order.
    pub is_commit: bool,
    /// The reservation it may use up.
    pub reservation: Option<HoldId>,
    /// Sets a request for a reservation that is sent again apart from a new one.
    pub request_id: Option<HoldId>,
    /// How long a reservation is held; the service's own time if it does not say.
    pub reservation_time: Duration,
}

impl<'a> OrderQuestion<'a> {
    /// Reads a JSON body.
    pub(crate) fn of_body(body: &'a [u8], settings: &ApiSettings) -> Result<Self, ApiError> {
        let limits = &settings.limits;
        let mut body = question_body::read(body)?;
        let scope = AskedScope::of_body(&mut body)?;
        let timeout = timeout(body.timeout_ms.0, settings)?;
        let on_live_failure = body.on_live_failure.0.as_ref();
        let on_live_failure = on_live_failure.map(on_live_failure_of).transpose()?;
        let products = body.products.0;
        let List(products) =
            products.ok_or_else(|| ApiError::invalid("$.products", "name at least one product"))?;
        let mentions = products.iter().map(|Object(product)| &*product.sku.0);
        let (spellings, mentioned) =
            AskedSkus::read(mentions, MentionedIn::Products, body_skus(limits))?;
        let (skus, numbers) = spellings.by_identity();
        check_live_size(&skus, limits)?;
        let mut requested = vec![Quantity::ZERO; skus.all().len()];
        let mut of_spellings: Vec<(usize, Quantity)> = (numbers.into_iter())
            .map(|number| (number, Quantity::ZERO))
            .collect();
        for (at, (Object(product), spelling)) in products.iter().zip(mentioned).enumerate() {
            let more = quantity(product, at, settings.orders.smallest_quantity)?;
            let (number, of_spelling) = &mut of_spellings[spelling];
            for sum in [&mut requested[*number], of_spelling] {
                *sum = sum
                    .checked_add(more)
                    .map_err(|problem| ApiError::invalid(quantity_path(at), problem.to_string()))?;
            }
        }
        let order = hold_id(&body.order_id, "$.orderId")?;
        let is_commit = body.commit.0.unwrap_or(false);
        if is_commit && order.is_none() {
            return Err(ApiError::invalid(
                "$.orderId",
                "name the order that is to be committed",
            ));
        }
        let longest = settings.orders.longest_reservation.as_secs().max(1);
        let limit = ("longestReservationSeconds", longest);
        Ok(Self {
            scope,
            timeout,
            on_live_failure,
            skus,
            requested,
            spellings,
            of_spellings,
            order,
            is_commit,
            reservation: hold_id(&body.reservation_id, "$.reservationId")?,
            request_id: hold_id(&body.request_id, "$.requestId")?,
            reservation_time: match body.ttl_seconds.0 {
                Some(Number(text)) => seconds(text, "$.ttlSeconds", 1, limit)?,
                None => settings.orders.reservation,
            },
        })
    }
}

/// What falls to one spelling of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// The number of its SKU.
    pub number: usize,
    /// How much was asked of it.
    pub requested: Quantity,
    /// How much of what its SKU was given it gets.
    pub given: Quantity,
}

impl OrderQuestion<'_> {
    /// Shares what each SKU was given among its spellings: who is mentioned first is served first.
    pub(crate) fn shares(&self, given: impl IntoIterator<Item = Quantity>) -> Vec<Share> {
        let mut left: Vec<Quantity> = given.into_iter().collect();
        let shares = self.of_spellings.iter().map(|&(number, requested)| {
            let given = left.get(number).copied().unwrap_or_default().min(requested);
            if let Some(left) = left.get_mut(number) {
                *left = left.checked_sub(given).unwrap_or_default();
            }
            Share {
                number,
                requested,
                given,
            }
        });
        shares.collect()
    }
}

fn hold_id(given: &Given<Text<'_>>, path: &str) -> Result<Option<HoldId>, ApiError> {
    let id = given.0.as_ref().map(|Text(id)| HoldId::parse(&**id));
    id.transpose()
        .map_err(|problem| ApiError::invalid(path, problem.to_string()))
}

fn quantity_path(at: usize) -> String {
    format!("$.products[{at}].quantity")
}

fn quantity(product: &Product<'_>, at: usize, smallest: Quantity) -> Result<Quantity, ApiError> {
    let path = quantity_path(at);
    let Some(Number(text)) = product.quantity.0 else {
        return Err(ApiError::invalid(path, "a quantity is missing"));
    };
    let range = smallest..=Quantity::from(LARGEST_QUANTITY);
    Quantity::parse(text)
        .ok()
        .filter(|quantity| quantity.is_positive() && range.contains(quantity))
        .ok_or_else(|| {
            let problem = format!("must be from {smallest} to {LARGEST_QUANTITY}");
            ApiError::invalid(path, problem)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::settings::Layers;

    /// SKUs with what is asked of each, or the refusal's status and path.
    fn read(body: &str) -> String {
        let settings = Layers::default().load().unwrap().api;
        match OrderQuestion::of_body(body.as_bytes(), &settings) {
            Ok(question) => {
                let skus = question.skus.all().iter().zip(&question.requested);
                let lines: Vec<_> = skus.map(|(sku, much)| format!("{sku:?} {much}")).collect();
                lines.join(", ")
            }
            Err(error) => error.status_and_path(),
        }
    }

    #[test]
    fn an_order_is_read_exactly_or_refused_with_the_path() {
        for (product, expected) in [
            (
                r#"{"sku":"a","quantity":0.1},{"sku":"b","quantity":2},{"sku":"a","quantity":0.2}"#,
                r#""a" 0.3, "b" 2"#,
            ),
            (
                r#"{"sku":"a ","quantity":3},{"sku":"b","quantity":1},{"sku":"A","quantity":3}"#,
                r#""a " 6, "b" 1"#,
            ),
            (r#"{"sku":"a"}"#, "422 $.products[0].quantity"),
            ("", "422 $.products"),
        ] {
            assert_eq!(read(&format!(r#"{{"products":[{product}]}}"#)), expected);
        }
        for body in ["{}", r#"{"skus":["a"]}"#] {
            assert_eq!(read(body), "422 $.products");
        }
        for (quantity, expected) in [
            ("0", "422"),
            ("-1", "422"),
            ("0.0009999", "422"),
            ("1000000001", "422"),
            ("1e400", "422"),
            ("\"1\"", "400"),
            ("null", "400"),
            ("[1]", "400"),
            ("1", "\"a\""),
            ("0.001234", "\"a\""),
            ("1e3", "\"a\""),
        ] {
            let found = read(&format!(
                r#"{{"products":[{{"sku":"a","quantity":{quantity}}}]}}"#
            ));
            assert!(found.starts_with(expected), "{quantity}: {found}");
            assert!(found.starts_with('"') || found.ends_with(" $.products[0].quantity"));
        }
    }

    #[test]
    fn spellings_of_one_sku_share_what_it_is_given() {
        let body = r#"{"products":[{"sku":"a ","quantity":3},{"sku":"b","quantity":1},{"sku":"A","quantity":3}]}"#;
        let settings = Layers::default().load().unwrap().api;
        let question = OrderQuestion::of_body(body.as_bytes(), &settings).unwrap();
        let shares = question.shares([5, 0].map(Quantity::from));
        let share = |number, requested, given| Share {
            number,
            requested: Quantity::from(requested),
            given: Quantity::from(given),
        };
        assert_eq!(shares, [share(0, 3, 3), share(1, 1, 0), share(0, 3, 2)]);
    }

    #[test]
    fn what_is_to_be_committed_has_an_id() {
        for (more, expected) in [
            (r#""orderId":"O-1""#, "\"a\" 1"),
            (r#""orderId":"O-1","commit":true"#, "\"a\" 1"),
            (
                r#""commit":false,"reservationId":"r","ttlSeconds":3600"#,
                "\"a\" 1",
            ),
            (r#""commit":true"#, "422 $.orderId"),
            (r#""commit":"true""#, "400 $.commit"),
            (r#""orderId":"""#, "422 $.orderId"),
            (r#""orderId":"a b""#, "422 $.orderId"),
            (r#""orderId":1"#, "400 $.orderId"),
            (r#""reservationId":null"#, "400 $.reservationId"),
            (r#""requestId":7"#, "400 $.requestId"),
            (r#""requestId":"""#, "422 $.requestId"),
            (r#""ttlSeconds":0"#, "422 $.ttlSeconds"),
            (r#""ttlSeconds":3601"#, "422 $.ttlSeconds"),
            (r#""ttlSeconds":1.5"#, "422 $.ttlSeconds"),
            (r#""ttlSeconds":"1""#, "400 $.ttlSeconds"),
        ] {
            let body = format!(r#"{{"products":[{{"sku":"a","quantity":1}}],{more}}}"#);
            assert_eq!(read(&body), expected, "{more}");
        }
    }
}
