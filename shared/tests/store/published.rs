//! What a worker publishes about its tenants and itself.

use super::bench::{Bench, TENANT};
use shared::process::clock::Clock as _;
use shared::redis_store::{PublishedTenant, WorkerHeartbeat};
use shared::settings::{Layers, TenantSettings};
use std::io::Write as _;
use std::time::Duration;

fn tenant() -> TenantSettings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = r#"
[[tenants]]
id = "contoso"
environment_url = "https://contoso.operations.dynamics.com"
legal_entity = "usmf"
warehouses = ["11", "2,4"]
refresh_interval = "90s"
sku_mapping = "{ItemNumber}-{ProductColorId}"
calls_at_once = 8
fields = { ordered = "MyOrdered" }
[tenants.entra]
tenant_id = "directory"
client_id = "app"
client_secret = "c4n4ry"
"#;
    file.write_all(text.as_bytes()).unwrap();
    let settings = Layers::default().file(Some(file.path())).load();
    settings.unwrap().tenants.remove(0)
}

#[tokio::test]
async fn what_is_published_comes_back_as_settings_without_a_secret() {
    let (bench, tenant) = (Bench::start().await, tenant());
    let published = PublishedTenant::of(&tenant);
    bench.store.publish(&published).await.unwrap();
    let published = bench.store.published_tenants().await.unwrap();
    assert_eq!(published.len(), 1);
    assert!(!format!("{published:?}").contains("c4n4ry"));
    let back = published[0].with_sign_in(&tenant.entra).unwrap();
    assert_eq!(back.warehouses, tenant.warehouses);
    assert_eq!(back.refresh_interval, Duration::from_secs(90));
    assert_eq!(back.fields.ordered, "MyOrdered");
    assert_eq!(back.sku_mapping, tenant.sku_mapping);
    assert_eq!(back.calls_at_once, 8);
    assert_eq!(back.environment_url, tenant.environment_url);
}

/// Anybody may have written them: foreign fields count for nothing, and a record that cannot be read
/// hides no other.
#[tokio::test]
async fn of_what_is_published_only_what_a_worker_publishes_is_read() {
    let (bench, tenant) = (Bench::start().await, tenant());
    let published = PublishedTenant::of(&tenant);
    bench.store.publish(&published).await.unwrap();
    for (field, value) in [
        ("ca_file", "/dev/zero"),
        ("paging", "next-link"),
        ("entra", "{\"authority\":\"http://127.0.0.1:1\"}"),
        ("proxy", "http://127.0.0.1:1"),
    ] {
        let _: i64 = bench
            .ask(&["HSET", "inv:contoso:config", field, value])
            .await;
    }
    let members = ["a-string", "long", "nothing", "no id: too \u{1b} strange"];
    let members = [&["SADD", "inv:tenants"], &members[..]].concat();
    let _: i64 = bench.ask(&members).await;
    let _: String = bench.ask(&["SET", "inv:a-string:config", "no hash"]).await;
    let long = "9".repeat(1_000_000);
    let _: i64 = bench
        .ask(&["HSET", "inv:long:config", "warehouses", &long])
        .await;
    let before = bench.sent_by_redis().await;
    let published = bench.store.published_tenants().await.unwrap();
    assert!(
        bench.sent_by_redis().await - before < 100_000,
        "not even sent"
    );
    let ids: Vec<_> = published.iter().map(|tenant| tenant.id.as_str()).collect();
    assert_eq!(ids, ["contoso"]);
    let back = published[0].with_sign_in(&tenant.entra).unwrap();
    assert_eq!((&back.ca_file, back.paging), (&None, tenant.paging));
    assert_eq!(back.entra.authority, tenant.entra.authority);
}

#[tokio::test]
async fn workers_come_and_go() {
    let bench = Bench::start().await;
    let worker = WorkerHeartbeat {
        id: "w1".to_owned(),
        version: "0.1.0".to_owned(),
        host: "host".to_owned(),
        started: "2026-11-23T04:53:56.123Z".to_owned(),
        settings: vec![(TENANT.clone(), "00000000000000aa".parse().unwrap())],
        shards: vec!["contoso/24".to_owned()],
        rows_per_second: 9_000,
    };
    let store = &bench.store;
    store.beat(&worker, store.clock().now()).await.unwrap();
    let _: i64 = bench.ask(&["ZADD", "inv:workers", "9e15", "string"]).await;
    let _: String = bench.ask(&["SET", "inv:worker:string", "no hash"]).await;
    assert_eq!(
        store.workers().await.unwrap(),
        std::slice::from_ref(&worker)
    );

    let _: i64 = bench.ask(&["ZADD", "inv:workers", "9e15", "large"]).await;
    let host = "h".repeat(1_000_000);
    let _: i64 = bench
        .ask(&["HSET", "inv:worker:large", "version", "1", "host", &host])
        .await;
    let before = bench.sent_by_redis().await;
    let known = store.workers().await.unwrap();
    assert!(
        bench.sent_by_redis().await - before < 100_000,
        "not even sent"
    );
    let large = known.iter().find(|worker| worker.id == "large").unwrap();
    assert_eq!((large.version.as_str(), large.host.as_str()), ("1", ""));
    for id in ["w1", "large"] {
        store.leave(id).await.unwrap();
    }
    assert_eq!(store.workers().await.unwrap(), []);
}

impl Bench {
    /// Bytes that Redis has sent to anybody.
    async fn sent_by_redis(&self) -> u64 {
        let info: String = self.ask(&["INFO", "stats"]).await;
        let bytes = |line: &str| line.strip_prefix("total_net_output_bytes:")?.parse().ok();
        info.lines().find_map(bytes).unwrap()
    }
}
