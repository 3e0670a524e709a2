//! The series of authentication. Labels come from closed sets.
//!
//! | series | kind | labels | meaning |
//! |---|---|---|---|
//! | `auth_accepted_total` | counter | how: remembered, token, password | requests let in |
//! | `auth_refused_total` | counter | reason | requests turned away |
//! | `auth_key_looks_total` | counter | outcome: ok, failed | looks at the token issuer's keys |

use super::refused::Refused;

pub(super) fn accepted(how: &'static str) {
    ::metrics::counter!("auth_accepted_total", "how" => how).increment(1);
}

pub(super) fn refused(refused: Refused) {
    ::metrics::counter!("auth_refused_total", "reason" => refused.label()).increment(1);
}

pub(super) fn key_look(outcome: &'static str) {
    ::metrics::counter!("auth_key_looks_total", "outcome" => outcome).increment(1);
}
