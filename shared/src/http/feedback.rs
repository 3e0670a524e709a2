//! ICM's feedback object: how an error or a hint looks on the wire.

use actix_web::http::StatusCode;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// The body of every error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    /// At least one problem.
    #[schema(min_items = 1)]
    pub errors: Vec<Problem>,
}

/// One error or hint. `code` is stable and made for programs, `message` for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Stable code of the form `inventory.<thing>.<problem>.error` or `….info`.
    #[schema(value_type = String, pattern = r"^inventory\.[a-z_.]+\.(error|info)$", example = "inventory.request.invalid.error")]
    pub code: Cow<'static, str>,
    /// What happened, in a sentence.
    pub message: String,
    /// HTTP status as text, as ICM's own APIs write it; absent for hints.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[1-5][0-9][0-9]$", example = "422")]
    pub status: Option<String>,
    /// Where in the request: JSON paths such as `$.products[3].sku`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub paths: Vec<String>,
    /// Values a program may need.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub parameters: BTreeMap<&'static str, String>,
}

impl Problem {
    /// An error that decides the reply's status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            status: Some(status.as_str().to_owned()),
            paths: Vec::new(),
            parameters: BTreeMap::new(),
        }
    }

    /// A hint beside data.
    pub fn info(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            status: None,
            paths: Vec::new(),
            parameters: BTreeMap::new(),
        }
    }

    /// Adds where in the request.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.paths.push(path.into());
        self
    }

    /// Adds a value.
    #[must_use]
    pub fn parameter(mut self, name: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.parameters.insert(name, value.to_string());
        self
    }
}

impl From<Problem> for Feedback {
    fn from(problem: Problem) -> Self {
        Self {
            errors: vec![problem],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_looks_as_icm_writes_it() {
        let problem = Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "inventory.request.invalid.error",
            "A quantity must be above 0.",
        )
        .path("$.products[3].quantity")
        .parameter("quantity", &-1);
        assert_eq!(
            serde_json::to_string(&Feedback::from(problem)).unwrap(),
            r#"{"errors":[{"code":"inventory.request.invalid.error","message":"A quantity must be above 0.","status":"422","paths":["$.products[3].quantity"],"parameters":{"quantity":"-1"}}]}"#
        );
    }
}
