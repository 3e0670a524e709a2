//! Both services do all their work through TLS as the users of `deploy/redis/users.acl`, and those
//! users can do nothing else.

use d365_simulator::{StockChange, StockKey};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::eventually::eventually;
use integration_tests::guarded_redis::{GuardedRedis, shipped_users};
use redis::Value;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use std::path::Path;
use std::process::Command;

fn password_of(user: &str) -> String {
    format!("password-of-{user}")
}

/// How a program signs in, as variables of its environment.
fn login(user: &str, password: &str, ca_file: &Path) -> [(&'static str, String); 4] {
    [
        // A handshake of an unoptimised build takes its time.
        ("CONNECTOR__REDIS__CONNECT_TIMEOUT", "5s".to_owned()),
        ("CONNECTOR__REDIS__USERNAME", user.to_owned()),
        ("CONNECTOR__REDIS__PASSWORD", password.to_owned()),
        ("CONNECTOR__REDIS__CA_FILE", ca_file.display().to_string()),
    ]
}

fn launch(program: Program, config: &ConfigFile, redis: &GuardedRedis) -> Launch {
    let user = program.name();
    let mut launch = Launch::new(program, config.path()).unwrap();
    for (name, value) in login(user, &password_of(user), redis.ca_file()) {
        launch = launch.with_env(name, &value);
    }
    launch
}

async fn refusals(admin: &mut MultiplexedConnection) -> Vec<String> {
    let log: Vec<Value> = redis::cmd("ACL")
        .arg("LOG")
        .query_async(admin)
        .await
        .unwrap();
    log.iter().map(|entry| format!("{entry:?}")).collect()
}

async fn ask_until_present(api: &ApiClient, sku: &str) {
    eventually("the snapshot shows in the API", async || {
        let reply = api.fast("24", &[sku]).await.ok()?;
        (reply.line(sku)?["state"] == "PRESENT").then_some(())
    })
    .await
    .unwrap();
}

fn run_tool(config: &ConfigFile, redis: &GuardedRedis, arguments: &[&str]) {
    let mut command = Command::new(Program::PrefetchWorker.path().unwrap());
    command.args(arguments).arg("--config").arg(config.path());
    let user = Program::PrefetchWorker.name();
    for (name, value) in login(user, &password_of(user), redis.ca_file()) {
        command.env(name, value);
    }
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{arguments:?}: {said}{complained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_work_as_their_redis_users_over_tls() {
    let redis = GuardedRedis::start(password_of).await.unwrap();
    let d365 = d365_simulator::start(crate::house::world(50)).unwrap();
    let item = StockKey::of("usmf", "TLS-1", "24");
    d365.simulator()
        .put_stock(&item, &StockChange::on_hand("40"))
        .unwrap();
    let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), vec!["24".to_owned()]);
    config.refresh_interval = "2s".to_owned();
    let config = config.write().unwrap();

    let mut worker: Service = launch(Program::PrefetchWorker, &config, &redis)
        .start()
        .await
        .unwrap();
    let mut api_service = launch(Program::InventoryApi, &config, &redis)
        .start()
        .await
        .unwrap();
    let api = ApiClient::new(&api_service.url()).unwrap();
    ask_until_present(&api, "TLS-1").await;

    d365.simulator()
        .put_stock(&item, &StockChange::on_hand("7"))
        .unwrap();
    let live = api.exact("24", &["TLS-1"]).await.unwrap();
    let told = live.line("TLS-1").unwrap();
    assert_eq!(
        (&told["availableStock"], &told["source"]),
        (&7.into(), &"LIVE".into()),
        "{}",
        live.text
    );
    let check = api
        .availability_check("24", &[("TLS-1", 3.into())])
        .await
        .unwrap();
    assert_eq!(check.json["orderable"], true, "{}", check.text);
    let order = json!({ "warehouseId": "24", "orderId": "O-1", "commit": true,
                        "products": [{ "sku": "TLS-1", "quantity": 3 }] });
    let held = api.post("/inventory/v1/availability-checks", &order).await;
    let held = held.unwrap();
    assert_eq!(held.json["order"]["hold"], "held", "{}", held.text);
    let confirmed = api
        .post("/inventory/v1/orders/O-1/confirmed", &json!({}))
        .await
        .unwrap();
    assert_eq!(confirmed.json["state"], "confirmed", "{}", confirmed.text);
    let cart = json!({ "warehouseId": "24", "ttlSeconds": 1,
                       "products": [{ "sku": "TLS-1", "quantity": 1 }] });
    let reserved = api.post("/inventory/v1/reservations", &cart).await.unwrap();
    assert_eq!(reserved.status, 201, "{}", reserved.text);
    let rejected = api.post("/inventory/v1/rejections", &cart).await.unwrap();
    assert_eq!(rejected.json["data"][0]["released"], 1, "{}", rejected.text);
    let drift = api.fetch("/inventory/v1/drift").await.unwrap();
    assert_eq!(drift.status, 200, "{}", drift.text);

    let prefetch = ApiClient::new(&worker.url()).unwrap();
    for asked in [json!({ "skus": ["TLS-1"] }), json!({ "warehouseId": "24" })] {
        let refresh = prefetch
            .post("/inventoryPrefetcher/v1/refreshes", &asked)
            .await
            .unwrap();
        assert!(refresh.status.is_success(), "{}", refresh.text);
    }
    let status = prefetch
        .fetch("/inventoryPrefetcher/v1/status")
        .await
        .unwrap();
    assert_eq!(status.status, 200, "{}", status.text);
    // Another cycle after everything above.
    let mut admin = redis.admin().await.unwrap();
    let generation = async |admin: &mut MultiplexedConnection| -> u64 {
        redis::cmd("HGET")
            .arg("inv:contoso:snapshot:24")
            .arg("sealed")
            .query_async(admin)
            .await
            .unwrap_or_default()
    };
    let before = generation(&mut admin).await;
    eventually("two more cycles", async || {
        let mut admin = redis.admin().await.ok()?;
        (generation(&mut admin).await >= before + 2).then_some(())
    })
    .await
    .unwrap();
    run_tool(&config, &redis, &["explain", "TLS-1"]);
    run_tool(&config, &redis, &["check"]);

    assert_eq!(refusals(&mut admin).await, Vec::<String>::new());
    for service in [&mut worker, &mut api_service] {
        service.stop().await.unwrap();
        service.assert_log_clean(&[]).unwrap();
    }
    assert_eq!(refusals(&mut admin).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_redis_user_can_do_its_own_work_only() {
    let redis = GuardedRedis::start(password_of).await.unwrap();
    let forbidden_to_all: [&[&str]; 12] = [
        &["FLUSHALL"],
        &["FLUSHDB"],
        &["CONFIG", "GET", "*"],
        &["CONFIG", "SET", "maxmemory", "1"],
        &["KEYS", "*"],
        &["ACL", "LIST"],
        &["SHUTDOWN", "NOSAVE"],
        &["REPLICAOF", "NO", "ONE"],
        &["MONITOR"],
        &["EVAL", "return 1", "0"],
        &["GET", "other:key"],
        &["SET", "other:key", "1"],
    ];
    let forbidden = |user: &str| -> Vec<&'static [&'static str]> {
        match user {
            "inventory-api" => vec![
                &["SADD", "inv:tenants", "evil"],
                &["HSET", "inv:contoso:config", "environment_url", "evil"],
                &["HSET", "inv:contoso:snapshot:24", "watermark", "evil"],
                &["DEL", "inv:contoso:stock:A"],
                &["HDEL", "inv:contoso:stock:A", "24"],
                &["DEL", "inv:contoso:order:1"],
                &["HGETALL", "inv:contoso:cycle:24"],
                &["ZADD", "inv:contoso:due", "1", "24"],
                &["INFO"],
            ],
            "prefetch-worker" => vec![
                &["HGET", "inv:contoso:held", "A"],
                &["HGETALL", "inv:contoso:order:1"],
                &["ZADD", "inv:contoso:asked", "1", "A"],
                &["GET", "inv:contoso:live:A"],
            ],
            _ => vec![
                &["SET", "inv:event:1", "1"],
                &["DEL", "inv:contoso:stock:A"],
                &["HSET", "inv:contoso:stock:A", "24", "1"],
                &["EVALSHA", "0", "0"],
            ],
        }
    };
    let allowed: [(&str, &[&str]); 3] = [
        ("inventory-api", &["HGETALL", "inv:contoso:stock:A"]),
        ("prefetch-worker", &["HGETALL", "inv:contoso:cycle:24"]),
        ("operator", &["HGETALL", "inv:contoso:cycle:24"]),
    ];
    for (user, own_work) in allowed {
        let mut connection = redis.connection_as(user, &password_of(user)).await.unwrap();
        run(&mut connection, own_work).await.unwrap();
        for words in forbidden_to_all.into_iter().chain(forbidden(user)) {
            let refused = run(&mut connection, words).await.unwrap_err();
            assert_eq!(
                refused.code(),
                Some("NOPERM"),
                "{user} {words:?}: {refused}"
            );
        }
        assert!(redis.connection_as(user, "wrong").await.is_err());
    }
    assert!(redis.connection_as("default", "").await.is_err());

    // A script that does not end: who is on duty may end it.
    let mut admin = redis.admin().await.unwrap();
    run(&mut admin, &["CONFIG", "SET", "busy-reply-threshold", "50"])
        .await
        .unwrap();
    let mut operator = redis
        .connection_as("operator", &password_of("operator"))
        .await
        .unwrap();
    let stopped = eventually("it is stopped", async || {
        run(&mut operator.clone(), &["SCRIPT", "KILL"]).await.ok()
    });
    let runaway = run(&mut admin, &["EVAL", "while true do end", "0"]);
    let (ended, stopped) = futures_util::join!(runaway, stopped);
    stopped.unwrap();
    assert!(ended.is_err());
    run(&mut operator, &["PING"]).await.unwrap();
}

async fn run(connection: &mut MultiplexedConnection, words: &[&str]) -> redis::RedisResult<Value> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(connection).await
}

#[test]
fn nobody_can_log_in_with_the_file_as_it_is_shipped() {
    let shipped = shipped_users().unwrap();
    for line in shipped.lines() {
        assert!(line.starts_with("user "), "{line}");
        assert!(!line.contains("nopass"), "{line}");
        assert!(!line.contains('>') && !line.contains('#'), "{line}");
    }
}
