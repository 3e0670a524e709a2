//! What orders and reservations hold.

use crate::rig::{Rig, code, fast, told};
use serde_json::{Value, json};
use shared::d365::D365Error;
use shared::process::clock::Clock;
use shared::stock::Origin;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

fn order(id: &str, products: &[(&str, i64)]) -> Value {
    let products: Vec<Value> = products
        .iter()
        .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
        .collect();
    json!({ "warehouseId": "11", "orderId": id, "commit": true, "products": products })
}

async fn shop(erp: &[(&str, &str)]) -> Rig {
    let rig = Rig::start().await;
    let lines: Vec<(&str, &str, &str)> = erp.iter().map(|(sku, of)| (*sku, "11", *of)).collect();
    rig.snapshot(rig.ago(MINUTE), &["11"], &lines).await;
    rig.erp_has(&lines);
    rig
}

impl Rig {
    async fn shown(&self, sku: &str) -> (Value, Value) {
        let (status, body) = self.stock(fast("11", &[sku])).await;
        assert_eq!(status, 200, "{body}");
        let line = &body["data"][0];
        (line["availableStock"].clone(), line["held"].clone())
    }

    async fn call(&self, method: reqwest::Method, path: &str) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.api));
        told(request.send().await.unwrap()).await
    }

    async fn confirm(&self, id: &str) -> (u16, Value) {
        let path = format!("/inventory/v1/orders/{id}/confirmed");
        self.call(reqwest::Method::POST, &path).await
    }

    /// What an operator types.
    fn redis_cli(&self, words: &[&str]) {
        let port = self.redis.port().to_string();
        let mut command = std::process::Command::new("redis-cli");
        let ended = command.args(["-p", &port]).args(words).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }

    /// A prefetcher reads the SKU now.
    async fn reread(&self, sku: &str, available: &str, read: shared::stock::AsOf) {
        let line = crate::rig::line(sku, "11", available, read, crate::rig::PREFETCHED);
        self.write(&[line]).await;
    }
}

#[tokio::test]
async fn a_committed_order_is_taken_from_what_others_see_until_the_erp_shows_it() {
    let rig = shop(&[("A", "10")]).await;
    let (status, body) = rig.check(order("O-1", &[("A", 4)])).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["order"]["hold"], "held");
    assert_eq!(body["data"][0]["granted"], 4);
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));

    // Another order sees six; its own number, ten, is D365's.
    let (_, body) = rig.check(order("O-2", &[("A", 7)])).await;
    assert_eq!(
        (&body["orderable"], &body["data"][0]["granted"]),
        (&json!(false), &json!(6))
    );
    assert_eq!(body["order"]["hold"], "nothing-to-hold");
    assert_eq!(rig.shown("A").await.1, 4);

    // A number from before the confirmation does not release it, one from after does.
    let before = rig.now();
    let (status, body) = rig.confirm("O-1").await;
    assert_eq!(
        (status, &body["state"]),
        (200, &json!("confirmed")),
        "{body}"
    );
    assert_eq!(
        body["data"],
        json!([{"sku": "A", "warehouseId": "11", "granted": 4, "held": 4}])
    );
    rig.reread("A", "10", before).await;
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    rig.eventually("the clock is past the confirmation", async || {
        rig.now().to_string().as_str() > body["confirmed"].as_str().unwrap()
    })
    .await;
    rig.reread("A", "6", rig.now()).await;
    assert_eq!(rig.shown("A").await, (json!(6), Value::Null));
    // Confirming again changes nothing.
    assert_eq!(rig.confirm("O-1").await.1["confirmed"], body["confirmed"]);
}

#[tokio::test]
async fn the_same_order_again_is_told_the_same_and_holds_nothing_twice() {
    let rig = shop(&[("A", "10"), ("B", "3")]).await;
    assert_eq!(
        rig.check(order("O-1", &[("A", 4), ("B", 1)])).await.1["order"]["hold"],
        "held"
    );
    // The ERP has booked it meanwhile: it would not be granted anew.
    rig.erp_has(&[("A", "11", "0"), ("B", "11", "0")]);
    let asked = rig.source.questions().look_ups.len();
    for _ in 0..2 {
        let (status, body) = rig.check(order("O-1", &[("B", 1), ("A", 4)])).await;
        assert_eq!(status, 200);
        assert_eq!(
            (&body["order"]["hold"], &body["orderable"]),
            (&json!("repeated"), &json!(true))
        );
        assert_eq!(body["data"][0]["basis"], "repeated");
    }
    assert_eq!(rig.source.questions().look_ups.len(), asked);
    assert_eq!(rig.shown("A").await.1, 4);
    rig.confirm("O-1").await;
    let (_, body) = rig.check(order("O-1", &[("A", 4), ("B", 1)])).await;
    assert_eq!(body["order"]["hold"], "repeated");
    let (status, body) = rig.check(order("O-1", &[("A", 1)])).await;
    assert_eq!(
        (status, code(&body)),
        (409, "inventory.order.settled.error")
    );
}

