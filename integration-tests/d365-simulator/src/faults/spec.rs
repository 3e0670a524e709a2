//! What a fault script says.

use serde::{Deserialize, Serialize};

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Every request; only in a matcher.
    #[default]
    Any,
    /// A token endpoint.
    Token,
    /// On-hand rows by position: with `$top` or `$skip`, or not limited to named items.
    Page,
    /// On-hand rows of named items (`ItemNumber eq`) and nothing of the above.
    Lookup,
    /// Released product variants.
    Variants,
    /// The list of warehouses.
    Warehouses,
    /// Anything else under `/data`.
    Other,
}

impl Kind {
    /// The name as scripts write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Token => "token",
            Self::Page => "page",
            Self::Lookup => "lookup",
            Self::Variants => "variants",
            Self::Warehouses => "warehouses",
            Self::Other => "other",
        }
    }
}

/// A fault: a matcher and an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Kind of request hit.
    #[serde(default)]
    pub on: Kind,
    /// Only requests that name this warehouse, alone or among others.
    pub warehouse: Option<String>,
    /// Only requests of this app registration (client id).
    pub app: Option<String>,
    /// Only the n-th matching request, counted from 1.
    pub nth: Option<u64>,
    /// Only each n-th matching request.
    pub every: Option<u64>,
    /// At most so often.
    pub times: Option<u64>,
    pub action: Action,
}

impl FaultSpec {
    /// A fault on every request of a kind.
    pub fn on(kind: Kind, action: Action) -> Self {
        Self {
            on: kind,
            warehouse: None,
            app: None,
            nth: None,
            every: None,
            times: None,
            action,
        }
    }

    /// The same fault, at most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// The same fault, on the n-th match only.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// The same fault, for one warehouse only.
    #[must_use]
    pub fn warehouse(mut self, warehouse: &str) -> Self {
        self.warehouse = Some(warehouse.to_owned());
        self
    }

    /// The same fault, for one app registration only.
    #[must_use]
    pub fn app(mut self, client_id: &str) -> Self {
        self.app = Some(client_id.to_owned());
        self
    }
}

/// What a fault does. In JSON and TOML the name stands in `do`, e.g. `{"do": "delay", "ms": 500}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    Throttle {
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: RetryAfter,
        #[serde(default)]
        body: ThrottleBody,
    },
    /// 401 as D365 says it; on a token endpoint 401 `invalid_client`.
    Unauthorized,
    /// 403 with an empty body.
    Forbidden,
    /// 500 with the `OData` envelope.
    ServerError,
    /// 503 with an HTML body.
    Unavailable {
        /// `Retry-After` in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// Waits.
    Delay {
        ms: u64,
        #[serde(default)]
        at: DelayPoint,
    },
    /// Ends the connection inside the body.
    Cut { after: CutPoint },
    /// Sends the body a few bytes at a time.
    Trickle {
        /// Bytes at a time.
        bytes: usize,
        /// Milliseconds between them.
        pause_ms: u64,
    },
    /// Takes the request and never answers.
    BlackHole,
    /// 200 with JSON that breaks off in the middle of a row, the connection being fine.
    BadJson,
    /// 200 with an HTML page.
    Html {
        /// Content type of the page; `application/json` is the lying one.
        #[serde(default = "html_type")]
        content_type: String,
    },
    /// 302 to a login page.
    Redirect { location: String },
    /// No rows and no continuation.
    Empty,
    /// The first half of the rows, cut between two items, and no continuation.
    Halve,
    /// All rows say another company, with poisoned quantities.
    WrongCompany {
        /// The other company.
        company: String,
    },
    /// Some rows come again for another warehouse, with poisoned quantities.
    WrongWarehouse {
        /// The other warehouse.
        warehouse: String,
        /// Every n-th row comes again.
        #[serde(default = "one")]
        every: usize,
    },
    /// Some rows are spelled otherwise: letter case turned and a blank behind company, item and warehouse.
    Respell {
        /// Every n-th row.
        #[serde(default = "one")]
        every: usize,
    },
    /// The continuation goes somewhere it should not.
    NextLink {
        trick: LinkTrick,
        /// Host (and port) to lead to; default `evil.example`.
        #[serde(default)]
        host: Option<String>,
    },
    /// The row at this place lacks a property.
    MissingProperty {
        property: String,
        #[serde(default)]
        row: usize,
    },
    /// The row at this place has a null in a property.
    NullProperty {
        property: String,
        #[serde(default)]
        row: usize,
    },
    /// So many bytes of filler inside an extra property behind the rows.
    HugeBody { bytes: usize },
    /// A gzip body that breaks off in the middle.
    TruncatedGzip,
    /// Tokens that live so many seconds.
    ShortToken { seconds: i64 },
}

