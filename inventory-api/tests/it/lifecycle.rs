//! Too much at once, callers that go away, and the end.

use crate::rig::{Rig, STOCK, code, exact, told};
use serde_json::{Value, json};
use shared::process::clock::Clock;
use shared::process::tasks::Tasks;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

fn slow() -> Value {
    let mut question = exact("11", &["A"]);
    question["timeoutMs"] = json!(5_000);
    question
}

/// A question that D365 is being asked; its reply.
async fn in_work(rig: &Rig) -> oneshot::Receiver<(u16, Value)> {
    let question = rig.post(STOCK, &slow());
    let (tell, reply) = oneshot::channel();
    Tasks::new().spawn("question", async move {
        let _ = tell.send(told(question.send().await.unwrap()).await);
    });
    rig.eventually("it is in work", async || {
        !rig.source.questions().look_ups.is_empty()
    })
    .await;
    reply
}

#[tokio::test]
async fn more_requests_than_may_be_in_work_are_turned_away() {
    let rig = Rig::start_with("[api.limits]\nin_flight = 1").await;
    rig.source.delay_look_ups(Duration::from_millis(800));
    let first_reply = in_work(&rig).await;
    let reply = rig.get("/inventory/v1/limits").send().await.unwrap();
    assert_eq!(reply.headers()["retry-after"], "1");
    assert!(reply.headers().contains_key("x-request-id"));
    let (status, body) = told(reply).await;
    assert_eq!((status, code(&body)), (429, "inventory.throttled.error"));
    assert_eq!(first_reply.await.unwrap().0, 200);
    let reply = rig.get("/inventory/v1/limits").send().await.unwrap();
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place() {
    let rig = Rig::start_with("[api.limits]\nin_flight = 1").await;
    rig.source.delay_look_ups(Duration::from_secs(4));
    let address = rig.api.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = slow().to_string();
    let request = format!(
        "POST /inventory/v1/inventories HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    rig.eventually("it is in work", async || {
        !rig.source.questions().look_ups.is_empty()
    })
    .await;
    let clock = rig.store.clock();
    let before = clock.monotonic();
    drop(connection);
    rig.eventually("its place is free", async || {
        let reply = rig.get("/inventory/v1/limits").send().await.unwrap();
        reply.status() == 200
    })
    .await;
    assert!(
        clock.monotonic().saturating_sub(before) < Duration::from_secs(3),
        "its work went on"
    );
}

/// All replicas would go together, and EXACT answers all the same.
#[tokio::test]
async fn readiness_does_not_fall_with_redis() {
    let mut rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "8")]);
    let clock = rig.store.clock().clone();
    let look = async |rig: &Rig| {
        let begun = clock.monotonic();
        let ready = rig.ready().await;
        let took = clock.monotonic().saturating_sub(begun);
        // Probes of Kubernetes wait for a second.
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(ready["ready"], true, "{ready}");
        ready["redis"].as_str().unwrap().to_owned()
    };
    assert_eq!(look(&rig).await, "reachable");
    rig.redis.freeze(true).unwrap();
    assert_ne!(look(&rig).await, "reachable");
    rig.redis.freeze(false).unwrap();
    rig.redis.kill().unwrap();
    assert_ne!(look(&rig).await, "reachable");
    let (status, body) = rig.stock(exact("11", &["A"])).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn the_end_waits_for_what_is_in_work_and_takes_nothing_new() {
    let rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "8")]);
    rig.source.delay_look_ups(Duration::from_millis(600));
    let answered = in_work(&rig).await;
    rig.shutdown.begin();
    let address = rig.api.strip_prefix("http://").unwrap().to_owned();
    rig.eventually("no connection is taken", async || {
        tokio::net::TcpStream::connect(&address).await.is_err()
    })
    .await;
    let (status, body) = answered.await.unwrap();
    assert_eq!(
        (status, &body["data"][0]["availableStock"]),
        (200, &json!(8))
    );
    assert_eq!(body["meta"]["writeThrough"], "stored");
    let ended = rig.end().await;
    assert_eq!((ended.dropped_requests, ended.unfinished_tasks), (0, 0));
}
