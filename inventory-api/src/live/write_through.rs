//! Whether live answers were stored.

use serde::Serialize;
use utoipa::ToSchema;

/// `stored`: every live answer is in the cache; `partly`: some were refused because something newer
/// is stored already; `failed`: the cache did not take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteThrough {
    Stored,
    Partly,
    Failed,
}