impl Action {
    /// Whether the page is not even read.
    pub(crate) fn replaces_answer(&self) -> bool {
        matches!(
            self,
            Self::Throttle { .. }
                | Self::Unauthorized
                | Self::Forbidden
                | Self::ServerError
                | Self::Unavailable { .. }
                | Self::BlackHole
                | Self::Html { .. }
                | Self::Redirect { .. }
        )
    }
}

fn html_type() -> String {
    "text/html; charset=utf-8".to_owned()
}

fn one() -> usize {
    1
}

/// The `Retry-After` header of a 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryAfter {
    /// Whole seconds.
    Seconds(u64),
    /// An HTTP date so many seconds ahead.
    DateIn(u64),
    /// No header.
    None,
    /// Seconds that double each time the fault fires, starting with this.
    Growing(u64),
}

impl Default for RetryAfter {
    fn default() -> Self {
        Self::Seconds(5)
    }
}

/// The body of a 429; none of them is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThrottleBody {
    /// `{"Message": ...}`.
    #[default]
    WebApi,
    /// `{"error": {...}}`.
    Odata,
    /// The sentence alone.
    Text,
    /// Nothing.
    Empty,
}

/// When a delay happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DelayPoint {
    /// Before the rows are read: the answer is fresh when it comes.
    #[default]
    BeforeRead,
    /// After the rows have been read: the answer is old when it comes.
    AfterRead,
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutPoint {
    /// After so many bytes of the body.
    Bytes(usize),
    /// After so many whole rows.
    Rows(usize),
}

/// What is wrong with a continuation link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkTrick {
    /// Another host, same port.
    OtherHost,
    /// Same host, another port.
    OtherPort,
    /// `http` where the environment is `https`, and the other way round.
    OtherScheme,
    /// The environment's host as user name in front of another host.
    UserInfo,
    /// A path that is not under `/data/`.
    OtherPath,
    /// The link that was just followed.
    SamePage,
    /// A continuation on every page, the last one included.
    Endless,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_as_documented_and_a_misspelled_one_is_refused() {
        let throttle = Action::Throttle {
            retry_after: RetryAfter::Seconds(7),
            body: ThrottleBody::Odata,
        };
        let spec: FaultSpec = serde_json::from_str(
            r#"{"on":"page","warehouse":"24","nth":3,"times":1,
                "action":{"do":"throttle","retry_after":{"seconds":7},"body":"odata"}}"#,
        )
        .unwrap();
        let expected = FaultSpec::on(Kind::Page, throttle).warehouse("24");
        assert_eq!(spec, expected.nth(3).times(1));
        for action in [
            r#"{"do":"cut","after":{"rows":3}}"#,
            r#"{"do":"throttle","retry_after":"none"}"#,
            r#"{"do":"delay","ms":50,"at":"after-read"}"#,
            r#"{"do":"next-link","trick":"user-info"}"#,
            r#"{"do":"black-hole"}"#,
        ] {
            serde_json::from_str::<Action>(action).unwrap();
        }
        for script in [
            r#"{"on":"pages","action":{"do":"empty"}}"#,
            r#"{"action":{"do":"explode"}}"#,
            r#"{"action":{"do":"delay","seconds":5}}"#,
            r#"{"warehuse":"24","action":{"do":"empty"}}"#,
            r#"{"on":"page"}"#,
        ] {
            let read = serde_json::from_str::<FaultSpec>(script);
            assert!(read.is_err(), "{script}");
        }
    }
}