#[tokio::test]
async fn an_order_with_other_lines_gives_its_old_ones_back() {
    let rig = shop(&[("A", "10"), ("B", "3")]).await;
    rig.check(order("O-1", &[("A", 10)])).await;
    assert_eq!(rig.shown("A").await, (json!(0), json!(10)));
    let (_, body) = rig.check(order("O-1", &[("A", 8), ("B", 2)])).await;
    assert_eq!(
        body["order"]["hold"], "held",
        "its own ten do not stand in its way"
    );
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)));
    assert_eq!(rig.shown("B").await, (json!(1), json!(2)));
    let (_, body) = rig.check(order("O-1", &[("B", 3)])).await;
    assert_eq!(body["order"]["hold"], "held");
    assert_eq!(rig.shown("A").await, (json!(10), Value::Null));
    // What cannot be had changes nothing: the customer may still take what was held.
    let until = body["order"]["until"].clone();
    let (_, body) = rig.check(order("O-1", &[("B", 4)])).await;
    assert_eq!(
        (&body["order"]["hold"], &body["order"]["until"]),
        (&json!("kept"), &until)
    );
    assert_eq!(rig.shown("B").await, (json!(0), json!(3)));
    let (status, body) = rig
        .call(reqwest::Method::DELETE, "/inventory/v1/orders/O-1")
        .await;
    assert_eq!((status, &body["state"]), (200, &json!("released")));
    assert_eq!(rig.shown("B").await, (json!(3), Value::Null));
    for (path, expected) in [
        ("/inventory/v1/orders/O-1", 200),
        ("/inventory/v1/orders/O-9", 404),
        ("/inventory/v1/orders/a%7Cb", 422),
        ("/inventory/v1/orders/O-1?organization=nobody", 404),
    ] {
        assert_eq!(
            rig.call(reqwest::Method::GET, path).await.0,
            expected,
            "{path}"
        );
    }
    assert_eq!(rig.confirm("O-1").await.0, 409);
    assert_eq!(rig.confirm("O-9").await.0, 404);
}

#[tokio::test]
async fn a_hold_ends_by_itself_and_is_taken_out_of_redis() {
    let rig = Rig::start_with("").await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("A", "11", "10")])
        .await;
    rig.erp_has(&[("A", "11", "10")]);
    let question =
        json!({ "warehouseId": "11", "ttlSeconds": 1, "products": [{"sku": "A", "quantity": 3}] });
    let (status, body) = told(
        rig.post("/inventory/v1/reservations", &question)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (status, &body["reservation"]["hold"]),
        (201, &json!("held")),
        "{body}"
    );
    assert_eq!(rig.shown("A").await, (json!(7), json!(3)));
    rig.eventually("the reservation is over", async || {
        rig.shown("A").await == (json!(10), Value::Null)
    })
    .await;
    let id = body["reservation"]["id"].as_str().unwrap();
    let (status, _) = told(
        rig.client
            .put(format!("{}/inventory/v1/reservations/{id}", rig.api))
            .json(&question)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(status, 404, "what is over cannot be changed");
}

#[tokio::test]
async fn a_reservation_asked_for_again_with_its_request_id_is_the_same_one() {
    let rig = shop(&[("A", "10")]).await;
    let ask = async |request: &str, quantity: u32| {
        let question = json!({
            "warehouseId": "11",
            "requestId": request,
            "products": [{"sku": "A", "quantity": quantity}],
        });
        let reply = rig.post("/inventory/v1/reservations", &question).send();
        let reply = reply.await.unwrap();
        let place = reply.headers()["location"].to_str().unwrap().to_owned();
        let (status, body) = told(reply).await;
        (status, body["reservation"]["hold"].clone(), place)
    };
    let (status, hold, place) = ask("r-1", 3).await;
    assert_eq!((status, hold), (201, json!("held")));
    assert_eq!(ask("r-1", 3).await, (200, json!("repeated"), place.clone()));
    assert_eq!(rig.shown("A").await, (json!(7), json!(3)), "held once");
    // Other lines are another wish for the same cart.
    assert_eq!(ask("r-1", 4).await, (201, json!("held"), place.clone()));
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    let (status, _, other) = ask("r-2", 1).await;
    assert_eq!(status, 201);
    assert_ne!(other, place);
    assert_eq!(rig.shown("A").await, (json!(5), json!(5)));
}

