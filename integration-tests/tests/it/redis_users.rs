//! Both services do all their work through TLS as the users of `deploy/redis/users.acl`, and those
//! users can do nothing else.

use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program};
use integration_tests::eventually::eventually;
use integration_tests::guarded_redis::{GuardedRedis, shipped_users};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::test_bed::{Failure, TestBed, world};
use redis::Value;
use redis::aio::MultiplexedConnection;
use serde_json::json;
use std::process::Command;

fn password_of(user: &str) -> String {
    format!("password-of-{user}")
}

/// How a program signs in, as variables of its environment.
fn login(program: Program, redis: &GuardedRedis) -> [(&'static str, String); 3] {
    let user = program.name();
    [
        ("CONNECTOR__REDIS__USERNAME", user.to_owned()),
        ("CONNECTOR__REDIS__PASSWORD", password_of(user)),
        (
            "CONNECTOR__REDIS__CA_FILE",
            redis.ca_file().display().to_string(),
        ),
    ]
}

fn launch(bed: &TestBed, program: Program, redis: &GuardedRedis) -> Result<Launch, Failure> {
    let mut launch = bed.launch(program)?;
    for (name, value) in login(program, redis) {
        launch = launch.with_env(name, &value);
    }
    Ok(launch)
}

fn run_tool(bed: &TestBed, redis: &GuardedRedis, arguments: &[&str]) -> Result<(), Failure> {
    let program = Program::PrefetchWorker;
    let mut command = Command::new(program.path()?);
    command
        .args(arguments)
        .arg("--config")
        .arg(bed.config_path());
    let ended = command.envs(login(program, redis)).output()?;
    assert!(ended.status.success(), "{arguments:?}: {ended:?}");
    Ok(())
}

async fn run<T: redis::FromRedisValue>(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> redis::RedisResult<T> {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(connection).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_services_work_as_their_redis_users_over_tls() -> Result<(), Failure> {
    let redis = GuardedRedis::start(password_of).await?;
    // The services use the guarded Redis, the one beside it stays empty.
    let beside = RedisFixture::start_process().await?;
    let bed = TestBed::on(beside, world(50), &["24"], |config| {
        config.redis_url = redis.url();
        "2s".clone_into(&mut config.refresh_interval);
    })?;
    bed.put("TLS-1", "24", "40")?;
    let mut worker = launch(&bed, Program::PrefetchWorker, &redis)?
        .start()
        .await?;
    let mut service = launch(&bed, Program::InventoryApi, &redis)?.start().await?;
    let api = ApiClient::new(&service.url())?;
    eventually("the snapshot shows in the API", async || {
        let reply = api.fast("24", &["TLS-1"]).await.ok()?;
        (reply.json["data"][0]["state"] == "PRESENT").then_some(())
    })
    .await?;

    bed.put("TLS-1", "24", "7")?;
    let live = api.exact("24", &["TLS-1"]).await?;
    let shown = &live.json["data"][0];
    let said = (&shown["availableStock"], &shown["source"]);
    assert_eq!(said, (&7.into(), &"LIVE".into()), "{}", live.text);
    let order = json!({ "warehouseId": "24", "orderId": "O-1", "commit": true,
                        "products": [{ "sku": "TLS-1", "quantity": 3 }] });
    let held = api
        .post("/inventory/v1/availability-checks", &order)
        .await?;
    assert_eq!(held.json["order"]["hold"], "held", "{}", held.text);
    let path = "/inventory/v1/orders/O-1/confirmed";
    let confirmed = api.post(path, &json!({})).await?;
    assert_eq!(confirmed.json["state"], "confirmed", "{}", confirmed.text);
    let cart = json!({ "warehouseId": "24", "ttlSeconds": 1,
                       "products": [{ "sku": "TLS-1", "quantity": 1 }] });
    let reserved = api.post("/inventory/v1/reservations", &cart).await?;
    assert_eq!(reserved.status, 201, "{}", reserved.text);
    let rejected = api.post("/inventory/v1/rejections", &cart).await?;
    assert_eq!(rejected.json["data"][0]["released"], 1, "{}", rejected.text);
    let drift = api.fetch("/inventory/v1/drift").await?;
    assert_eq!(drift.status, 200, "{}", drift.text);

    let prefetcher = ApiClient::new(&worker.url())?;
    for wanted in [json!({ "skus": ["TLS-1"] }), json!({ "warehouseId": "24" })] {
        let path = "/inventoryPrefetcher/v1/refreshes";
        let refresh = prefetcher.post(path, &wanted).await?;
        assert!(refresh.status.is_success(), "{}", refresh.text);
    }
    let status = prefetcher.fetch("/inventoryPrefetcher/v1/status").await?;
    assert_eq!(status.status, 200, "{}", status.text);
    // Other cycles after everything above.
    let admin = redis.admin().await?;
    let sealed = async || -> Option<u64> {
        let words = ["HGET", "inv:contoso:snapshot:24", "sealed"];
        run(&mut admin.clone(), &words).await.ok()
    };
    let before = sealed().await.ok_or("no snapshot")?;
    eventually("two more cycles", async || {
        (sealed().await? >= before + 2).then_some(())
    })
    .await?;
    run_tool(&bed, &redis, &["explain", "TLS-1"])?;
    run_tool(&bed, &redis, &["check"])?;
    for service in [&mut worker, &mut service] {
        service.stop().await?;
        service.assert_log_clean(&[])?;
    }
    let refusals: Vec<Value> = run(&mut admin.clone(), &["ACL", "LOG"]).await?;
    assert!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}

const FORBIDDEN_TO_ALL: [&[&str]; 12] = [
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

/// A user, what it may do, and what it may not besides.
type Rights = (
    &'static str,
    &'static [&'static str],
    &'static [&'static [&'static str]],
);

const RIGHTS: [Rights; 3] = [
    (
        "inventory-api",
        &["HGETALL", "inv:contoso:stock:A"],
        &[
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
    ),
    (
        "prefetch-worker",
        &["HGETALL", "inv:contoso:cycle:24"],
        &[
            &["HGET", "inv:contoso:held", "A"],
            &["HGETALL", "inv:contoso:order:1"],
            &["ZADD", "inv:contoso:asked", "1", "A"],
            &["GET", "inv:contoso:live:A"],
        ],
    ),
    (
        "operator",
        &["HGETALL", "inv:contoso:cycle:24"],
        &[
            &["SET", "inv:event:1", "1"],
            &["DEL", "inv:contoso:stock:A"],
            &["HSET", "inv:contoso:stock:A", "24", "1"],
            &["EVALSHA", "0", "0"],
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_redis_user_can_do_its_own_work_only() -> Result<(), Failure> {
    let redis = GuardedRedis::start(password_of).await?;
    for (user, own_work, forbidden) in RIGHTS {
        let mut connection = redis.connection_as(user, &password_of(user)).await?;
        let _done: Value = run(&mut connection, own_work).await?;
        for words in FORBIDDEN_TO_ALL.iter().chain(forbidden) {
            let refused = run::<Value>(&mut connection, words).await.unwrap_err();
            assert_eq!(
                refused.code(),
                Some("NOPERM"),
                "{user} {words:?}: {refused}"
            );
        }
        assert!(redis.connection_as(user, "wrong").await.is_err());
    }
    assert!(redis.connection_as("default", "").await.is_err());

    // A script that does not end: the operator may end it.
    let mut admin = redis.admin().await?;
    let sooner = ["CONFIG", "SET", "busy-reply-threshold", "50"];
    let () = run(&mut admin, &sooner).await?;
    let password = password_of("operator");
    let mut operator = redis.connection_as("operator", &password).await?;
    let stopped = eventually("it is stopped", async || {
        let killed = run::<Value>(&mut operator.clone(), &["SCRIPT", "KILL"]).await;
        killed.ok()
    });
    let runaway = run::<Value>(&mut admin, &["EVAL", "while true do end", "0"]);
    let (ended, stopped) = futures_util::join!(runaway, stopped);
    stopped?;
    assert!(ended.is_err());
    let () = run(&mut operator, &["PING"]).await?;
    Ok(())
}

#[test]
fn nobody_can_log_in_with_the_file_as_it_is_shipped() -> Result<(), Failure> {
    for line in shipped_users()?.lines() {
        assert!(line.starts_with("user "), "{line}");
        assert!(!line.contains("nopass"), "{line}");
        assert!(!line.contains('>') && !line.contains('#'), "{line}");
    }
    Ok(())
}
