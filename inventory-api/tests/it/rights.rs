//! What callers who are bound to tenants and channels are told.

use crate::rig::{Rig, told};
use serde_json::{Value, json};
use shared::http::auth::hash_password;
use shared::settings::Secret;

const PASSWORD: &str = "a long enough password";

/// Two tenants with a channel each; `us` is bound to the first, `plain` to its channel, `free` to none.
fn settings() -> String {
    let hash = hash_password(&Secret::new(PASSWORD)).unwrap();
    let caller = |name: &str, bound: &str| {
        format!(
            "[[api.auth.basic]]\nname = '{name}'\npassword_hash = '{hash}'\n\
             roles = ['browse', 'order', 'operate']\n{bound}\n"
        )
    };
    let tenant = |id: &str, company: &str, warehouse: &str| {
        format!(
            "[[tenants]]\nid = '{id}'\nenvironment_url = 'http://127.0.0.1:1'\n\
             legal_entity = '{company}'\nwarehouses = ['{warehouse}']\n\
             [tenants.entra]\ntenant_id = 't'\nclient_id = 'c'\nclient_secret = 's'\n\
             [[channels]]\nid = '{id}-shop'\ntenant = '{id}'\n"
        )
    };
    [
        "[api]\nworkers = 1\n".to_owned(),
        caller("us", "tenants = ['us']"),
        caller("plain", "channels = ['us-shop']"),
        caller("free", ""),
        tenant("us", "usmf", "11"),
        tenant("emea", "demf", "24"),
    ]
    .concat()
}

/// What is empty is left out.
fn question(organization: &str, channel: &str, warehouse: &str) -> Value {
    let products = json!([{ "sku": "A", "quantity": 1 }]);
    let mut question = json!({ "warehouseId": warehouse, "products": products });
    for (field, word) in [("organization", organization), ("channel", channel)] {
        if !word.is_empty() {
            question[field] = json!(word);
        }
    }
    question
}

#[tokio::test]
async fn a_foreign_name_and_an_invented_one_are_refused_word_for_word_alike() {
    let rig = Rig::start_as(&settings()).await;
    let ask = async |name: &str, path: &str, body: Option<&Value>| {
        let request = match body {
            Some(body) => rig.post(path, body),
            None => rig.get(path),
        };
        let request = request.basic_auth(name, Some(PASSWORD));
        told(request.send().await.unwrap()).await
    };
    let stock = "/inventory/v1/inventories";
    rig.eventually("Redis was asked who is known", async || {
        ask("free", stock, Some(&question("x", "", "11"))).await.0 == 404
    })
    .await;
    for path in [
        stock,
        "/inventory/v1/availability-checks",
        "/inventory/v1/reservations",
        "/inventory/v1/rejections",
    ] {
        for (name, organizations, channels, warehouse) in [
            ("us", ["emea", "x"], ["", ""], "24"),
            ("us", ["demf", "xxmf"], ["", ""], "99"),
            ("us", ["", ""], ["emea-shop", "x"], "24"),
            ("us", ["us", "us"], ["emea-shop", "x"], "11"),
            ("plain", ["us", "us"], ["emea-shop", "x"], "11"),
            ("plain", ["emea", "x"], ["us-shop", "us-shop"], "24"),
        ] {
            let [foreign, invented] =
                [0, 1].map(|of| question(organizations[of], channels[of], warehouse));
            let refused = ask(name, path, Some(&foreign)).await;
            assert_eq!(refused.0, 403, "{path} {foreign} {}", refused.1);
            let same = ask(name, path, Some(&invented)).await;
            assert_eq!(refused, same, "{path} {foreign}");
        }
        // Who is bound to nothing is told what is wrong.
        for (body, expected) in [
            (question("x", "", "11"), 404),
            (question("us", "", "24"), 404),
            (question("", "x", "11"), 404),
            (question("us", "emea-shop", "11"), 422),
        ] {
            let (status, _) = ask("free", path, Some(&body)).await;
            assert_eq!(status, expected, "{path} {body}");
        }
    }
    for path in [
        "/inventory/v1/inventories?sku=A&warehouseId=24&organization=",
        "/inventory/v1/orders/O-1?organization=",
        "/inventory/v1/drift?warehouseId=24&organization=",
    ] {
        let refused = ask("us", &format!("{path}emea"), None).await;
        assert_eq!(refused.0, 403, "{path} {}", refused.1);
        let same = ask("us", &format!("{path}x"), None).await;
        assert_eq!(refused, same, "{path}");
    }
}