#[tokio::test]
async fn a_reservation_is_free_for_its_own_order_and_becomes_it() {
    let rig = shop(&[("A", "10")]).await;
    let question = json!({ "warehouseId": "11", "products": [{"sku": "A", "quantity": 8}] });
    let reply = rig
        .post("/inventory/v1/reservations", &question)
        .send()
        .await
        .unwrap();
    let place = reply.headers()["location"].to_str().unwrap().to_owned();
    let (_, body) = told(reply).await;
    let id = body["reservation"]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        rig.call(reqwest::Method::GET, &place).await.1["data"][0]["held"],
        8
    );

    let (_, body) = rig.check(order("O-1", &[("A", 8)])).await;
    assert_eq!(body["order"]["hold"], "nothing-to-hold", "somebody else's");
    let mut own = order("O-1", &[("A", 8)]);
    own["reservationId"] = json!(id);
    let (_, body) = rig.check(own).await;
    assert_eq!(body["order"]["hold"], "held");
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)), "not sixteen");
    assert_eq!(
        rig.call(reqwest::Method::GET, &place).await.1["state"],
        "released"
    );

    let short = json!({ "warehouseId": "11", "products": [{"sku": "A", "quantity": 3}] });
    let (status, body) = told(
        rig.post("/inventory/v1/reservations", &short)
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (status, &body["reservation"]["hold"]),
        (200, &json!("nothing-to-hold"))
    );
}

#[tokio::test]
async fn a_rejection_gives_reserved_stock_back_and_never_an_order() {
    let rig = shop(&[("A", "10")]).await;
    rig.check(order("O-1", &[("A", 4)])).await;
    let question = json!({ "warehouseId": "11", "products": [{"sku": "A", "quantity": 5}] });
    rig.post("/inventory/v1/reservations", &question)
        .send()
        .await
        .unwrap();
    assert_eq!(rig.shown("A").await, (json!(1), json!(9)));
    for (released, shown) in [(5, 6), (0, 6)] {
        let (status, body) = told(
            rig.post("/inventory/v1/rejections", &question)
                .send()
                .await
                .unwrap(),
        )
        .await;
        assert_eq!(status, 200);
        assert_eq!(
            body["data"][0],
            json!({"sku": "A", "requested": 5, "released": released})
        );
        assert_eq!(rig.shown("A").await.0, shown);
    }
}

#[tokio::test]
async fn a_thousand_orders_for_six_hundred_pieces_get_six_hundred() {
    let rig = shop(&[("A", "600")]).await;
    rig.source.delay_look_ups(Duration::from_millis(100));
    let orders = (0..1_000).map(async |number: usize| {
        // Fewer at once than the service takes; the rest would be turned away, which is another test.
        loop {
            let (status, body) = rig.check(order(&format!("O-{number}"), &[("A", 1)])).await;
            // Its turn did not come in time: it is sent again, as the reply asks for.
            if status == 429 {
                continue;
            }
            assert_eq!(status, 200, "{body}");
            return body["order"]["hold"].as_str().unwrap().to_owned();
        }
    });
    let mut outcomes = Vec::new();
    let mut waiting = futures_util::stream::iter(orders);
    let mut running = futures_util::stream::FuturesUnordered::new();
    while let Some(order) = futures_util::StreamExt::next(&mut waiting).await {
        running.push(order);
        if running.len() >= 200 {
            outcomes.extend(futures_util::StreamExt::next(&mut running).await);
        }
    }
    while let Some(outcome) = futures_util::StreamExt::next(&mut running).await {
        outcomes.push(outcome);
    }
    let count = |word: &str| outcomes.iter().filter(|outcome| *outcome == word).count();
    assert_eq!((count("held"), count("nothing-to-hold")), (600, 400));
    assert_eq!(rig.shown("A").await, (json!(0), json!(600)));
}

