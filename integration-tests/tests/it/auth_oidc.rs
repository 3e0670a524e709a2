//! Real tokens of an `OpenID` Connect server somebody else wrote.

use crate::auth::{Guarded, outcome};
use integration_tests::free_port::free_port;
use integration_tests::oidc_server::OidcServer;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_third_partys_server_are_taken_also_after_it_has_changed_its_keys() {
    let port = free_port().unwrap();
    let server = OidcServer::start(port, &["browse"]).await.unwrap();
    let callers = format!(
        "[api.auth.jwt]\nissuer = \"{}\"\naudience = \"inventory\"\nalgorithm = \"RS256\"\njwks_url = \"{}\"\n",
        server.issuer(),
        server.jwks_url().await.unwrap()
    );
    let bed = Guarded::api(&callers).await;
    let question = json!({ "organization": "contoso", "warehouseId": "nowhere", "skus": ["1000"] });
    let ask =
        |path: &'static str, token: String| outcome(bed.post(path, &question).bearer_auth(token));
    let (stock, checks) = (
        "/inventory/v1/inventories",
        "/inventory/v1/availability-checks",
    );
    let first = server.token_for("inventory").await.unwrap();
    assert_eq!(
        ask(stock, first.clone()).await.0,
        404,
        "let in: the warehouse is not known"
    );
    assert_eq!(
        ask(checks, first.clone()).await.0,
        403,
        "the role order is missing"
    );
    let for_others = server.token_for("somebody-else").await.unwrap();
    assert_eq!(ask(stock, for_others).await.0, 401, "another audience");
    // Its keys live as long as its process.
    drop(server);
    let server = OidcServer::start(port, &["browse"]).await.unwrap();
    let second = server.token_for("inventory").await.unwrap();
    assert_eq!(
        ask(stock, second.clone()).await.0,
        404,
        "the new key is found by its first use"
    );
    assert_eq!(ask(stock, first).await.0, 401, "the old key is gone");
    let (signed, signature) = second.rsplit_once('.').unwrap();
    let cut = format!("{signed}.{}", &signature[4..]);
    assert_eq!(ask(stock, cut).await.0, 401);
    bed.stop(&[]).await;
}
