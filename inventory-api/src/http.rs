//! What any HTTP question needs, whatever it asks: paths, admission, bodies, replies, the document.

pub(crate) mod admission;
pub(crate) mod asked_skus;
pub(crate) mod body;
pub(crate) mod json_reply;
pub(crate) mod limits;
pub(crate) mod openapi;
pub(crate) mod paths;
pub(crate) mod priority;
pub(crate) mod query;
pub(crate) mod question_body;
pub(crate) mod question_check;
pub(crate) mod question_fields;