#[tokio::test]
async fn an_order_whose_turn_does_not_come_in_time_is_granted_nothing() {
    let rig = shop(&[("A", "10")]).await;
    // Redis reads and does not write: whoever has the turn waits for it until its time is over.
    rig.redis_cli(&["CLIENT", "PAUSE", "10000", "WRITE"]);
    let orders = (0..5).map(async |number: usize| {
        let mut order = order(&format!("O-{number}"), &[("A", 1)]);
        order["timeoutMs"] = json!(1_500);
        rig.check(order).await
    });
    let replies = futures_util::future::join_all(orders).await;
    let (turned_away, answered): (Vec<_>, Vec<_>) =
        replies.iter().partition(|(status, _)| *status == 429);
    for (_, body) in &turned_away {
        assert_eq!(code(body), "inventory.throttled.error");
        assert_eq!(body["data"], Value::Null);
    }
    // What Redis did not say in time is told as such, and only one could ask it.
    let holds: Vec<&Value> = answered
        .iter()
        .map(|(_, body)| &body["order"]["hold"])
        .collect();
    assert_eq!((turned_away.len(), holds), (4, vec![&json!("not-stored")]));
}

#[tokio::test]
async fn a_confirmation_that_comes_late_takes_the_order_from_what_is_shown_again() {
    let rig = Rig::start_with("[api.orders]\nhold = \"1s\"\n").await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("A", "11", "10")])
        .await;
    rig.erp_has(&[("A", "11", "10")]);
    rig.check(order("O-1", &[("A", 4)])).await;
    rig.eventually("the hold is over", async || {
        rig.shown("A").await == (json!(10), Value::Null)
    })
    .await;
    let (status, body) = rig.confirm("O-1").await;
    assert_eq!(
        (status, &body["data"][0]["held"]),
        (200, &json!(4)),
        "{body}"
    );
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    rig.eventually("the clock is past the confirmation", async || {
        rig.now().to_string().as_str() > body["confirmed"].as_str().unwrap()
    })
    .await;
    rig.reread("A", "6", rig.now()).await;
    assert_eq!(rig.shown("A").await, (json!(6), Value::Null));
}

#[tokio::test]
async fn without_the_erp_stock_is_held_where_the_number_is_fresh() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(20 * MINUTE), &["11"], &[("A", "11", "10")])
        .await;
    rig.snapshot(rig.ago(MINUTE), &["24"], &[("A", "24", "7")])
        .await;
    rig.source.fail_look_ups(Some(D365Error::TimedOut {
        stage: "test",
        silent_for: Duration::from_secs(1),
    }));
    let order = |id: &str| {
        json!({ "channel": "lenient", "warehouseIds": ["11", "24"], "orderId": id,
        "commit": true, "products": [{"sku": "A", "quantity": 5}] })
    };
    let (_, body) = rig.check(order("O-1")).await;
    assert_eq!(body["order"]["hold"], "held", "{body}");
    let (_, body) = rig
        .call(reqwest::Method::GET, "/inventory/v1/orders/O-1")
        .await;
    assert_eq!(body["data"][0]["warehouseId"], "24", "{body}");
    // Five of seven are taken, and two stay in stock: the old ten elsewhere are no ground.
    let (_, body) = rig.check(order("O-2")).await;
    assert_eq!(body["data"][0]["granted"], 0, "{body}");
}

#[tokio::test]
async fn without_redis_the_order_is_decided_live_and_told_that_nothing_is_held() {
    let mut rig = shop(&[("A", "10")]).await;
    rig.redis.kill().unwrap();
    let began = rig.store.clock().monotonic();
    let (status, body) = rig.check(order("O-1", &[("A", 4)])).await;
    let took = rig.store.clock().monotonic().saturating_sub(began);
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["orderable"], &body["data"][0]["basis"]),
        (&json!(true), &json!("live"))
    );
    assert_eq!(body["order"]["hold"], "not-stored");
    assert_eq!(body["meta"]["degraded"], true);
    assert!(took < Duration::from_millis(2_550), "{took:?}");
}

#[tokio::test]
async fn what_people_break_in_redis_sells_nothing_instead_of_too_much() {
    let rig = shop(&[("A", "10")]).await;
    rig.check(order("O-1", &[("A", 4)])).await;
    rig.redis_cli(&["HSET", "inv:contoso:held", "A", "four pieces"]);
    assert_eq!(rig.shown("A").await.0, 0);
    let (_, body) = rig.check(order("O-2", &[("A", 1)])).await;
    assert_eq!(body["order"]["hold"], "nothing-to-hold");
}

