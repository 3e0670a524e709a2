//! Callers who should not get in, and more of them than the token issuer should notice.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::Rig;
use futures_util::future::join_all;
use integration_tests::binaries::Program;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::token_attacks::attacks;
use integration_tests::token_issuer::{
    KeyServer, Kind, SigningKey, good_claims, section, unsigned,
};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;
use std::time::Duration;

/// One look because of unknown keys in such a time.
const BETWEEN_LOOKS: Duration = Duration::from_mins(5);
const CALLERS: usize = 20;
const TOKENS_EACH: usize = 500;

pub(super) async fn attacked(rig: Rig) -> Result<Outcome, RowError> {
    let mut outcome = Outcome::default();
    let (mut accepted, mut sent, mut good_refused) = (0_u64, 0_u64, 0_u64);
    let (mut most_looks, mut unknown_keys) = (0_u64, 0_u64);
    let mut longest = Duration::ZERO;
    for (kind, other_kind) in [(Kind::Rs256, Kind::Es256), (Kind::Es256, Kind::Rs256)] {
        let right = SigningKey::new(kind, "key-one")?;
        let second = SigningKey::new(kind, "key-two")?;
        let other = SigningKey::new(other_kind, "key-three")?;
        let issuer = KeyServer::start(&[&right, &second, &other]).await?;
        let redis = RedisFixture::start_process().await?;
        let stage = rig.stage_with(redis, rig.world(), "", |config| {
            config.open_door = false;
            config.more.push_str(&section(kind, &issuer.url(), ""));
        })?;
        let watch = Stopwatch::start();
        let mut service = stage.launch(Program::InventoryApi)?.start().await?;
        let limits = format!("{}/inventory/v1/limits", service.url());
        let http = Client::new();
        let status_of = async |token: &str| -> Result<u16, RowError> {
            let shown = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes())?;
            let reply = http
                .get(&limits)
                .header(AUTHORIZATION, shown)
                .send()
                .await?;
            Ok(reply.status().as_u16())
        };
        let good = right.token(&good_claims())?;
        good_refused += u64::from(status_of(&good).await? != 200);
        for attack in attacks(kind, &right, &other)? {
            accepted += u64::from(status_of(&attack.token).await? != 401);
            sent += 1;
        }
        let claims = good_claims().to_string();
        let flood = (0..CALLERS).map(async |caller| -> Result<u64, RowError> {
            let mut let_in = 0;
            for number in 0..TOKENS_EACH {
                let header = json!({ "alg": kind.name(), "kid": format!("{caller}-{number}") });
                let token = format!("{}.c2lnbmF0dXJl", unsigned(&header.to_string(), &claims));
                let_in += u64::from(status_of(&token).await? != 401);
            }
            Ok(let_in)
        });
        for let_in in join_all(flood).await {
            accepted += let_in?;
        }
        unknown_keys += (CALLERS * TOKENS_EACH) as u64;
        good_refused += u64::from(status_of(&good).await? != 200);
        most_looks = most_looks.max(issuer.looks());
        longest = longest.max(watch.elapsed());
        service.stop().await?;
    }
    outcome.none("accepted", accepted);
    outcome.none("good tokens refused", good_refused);
    // Without keys nobody gets in, so that the look at start is not one of those callers cause.
    let begun = 1 + longest.as_secs() / BETWEEN_LOOKS.as_secs();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    outcome.at_most(
        "looks at the issuer's keys, one at start and one in 5 min",
        most_looks as f64,
        (1 + begun) as f64,
        "",
    );
    outcome.happened("attacks", sent);
    outcome.happened("tokens with unknown keys", unknown_keys);
    Ok(outcome)
}
