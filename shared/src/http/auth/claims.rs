//! What verified claims say about the caller. Pure.

use super::caller::{Allowed, Caller};
use super::strict_json::StrictObject;
use super::token::TokenProblem;
use crate::settings::{JwtSettings, RoleName};
use serde_json::Value;
use std::time::Duration;

/// The year 9999: no token lives longer, and no sum with it overflows.
const LATEST: u64 = 253_402_300_799;
/// Characters of a subject that are kept.
const LONGEST_SUBJECT: usize = 128;
/// How far the issuer's clock may be off.
const LEEWAY_SECONDS: u64 = 30;
/// Claims that name the caller; the first one present counts.
const SUBJECTS: [&str; 5] = ["azp", "appid", "client_id", "sub", "oid"];

/// What must hold of claims, and where rights stand in them.
#[derive(Debug, Clone)]
pub(super) struct ClaimRules {
    issuer: String,
    audience: String,
    leeway: u64,
    roles: String,
    channels: Option<String>,
    tenants: Option<String>,
}

/// A caller and how long the token that names it is good.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) caller: Caller,
    /// From now on, leeway included.
    pub(super) good_for: Duration,
}

impl ClaimRules {
    pub(super) fn of(settings: &JwtSettings) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            leeway: LEEWAY_SECONDS,
            roles: settings.roles_claim.clone(),
            channels: settings.channels_claim.clone(),
            tenants: settings.tenants_claim.clone(),
        }
    }

    /// Judges claims whose signature was verified; `now` in seconds since 1970.
    pub(super) fn judge(&self, claims: &StrictObject, now: u64) -> Result<Claimed, TokenProblem> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(TokenProblem::Issuer);
        }
        if !self.is_meant_for_us(claims.get("aud")) {
            return Err(TokenProblem::Audience);
        }
        let expires = seconds(claims.get("exp"))?.ok_or(TokenProblem::Times)?;
        let not_before = seconds(claims.get("nbf"))?.unwrap_or_default();
        seconds(claims.get("iat"))?;
        let good_until = expires + self.leeway;
        if now >= good_until {
            return Err(TokenProblem::Expired);
        }
        if not_before > now + self.leeway {
            return Err(TokenProblem::NotYet);
        }
        let caller = Caller::new(
            subject(claims),
            roles(claims.find(&self.roles)),
            allowed(claims, self.channels.as_deref()),
            allowed(claims, self.tenants.as_deref()),
        );
        Ok(Claimed {
            caller,
            good_for: Duration::from_secs(good_until - now),
        })
    }

    fn is_meant_for_us(&self, audience: Option<&Value>) -> bool {
        match audience {
            Some(Value::String(one)) => *one == self.audience,
            Some(Value::Array(several)) => {
                several.iter().all(Value::is_string)
                    && several.iter().any(|one| one == self.audience.as_str())
            }
            _ => false,
        }
    }
}

/// A time that is there must be a whole number of seconds: a text, a fraction or a number beyond
/// reason is no time, and a token with one is not half believed.
fn seconds(value: Option<&Value>) -> Result<Option<u64>, TokenProblem> {
    match value {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(seconds) if seconds <= LATEST => Ok(Some(seconds)),
            _ => Err(TokenProblem::Times),
        },
    }
}

fn subject(claims: &StrictObject) -> String {
    let named = SUBJECTS
        .iter()
        .find_map(|name| claims.get(name).and_then(Value::as_str))
        .unwrap_or("unnamed");
    let shown = named.chars().filter(|c| !c.is_control());
    shown
        .take(LONGEST_SUBJECT)
        .fold("token:".to_owned(), |mut id, c| {
            id.push(c);
            id
        })
}