#[tokio::test]
async fn several_warehouses_give_in_turn_and_each_keeps_its_own_hold() {
    let rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "3"), ("A", "24", "4")]);
    let question = json!({ "warehouseIds": ["11", "24"], "orderId": "O-1", "commit": true,
                           "products": [{"sku": "A", "quantity": 5}] });
    let (_, body) = rig.check(question).await;
    assert_eq!(body["order"]["hold"], "held", "{body}");
    let (_, body) = rig
        .call(reqwest::Method::GET, "/inventory/v1/orders/O-1")
        .await;
    let held: Vec<(&str, i64)> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["warehouseId"].as_str().unwrap(),
                line["held"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(held, [("11", 3), ("24", 2)]);
    rig.write(&[crate::rig::line("A", "24", "9", rig.now(), Origin::Live)])
        .await;
    let (_, body) = rig
        .stock(json!({ "warehouseIds": ["11", "24"], "skus": ["A"] }))
        .await;
    assert_eq!(body["data"][0]["availableStock"], 7);
    assert_eq!(body["data"][0]["held"], 5);
}

#[tokio::test]
async fn what_one_channel_reserved_is_no_other_channels_to_take() {
    let rig = shop(&[("A", "10")]).await;
    let asked = |channel: &str, quantity| json!({ "channel": channel, "products": [{"sku": "A", "quantity": quantity}] });
    let reserving = rig.post("/inventory/v1/reservations", &asked("lenient", 8));
    let (_, body) = told(reserving.send().await.unwrap()).await;
    let id = body["reservation"]["id"].clone();
    assert!(id.is_string(), "{body}");

    let mut asking = asked("trusting", 5);
    asking["reservationId"] = id.clone();
    let (_, body) = rig.check(asking.clone()).await;
    assert_eq!(body["data"][0]["granted"], 2, "{body}");
    asking["orderId"] = json!("O-1");
    asking["commit"] = json!(true);
    let (_, body) = rig.check(asking).await;
    assert_eq!(body["order"]["hold"], "nothing-to-hold", "{body}");
    let rejecting = rig.post("/inventory/v1/rejections", &asked("trusting", 8));
    let (_, body) = told(rejecting.send().await.unwrap()).await;
    assert_eq!(body["data"][0]["released"], 0, "{body}");
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)));

    let mut own = asked("lenient", 8);
    own["reservationId"] = id;
    own["orderId"] = json!("O-2");
    own["commit"] = json!(true);
    let (_, body) = rig.check(own).await;
    assert_eq!(body["order"]["hold"], "held", "{body}");
}

#[tokio::test]
async fn what_one_channel_reserved_or_ordered_is_not_there_for_another() {
    let rig = shop(&[("A", "10"), ("B", "10")]).await;
    let asked = |channel: &str, sku: &str, quantity| json!({ "channel": channel, "products": [{"sku": sku, "quantity": quantity}] });
    let reserving = rig.post("/inventory/v1/reservations", &asked("lenient", "A", 8));
    let reserved = reserving.send().await.unwrap();
    let place = reserved.headers()["location"].to_str().unwrap().to_owned();
    let id = told(reserved).await.1["reservation"]["id"].clone();
    let mut ordering = asked("lenient", "B", 6);
    ordering["orderId"] = json!("O-1");
    ordering["commit"] = json!(true);
    assert_eq!(rig.check(ordering).await.1["order"]["hold"], "held");

    // Another channel's order is held for all that, and the reservation stays what it was.
    let mut ordering = asked("trusting", "A", 2);
    ordering["orderId"] = json!("O-2");
    ordering["reservationId"] = id;
    ordering["commit"] = json!(true);
    assert_eq!(rig.check(ordering).await.1["order"]["hold"], "held");
    assert_eq!(rig.shown("A").await, (json!(0), json!(10)));
    let own = format!("{place}?channel=lenient");
    let (_, body) = rig.call(reqwest::Method::GET, &own).await;
    assert_eq!(
        (&body["state"], &body["data"][0]["held"]),
        (&json!("held"), &json!(8))
    );

    // Changing it is refused as if it were not there.
    let put = rig.client.put(format!("{}{place}", rig.api));
    let (status, body) = told(put.json(&asked("trusting", "A", 1)).send().await.unwrap()).await;
    assert_eq!(
        (status, code(&body)),
        (404, "inventory.reservation.not_found.error")
    );

    // A check that names another channel's order sees what everybody sees.
    for (channel, granted) in [("trusting", 4), ("lenient", 9)] {
        let mut asking = asked(channel, "B", 9);
        asking["orderId"] = json!("O-1");
        let (_, body) = rig.check(asking).await;
        assert_eq!(body["data"][0]["granted"], granted, "{channel} {body}");
    }
}
