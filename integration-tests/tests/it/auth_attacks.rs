//! Tokens that must not get in, against the running API.

use crate::auth::{Guarded, told};
use integration_tests::token_attacks::attacks;
use integration_tests::token_issuer::{KeyServer, Kind, SigningKey, good_claims, section};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::json;

const LIMITS: &str = "/inventory/v1/limits";

async fn status_of(house: &Guarded, token: &str) -> u16 {
    let shown = HeaderValue::from_bytes(format!("Bearer {token}").as_bytes()).unwrap();
    told(house.get(LIMITS).header(AUTHORIZATION, shown)).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn no_attack_gets_in_and_the_good_token_does_before_and_after() {
    for kind in [Kind::Rs256, Kind::Es256] {
        let other_kind = match kind {
            Kind::Rs256 => Kind::Es256,
            Kind::Es256 => Kind::Rs256,
        };
        let right = SigningKey::new(kind, "key-one").unwrap();
        let second = SigningKey::new(kind, "key-two").unwrap();
        let other = SigningKey::new(other_kind, "key-three").unwrap();
        let issuer = KeyServer::start(&[&right, &second, &other]).await.unwrap();
        let mut house = Guarded::api(&section(kind, &issuer.url(), "")).await;
        let good = right.token(&good_claims()).unwrap();
        assert_eq!(status_of(&house, &good).await, 200);
        let second = second.token(&good_claims()).unwrap();
        assert_eq!(status_of(&house, &second).await, 200);
        let attacks = attacks(kind, &right, &other).unwrap();
        assert!(attacks.len() >= 350, "{}", attacks.len());
        for attack in &attacks {
            let status = status_of(&house, &attack.token).await;
            assert_eq!(status, 401, "{} {}", kind.name(), attack.name);
        }
        assert_eq!(status_of(&house, &good).await, 200);
        // One at the start, one for all key ids that are not known.
        assert_eq!(issuer.looks(), 2);
        println!(
            "{}: {} attacks refused, 0 accepted",
            kind.name(),
            attacks.len()
        );
        let logs = house.logs();
        let long = attacks.iter().filter(|attack| attack.token.len() > 40);
        assert!(long.clone().count() > 300);
        for attack in long {
            assert!(
                !logs.contains(&attack.token),
                "{} is in the log",
                attack.name
            );
        }
        assert!(!logs.contains(&good));
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_keys_has_the_issuer_asked_once() {
    let right = SigningKey::new(Kind::Es256, "right").unwrap();
    let issuer = KeyServer::start(&[&right]).await.unwrap();
    let house = Guarded::api(&section(Kind::Es256, &issuer.url(), "")).await;
    let stranger = SigningKey::new(Kind::Es256, "stranger").unwrap();
    let claims = good_claims().to_string();
    let house = std::sync::Arc::new(house);
    let callers = (0..20_u32).map(|caller| {
        let tokens: Vec<String> = (0..500)
            .map(|number| {
                let header = json!({ "alg": "ES256", "kid": format!("{caller}-{number}") });
                stranger.token_of(&header.to_string(), &claims).unwrap()
            })
            .collect();
        let house = std::sync::Arc::clone(&house);
        async move {
            for token in tokens {
                assert_eq!(status_of(&house, &token).await, 401);
            }
        }
    });
    let mut flood = tokio::task::JoinSet::new();
    for caller in callers {
        flood.spawn(caller);
    }
    flood.join_all().await;
    assert_eq!(
        issuer.looks(),
        2,
        "one at the start, one for 10,000 unknown keys"
    );
    let good = right.token(&good_claims()).unwrap();
    assert_eq!(status_of(&house, &good).await, 200);
    std::sync::Arc::into_inner(house).unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_taken_up_and_a_removed_one_ends_what_was_remembered() {
    let old = SigningKey::new(Kind::Rs256, "old").unwrap();
    let new = SigningKey::new(Kind::Rs256, "new").unwrap();
    let issuer = KeyServer::start(&[&old]).await.unwrap();
    let house = Guarded::api(&section(Kind::Rs256, &issuer.url(), "")).await;
    let by_old = old.token(&good_claims()).unwrap();
    let by_new = new.token(&good_claims()).unwrap();
    assert_eq!(status_of(&house, &by_old).await, 200);
    issuer.publish(&[&new]);
    assert_eq!(
        status_of(&house, &by_old).await,
        200,
        "nobody has looked yet"
    );
    assert_eq!(
        status_of(&house, &by_new).await,
        200,
        "the first use of a new key finds it"
    );
    assert_eq!(
        status_of(&house, &by_old).await,
        401,
        "its key is withdrawn"
    );
    assert_eq!(status_of(&house, &by_new).await, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_tokens_cannot_be_verified_and_with_old_ones_they_can() {
    let key = SigningKey::new(Kind::Es256, "one").unwrap();
    let issuer = KeyServer::start(&[&key]).await.unwrap();
    issuer.publish_text("<html>");
    let house = Guarded::api(&section(Kind::Es256, &issuer.url(), "")).await;
    let good = key.token(&good_claims()).unwrap();
    let shown = house.get(LIMITS).bearer_auth(&good).send().await.unwrap();
    assert_eq!(shown.status(), 503);
    assert!(shown.headers().contains_key("retry-after"));
    house.stop().await;

    issuer.publish(&[&key]);
    let house = Guarded::api(&section(Kind::Es256, &issuer.url(), "")).await;
    drop(issuer);
    assert_eq!(
        status_of(&house, &good).await,
        200,
        "the keys are known already"
    );
    let stranger = SigningKey::new(Kind::Es256, "two").unwrap();
    let unknown = stranger.token(&good_claims()).unwrap();
    assert_eq!(status_of(&house, &unknown).await, 401);
    assert_eq!(status_of(&house, &good).await, 200);
    house.stop().await;
}