/// Words of a list, or of a text with blanks between them.
fn words(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn roles(value: Option<&Value>) -> Vec<RoleName> {
    let mut roles: Vec<RoleName> = Vec::new();
    for word in words(value) {
        let role = match word {
            "browse" => RoleName::Browse,
            "order" => RoleName::Order,
            "operate" => RoleName::Operate,
            // Other services' roles.
            _ => continue,
        };
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

/// A configured claim binds the caller also where a token lacks it.
fn allowed(claims: &StrictObject, place: Option<&str>) -> Allowed {
    place.map_or(Allowed::All, |place| {
        let names = words(claims.find(place));
        Allowed::Only(names.into_iter().map(str::to_owned).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    fn rules() -> ClaimRules {
        ClaimRules {
            issuer: "https://issuer".to_owned(),
            audience: "inventory".to_owned(),
            leeway: 30,
            roles: "roles".to_owned(),
            channels: None,
            tenants: Some("/rights/tenants".to_owned()),
        }
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Result<Claimed, TokenProblem> {
        let mut claims = json!({
            "iss": "https://issuer", "aud": "inventory", "exp": NOW + 60, "sub": "icm",
            "roles": ["browse", "other", "browse"], "rights": { "tenants": "contoso fabrikam" }
        });
        change(&mut claims);
        let claims = StrictObject::read(claims.to_string().as_bytes()).unwrap();
        rules().judge(&claims, NOW)
    }

    #[test]
    fn good_claims_name_the_caller_and_its_rights() {
        let claimed = judged(|_| {}).unwrap();
        assert_eq!(claimed.good_for, Duration::from_secs(90));
        assert_eq!(claimed.caller.id(), "token:icm");
        assert!(claimed.caller.has_role(RoleName::Browse));
        assert!(!claimed.caller.has_role(RoleName::Order));
        assert!(claimed.caller.may_ask("fabrikam", Some("any")).is_ok());
        assert!(claimed.caller.may_ask("adatum", None).is_err());
        let unbound = judged(|claims| claims["rights"] = json!(null)).unwrap();
        assert!(unbound.caller.may_ask("contoso", None).is_err());
        let scopes = judged(|claims| claims["roles"] = json!("order operate")).unwrap();
        assert!(scopes.caller.has_role(RoleName::Operate));
        assert!(judged(|claims| claims["aud"] = json!(["x", "inventory"])).is_ok());
    }

    #[test]
    fn issuer_audience_and_times_are_judged_strictly() {
        for (claim, value, problem) in [
            ("iss", json!("https://issuer/"), TokenProblem::Issuer),
            ("iss", json!(["https://issuer"]), TokenProblem::Issuer),
            ("iss", json!(null), TokenProblem::Issuer),
            ("aud", json!("inventory2"), TokenProblem::Audience),
            ("aud", json!([]), TokenProblem::Audience),
            ("aud", json!(["inventory", 7]), TokenProblem::Audience),
            ("aud", json!({"inventory": 1}), TokenProblem::Audience),
            ("exp", json!(null), TokenProblem::Times),
            ("exp", json!("1900000000"), TokenProblem::Times),
            ("exp", json!(1_900_000_000.5), TokenProblem::Times),
            ("exp", json!(1e300), TokenProblem::Times),
            ("exp", json!(u64::MAX), TokenProblem::Times),
            ("exp", json!(-1), TokenProblem::Times),
            ("exp", json!(0), TokenProblem::Expired),
            ("exp", json!(NOW - 30), TokenProblem::Expired),
            ("nbf", json!(NOW + 31), TokenProblem::NotYet),
            ("nbf", json!("0"), TokenProblem::Times),
            ("iat", json!("0"), TokenProblem::Times),
        ] {
            let judged = judged(|claims| claims[claim] = value.clone());
            assert_eq!(judged.unwrap_err(), problem, "{claim} {value}");
        }
        for (claim, value) in [("exp", NOW - 29), ("nbf", NOW + 30)] {
            assert!(
                judged(|claims| claims[claim] = json!(value)).is_ok(),
                "{claim} {value}"
            );
        }
    }
}
