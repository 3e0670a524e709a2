//! What every reply has, and what the service tells about itself.

use crate::rig::{Rig, code, fast, told};
use serde_json::{Value, json};
use shared::redis_store::PublishedTenant;
use shared::settings::{Layers, TenantSettings};
use shared::stock::{LegalEntity, TenantId};
use std::io::{Read, Write};
use std::time::Duration;

#[tokio::test]
async fn ids_are_echoed_on_good_and_bad_replies() {
    let rig = Rig::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for body in [fast("11", &["A"]), json!([])] {
        let reply = rig
            .post("/inventory/v1/inventories", &body)
            .header("x-request-id", "abc-1")
            .header("traceparent", trace)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.headers()["x-request-id"], "abc-1");
        assert_eq!(reply.headers()["traceparent"], trace);
    }
}

#[tokio::test]
async fn large_replies_are_compressed_for_those_who_take_it() {
    let rig = Rig::start().await;
    let lines: Vec<String> = (0..40).map(|n| format!("SKU{n}")).collect();
    let names: Vec<&str> = lines.iter().map(String::as_str).collect();
    let stock: Vec<(&str, &str, &str)> = names.iter().map(|name| (*name, "11", "5")).collect();
    rig.snapshot(rig.ago(Duration::from_mins(1)), &["11"], &stock)
        .await;
    let ask = async |names: &[&str], accept: &str| {
        let request = rig.post("/inventory/v1/inventories", &fast("11", names));
        let reply = request
            .header("accept-encoding", accept)
            .send()
            .await
            .unwrap();
        assert_eq!(reply.headers()["vary"], "accept-encoding");
        let encoding = reply.headers().get("content-encoding").cloned();
        (encoding, reply.bytes().await.unwrap())
    };
    let (encoding, compressed) = ask(&names, "gzip").await;
    assert_eq!(encoding.unwrap(), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&compressed[..])
        .read_to_string(&mut text)
        .unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["data"].as_array().unwrap().len(), 40);
    assert_eq!(ask(&names, "br").await.0, None);
    assert_eq!(ask(&names[..1], "gzip").await.0, None);
}

#[tokio::test]
async fn the_document_has_a_page_that_needs_no_network() {
    let rig = Rig::start().await;
    let (status, document) = told(rig.get("/inventory/api").send().await.unwrap()).await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let page = rig
        .get("/inventory/api")
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    let files: Vec<&str> = page
        .split(['"', '\''])
        .filter_map(|piece| piece.strip_prefix("./"))
        .collect();
    assert!(files.len() > 3, "{page}");
    for file in files {
        let reply = rig
            .get(&format!("/inventory/api/page/{file}"))
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status(), 200, "{file}");
        assert!(!reply.bytes().await.unwrap().is_empty());
    }
    let missing = rig
        .get("/inventory/api/page/nothing.js")
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
}

const OPEN: &str = "[api]\nworkers = 1\nauth.insecure_no_authentication = true\n";
const SIGN_IN: &str = "[api.live.entra]\ntenant_id = 't'\nclient_id = 'c'\nclient_secret = 's'\n";

#[tokio::test]
async fn a_published_tenant_is_answered_without_a_section_of_its_own() {
    let environments = "[api.live]\nenvironments = ['https://contoso.example']";
    // Without a sign-in it is browsed only.
    for (settings, exact_status) in [
        (format!("{OPEN}{SIGN_IN}{environments}"), 200),
        (OPEN.to_owned(), 503),
    ] {
        let rig = Rig::start_as(&settings).await;
        let mut question = json!({"organization": "USMF", "warehouseId": "11", "skus": ["A"]});
        assert_eq!(rig.stock(question.clone()).await.0, 404);
        let published = PublishedTenant::of(&tenant("https://contoso.example"));
        rig.store.publish(&published).await.unwrap();
        let read = rig.ago(Duration::from_mins(1));
        rig.snapshot(read, &["11"], &[("A", "11", "5")]).await;
        rig.eventually("the tenant is taken up", async || {
            rig.stock(question.clone()).await.0 == 200
        })
        .await;
        rig.erp_has(&[("A", "11", "8")]);
        question["severity"] = json!("EXACT");
        let (status, body) = rig.stock(question).await;
        assert_eq!(status, exact_status, "{body}");
        match status {
            200 => assert_eq!(body["data"][0]["availableStock"], 8),
            _ => assert_eq!(code(&body), "inventory.backend.unavailable.error"),
        }
    }
}

/// Who can write to Redis gets no token by it.
#[tokio::test]
async fn a_published_environment_gets_a_token_only_if_the_settings_name_it() {
    let rig = Rig::start_as(&format!("{OPEN}{SIGN_IN}")).await;
    for (id, url) in [
        ("loopback", "http://127.0.0.1:1"),
        ("elsewhere", "https://contoso.example"),
        ("no-domain", "https://operations.dynamics.com.example"),
        ("not-below", "https://dynamics.com"),
        ("own", "https://contoso.operations.dynamics.com"),
    ] {
        let mut published = tenant(url);
        published.id = TenantId::parse(id).unwrap();
        published.legal_entity = LegalEntity::parse(&id[..2]).unwrap();
        let published = PublishedTenant::of(&published);
        rig.store.publish(&published).await.unwrap();
    }
    rig.eventually("all are taken up", async || {
        let ready = rig.ready().await;
        let tenants = ready["tenants"].as_array().unwrap();
        let live = tenants.iter().filter(|tenant| tenant["live"] == true);
        let live: Vec<&str> = live.map(|tenant| tenant["id"].as_str().unwrap()).collect();
        tenants.len() == 5 && live == ["own"]
    })
    .await;
}

fn tenant(url: &str) -> TenantSettings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "[[tenants]]\nid = 'contoso'\nenvironment_url = '{url}'\nlegal_entity = 'usmf'\n\
         warehouses = ['11', '24']\n[tenants.entra]\ntenant_id = 't'\nclient_id = 'c'\nclient_secret = 's'"
    )
    .unwrap();
    let settings = Layers::default().file(Some(file.path())).load().unwrap();
    settings.tenants.into_iter().next().unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let rig = Rig::start().await;
    rig.stock(json!({"skus": []})).await;
    rig.get("/somewhere/else").send().await.unwrap();
    let metrics = rig.metrics().await;
    for series in [
        "inventory_api_requests_total{route=\"/inventory/v1/inventories\",status=\"422\"}",
        "inventory_api_requests_total{route=\"other\",status=\"404\"}",
        "inventory_api_request_seconds_bucket",
    ] {
        assert!(metrics.contains(series), "{series} is not in\n{metrics}");
    }
}
