//! What orders and reservations hold.

use crate::rig::{Rig, code, fast, told};
use reqwest::Method;
use serde_json::{Value, json};
use shared::d365::D365Error;
use shared::process::clock::Clock;
use shared::stock::{AsOf, Origin};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);
const ORDERS: &str = "/inventory/v1/orders";
const RESERVATIONS: &str = "/inventory/v1/reservations";
const REJECTIONS: &str = "/inventory/v1/rejections";

fn order(id: &str, products: &[(&str, i64)]) -> Value {
    let products: Vec<Value> = products
        .iter()
        .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
        .collect();
    json!({ "warehouseId": "11", "orderId": id, "commit": true, "products": products })
}

/// A question of one line; `more` is what else it says.
fn one(sku: &str, quantity: f64, mut more: Value) -> Value {
    more["products"] = json!([{ "sku": sku, "quantity": quantity }]);
    if more["channel"].is_null() {
        more["warehouseId"] = json!("11");
    }
    more
}

fn of_channel(channel: &str, id: &str, sku: &str, quantity: f64) -> Value {
    let more = json!({ "channel": channel, "orderId": id, "commit": true });
    one(sku, quantity, more)
}

fn hold(body: &Value) -> &str {
    let word = |kind: &str| body[kind]["hold"].as_str();
    let word = word("order").or_else(|| word("reservation"));
    word.unwrap_or("none")
}

async fn shop_with(settings: &str, erp: &[(&str, &str)]) -> Rig {
    let rig = Rig::start_with(settings).await;
    let lines: Vec<(&str, &str, &str)> = erp.iter().map(|(sku, of)| (*sku, "11", *of)).collect();
    rig.snapshot(rig.ago(MINUTE), &["11"], &lines).await;
    rig.erp_has(&lines);
    rig
}

async fn shop(erp: &[(&str, &str)]) -> Rig {
    shop_with("", erp).await
}

impl Rig {
    /// What browsing shows: available and held.
    async fn shown(&self, sku: &str) -> (Value, Value) {
        let (status, body) = self.stock(fast("11", &[sku])).await;
        assert_eq!(status, 200, "{body}");
        let line = &body["data"][0];
        (line["availableStock"].clone(), line["held"].clone())
    }

    async fn call(&self, method: Method, path: &str) -> (u16, Value) {
        self.send(method, path, &Value::Null).await
    }

    async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.api));
        let request = if body.is_null() {
            request
        } else {
            request.json(body)
        };
        told(request.send().await.unwrap()).await
    }

    /// Places an order; what became of its hold.
    async fn place(&self, order: Value) -> String {
        hold(&self.check(order).await.1).to_owned()
    }

    /// Reserves; the reservation's address, and what became of it.
    async fn reserve(&self, question: &Value) -> (String, u16, Value) {
        let reply = self.post(RESERVATIONS, question).send().await.unwrap();
        let place = reply.headers().get("location");
        let place = place.map(|place| place.to_str().unwrap().to_owned());
        let (status, body) = told(reply).await;
        (place.unwrap_or_default(), status, body)
    }

    async fn confirm(&self, id: &str) -> (u16, Value) {
        let path = format!("{ORDERS}/{id}/confirmed");
        self.call(Method::POST, &path).await
    }

    /// A number read after a confirmation.
    async fn reread_after(&self, confirmed: &Value, sku: &str, available: &str) {
        self.eventually("the clock is past the confirmation", async || {
            self.now().to_string().as_str() > confirmed.as_str().unwrap()
        })
        .await;
        self.reread(sku, available, self.now()).await;
    }

    /// A prefetcher reads the SKU now.
    async fn reread(&self, sku: &str, available: &str, read: AsOf) {
        let line = crate::rig::line(sku, "11", available, read, crate::rig::PREFETCHED);
        self.write(&[line]).await;
    }

    /// What an operator types.
    fn redis_cli(&self, words: &[&str]) -> String {
        let port = self.redis.port().to_string();
        let mut command = std::process::Command::new("redis-cli");
        let ended = command.args(["-p", &port]).args(words).output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    }
}

#[tokio::test]
async fn a_committed_order_is_taken_from_what_others_see_until_the_erp_shows_it() {
    let rig = shop(&[("A", "10")]).await;
    let (_, body) = rig.check(order("O-1", &[("A", 4)])).await;
    assert_eq!(
        (hold(&body), &body["data"][0]["granted"]),
        ("held", &json!(4))
    );
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));

    // Another order sees six; its own number, ten, is D365's.
    let (_, body) = rig.check(order("O-2", &[("A", 7)])).await;
    let granted = &body["data"][0]["granted"];
    assert_eq!((hold(&body), granted), ("nothing-to-hold", &json!(6)));
    assert_eq!(rig.shown("A").await.1, 4);

    // A number from before the confirmation does not release it, one from after does.
    let before = rig.now();
    let (status, body) = rig.confirm("O-1").await;
    assert_eq!(
        (status, &body["state"]),
        (200, &json!("confirmed")),
        "{body}"
    );
    let line = json!({"sku": "A", "warehouseId": "11", "granted": 4, "held": 4});
    assert_eq!(body["data"], json!([line]));
    rig.reread("A", "10", before).await;
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    rig.reread_after(&body["confirmed"], "A", "6").await;
    assert_eq!(rig.shown("A").await, (json!(6), Value::Null));
    // Confirming again changes nothing.
    assert_eq!(rig.confirm("O-1").await.1["confirmed"], body["confirmed"]);
}

#[tokio::test]
async fn the_same_order_again_is_told_the_same_and_holds_nothing_twice() {
    let rig = shop(&[("A", "10"), ("B", "3")]).await;
    assert_eq!(rig.place(order("O-1", &[("A", 4), ("B", 1)])).await, "held");
    // The ERP has booked it meanwhile: it would not be granted anew.
    rig.erp_has(&[("A", "11", "0"), ("B", "11", "0")]);
    let asked = rig.source.questions().look_ups.len();
    for _ in 0..2 {
        let (status, body) = rig.check(order("O-1", &[("B", 1), ("A", 4)])).await;
        assert_eq!((status, hold(&body)), (200, "repeated"));
        assert_eq!(body["orderable"], true);
        assert_eq!(body["data"][0]["basis"], "repeated");
    }
    assert_eq!(rig.source.questions().look_ups.len(), asked);
    assert_eq!(rig.shown("A").await.1, 4);
    rig.confirm("O-1").await;
    assert_eq!(
        rig.place(order("O-1", &[("A", 4), ("B", 1)])).await,
        "repeated"
    );
    let (status, body) = rig.check(order("O-1", &[("A", 1)])).await;
    assert_eq!(
        (status, code(&body)),
        (409, "inventory.order.settled.error")
    );
}

#[tokio::test]
async fn an_order_with_other_lines_gives_its_old_ones_back() {
    let rig = shop(&[("A", "10"), ("B", "3")]).await;
    assert_eq!(rig.place(order("O-1", &[("A", 10)])).await, "held");
    assert_eq!(rig.shown("A").await, (json!(0), json!(10)));
    // Its own ten do not stand in its way.
    assert_eq!(rig.place(order("O-1", &[("A", 8), ("B", 2)])).await, "held");
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)));
    assert_eq!(rig.shown("B").await, (json!(1), json!(2)));
    let (_, body) = rig.check(order("O-1", &[("B", 3)])).await;
    assert_eq!(hold(&body), "held");
    assert_eq!(rig.shown("A").await, (json!(10), Value::Null));
    // What cannot be had changes nothing: the customer may still take what was held.
    let until = body["order"]["until"].clone();
    let (_, body) = rig.check(order("O-1", &[("B", 4)])).await;
    assert_eq!((hold(&body), &body["order"]["until"]), ("kept", &until));
    assert_eq!(rig.shown("B").await, (json!(0), json!(3)));
    let (status, body) = rig.call(Method::DELETE, &format!("{ORDERS}/O-1")).await;
    assert_eq!((status, &body["state"]), (200, &json!("released")));
    assert_eq!(rig.shown("B").await, (json!(3), Value::Null));
    for (path, expected) in [
        ("O-1", 200),
        ("O-9", 404),
        ("a%7Cb", 422),
        ("O-1?organization=nobody", 404),
    ] {
        let (status, _) = rig.call(Method::GET, &format!("{ORDERS}/{path}")).await;
        assert_eq!(status, expected, "{path}");
    }
    assert_eq!(rig.confirm("O-1").await.0, 409);
    assert_eq!(rig.confirm("O-9").await.0, 404);
}

#[tokio::test]
async fn a_hold_ends_by_itself_and_cannot_be_changed_then() {
    let rig = shop(&[("A", "10")]).await;
    let question = one("A", 3.0, json!({ "ttlSeconds": 1 }));
    let (place, status, body) = rig.reserve(&question).await;
    assert_eq!((status, hold(&body)), (201, "held"));
    assert_eq!(rig.shown("A").await, (json!(7), json!(3)));
    rig.eventually("the reservation is over", async || {
        rig.shown("A").await == (json!(10), Value::Null)
    })
    .await;
    assert_eq!(rig.send(Method::PUT, &place, &question).await.0, 404);
}

#[tokio::test]
async fn a_reservation_asked_for_again_with_its_request_id_is_the_same_one() {
    let rig = shop(&[("A", "10")]).await;
    let ask = async |request: &str, quantity| {
        let question = one("A", quantity, json!({ "requestId": request }));
        let (place, status, body) = rig.reserve(&question).await;
        (status, hold(&body).to_owned(), place)
    };
    let (status, word, place) = ask("r-1", 3.0).await;
    assert_eq!((status, &*word), (201, "held"));
    let again = (200, "repeated".to_owned(), place.clone());
    assert_eq!(ask("r-1", 3.0).await, again);
    assert_eq!(rig.shown("A").await, (json!(7), json!(3)), "held once");
    // Other lines are another wish for the same cart.
    assert_eq!(
        ask("r-1", 4.0).await,
        (201, "held".to_owned(), place.clone())
    );
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    let (status, _, other) = ask("r-2", 1.0).await;
    assert_eq!(status, 201);
    assert_ne!(other, place);
    assert_eq!(rig.shown("A").await, (json!(5), json!(5)));
}

#[tokio::test]
async fn a_reservation_is_free_for_its_own_order_and_becomes_it() {
    let rig = shop(&[("A", "10")]).await;
    let (place, _, body) = rig.reserve(&one("A", 8.0, json!({}))).await;
    let (_, seen) = rig.call(Method::GET, &place).await;
    assert_eq!(seen["data"][0]["held"], 8);

    let mut own = order("O-1", &[("A", 8)]);
    assert_eq!(rig.place(own.clone()).await, "nothing-to-hold", "another's");
    own["reservationId"] = body["reservation"]["id"].clone();
    assert_eq!(rig.place(own).await, "held");
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)), "not sixteen");
    assert_eq!(rig.call(Method::GET, &place).await.1["state"], "released");

    let (_, status, body) = rig.reserve(&one("A", 3.0, json!({}))).await;
    assert_eq!((status, hold(&body)), (200, "nothing-to-hold"));
}

#[tokio::test]
async fn a_rejection_gives_reserved_stock_back_and_never_an_order() {
    let rig = shop(&[("A", "10")]).await;
    assert_eq!(rig.place(order("O-1", &[("A", 4)])).await, "held");
    let question = one("A", 5.0, json!({}));
    rig.reserve(&question).await;
    assert_eq!(rig.shown("A").await, (json!(1), json!(9)));
    for (released, shown) in [(5, 6), (0, 6)] {
        let (status, body) = rig.send(Method::POST, REJECTIONS, &question).await;
        let line = json!({"sku": "A", "requested": 5, "released": released});
        assert_eq!((status, &body["data"][0]), (200, &line));
        assert_eq!(rig.shown("A").await.0, shown);
    }
}

#[tokio::test]
async fn two_hundred_orders_for_120_pieces_get_120() {
    let rig = shop(&[("A", "120")]).await;
    let orders = (0..200).map(async |number| {
        loop {
            let (status, body) = rig.check(order(&format!("O-{number}"), &[("A", 1)])).await;
            // Its turn did not come in time, or Redis did not say that it was stored: it is sent again.
            if status != 429 && hold(&body) != "not-stored" {
                return hold(&body).to_owned();
            }
        }
    });
    let words = futures_util::future::join_all(orders).await;
    let count = |word: &str| words.iter().filter(|other| *other == word).count();
    let held = count("held") + count("repeated");
    assert_eq!((held, count("nothing-to-hold")), (120, 80), "{words:?}");
    assert_eq!(rig.shown("A").await, (json!(0), json!(120)));
}

#[tokio::test]
async fn an_order_whose_turn_does_not_come_in_time_is_granted_nothing() {
    let rig = shop(&[("A", "10")]).await;
    // Redis reads and does not write: whoever has the lock waits for it until its time is over.
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
    let words: Vec<&str> = answered.iter().map(|(_, body)| hold(body)).collect();
    assert_eq!((turned_away.len(), words), (4, vec!["not-stored"]));
}

#[tokio::test]
async fn a_confirmation_that_comes_late_takes_the_order_from_what_is_shown_again() {
    let rig = shop_with("[api.orders]\nhold = \"1s\"\n", &[("A", "10")]).await;
    assert_eq!(rig.place(order("O-1", &[("A", 4)])).await, "held");
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
    rig.reread_after(&body["confirmed"], "A", "6").await;
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
        let more = json!({ "channel": "lenient", "warehouseIds": ["11", "24"], "orderId": id,
                           "commit": true });
        one("A", 5.0, more)
    };
    assert_eq!(rig.place(order("O-1")).await, "held");
    let (_, body) = rig.call(Method::GET, &format!("{ORDERS}/O-1")).await;
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
    assert_eq!((status, hold(&body)), (200, "not-stored"));
    assert_eq!(body["orderable"], true);
    assert_eq!(body["data"][0]["basis"], "live");
    assert_eq!(body["meta"]["degraded"], true);
    assert!(took < Duration::from_millis(2_550), "{took:?}");
}

#[tokio::test]
async fn what_people_break_in_redis_sells_nothing_instead_of_too_much() {
    let rig = shop(&[("A", "10")]).await;
    assert_eq!(rig.place(order("O-1", &[("A", 4)])).await, "held");
    rig.redis_cli(&["HSET", "inv:contoso:held", "A", "four pieces"]);
    assert_eq!(rig.shown("A").await.0, 0);
    assert_eq!(
        rig.place(order("O-2", &[("A", 1)])).await,
        "nothing-to-hold"
    );
}

#[tokio::test]
async fn several_warehouses_give_in_turn_and_each_keeps_its_own_hold() {
    let rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "3"), ("A", "24", "4")]);
    let question = json!({ "warehouseIds": ["11", "24"], "orderId": "O-1", "commit": true,
                           "products": [{"sku": "A", "quantity": 5}] });
    assert_eq!(rig.place(question).await, "held");
    let (_, body) = rig.call(Method::GET, &format!("{ORDERS}/O-1")).await;
    for (at, (warehouse, held)) in [("11", 3), ("24", 2)].into_iter().enumerate() {
        let line = &body["data"][at];
        assert_eq!(
            (&line["warehouseId"], &line["held"]),
            (&json!(warehouse), &json!(held))
        );
    }
    rig.write(&[crate::rig::line("A", "24", "9", rig.now(), Origin::Live)])
        .await;
    let (_, body) = rig
        .stock(json!({ "warehouseIds": ["11", "24"], "skus": ["A"] }))
        .await;
    assert_eq!(body["data"][0]["availableStock"], 7);
    assert_eq!(body["data"][0]["held"], 5);
}

#[tokio::test]
async fn what_one_channel_reserved_or_ordered_is_not_there_for_another() {
    let rig = shop(&[("A", "10"), ("B", "10")]).await;
    let asked = |channel: &str, sku, quantity| one(sku, quantity, json!({ "channel": channel }));
    let (place, _, body) = rig.reserve(&asked("lenient", "A", 8.0)).await;
    let id = &body["reservation"]["id"];
    assert_eq!(
        rig.place(of_channel("lenient", "O-1", "B", 6.0)).await,
        "held"
    );

    // It does not make way for another channel's check or order, nor give to its rejection.
    let mut asking = asked("trusting", "A", 5.0);
    asking["reservationId"] = id.clone();
    assert_eq!(rig.check(asking.clone()).await.1["data"][0]["granted"], 2);
    asking["orderId"] = json!("O-9");
    asking["commit"] = json!(true);
    assert_eq!(rig.place(asking).await, "nothing-to-hold");
    let rejecting = asked("trusting", "A", 8.0);
    let (_, body) = rig.send(Method::POST, REJECTIONS, &rejecting).await;
    assert_eq!(body["data"][0]["released"], 0, "{body}");
    assert_eq!(rig.shown("A").await, (json!(2), json!(8)));

    // Another channel's order is held for all that, and the reservation stays what it was.
    let mut ordering = of_channel("trusting", "O-2", "A", 2.0);
    ordering["reservationId"] = id.clone();
    assert_eq!(rig.place(ordering).await, "held");
    assert_eq!(rig.shown("A").await, (json!(0), json!(10)));
    let own = format!("{place}?channel=lenient");
    let (_, body) = rig.call(Method::GET, &own).await;
    assert_eq!(
        (&body["state"], &body["data"][0]["held"]),
        (&json!("held"), &json!(8))
    );

    // Changing it is refused as if it were not there.
    let (status, body) = rig
        .send(Method::PUT, &place, &asked("trusting", "A", 1.0))
        .await;
    assert_eq!(
        (status, code(&body)),
        (404, "inventory.reservation.not_found.error")
    );

    // A check that names another channel's order sees what everybody sees.
    for (channel, granted) in [("trusting", 4), ("lenient", 9)] {
        let mut asking = asked(channel, "B", 9.0);
        asking["orderId"] = json!("O-1");
        let (_, body) = rig.check(asking).await;
        assert_eq!(body["data"][0]["granted"], granted, "{channel} {body}");
    }
    let mut own = of_channel("lenient", "O-3", "A", 8.0);
    own["reservationId"] = id.clone();
    assert_eq!(rig.place(own).await, "held");
}

#[tokio::test]
async fn an_order_id_is_a_name_within_its_channel() {
    let rig = shop(&[("A", "10"), ("B", "10")]).await;
    let path = format!("{ORDERS}/O-1");
    assert_eq!(
        rig.place(of_channel("lenient", "O-1", "A", 4.0)).await,
        "held"
    );
    // One channel has it: whoever names none means that one.
    let (_, body) = rig.call(Method::GET, &path).await;
    assert_eq!(body["data"][0]["granted"], 4, "{body}");

    // The same id in another channel, and in none, is another order.
    assert_eq!(
        rig.place(of_channel("trusting", "O-1", "B", 3.0)).await,
        "held"
    );
    assert_eq!(
        rig.call(Method::GET, &path).await.0,
        422,
        "two channels have it"
    );
    assert_eq!(rig.place(order("O-1", &[("B", 2)])).await, "held");
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    assert_eq!(rig.shown("B").await, (json!(5), json!(5)));

    // Each sees, repeats and settles its own.
    for (channel, sku, granted) in [
        ("?channel=lenient", "A", 4),
        ("?channel=trusting", "B", 3),
        ("", "B", 2),
    ] {
        let (_, body) = rig.call(Method::GET, &format!("{path}{channel}")).await;
        let line = &body["data"][0];
        assert_eq!(
            (&line["sku"], &line["granted"]),
            (&json!(sku), &json!(granted))
        );
    }
    assert_eq!(
        rig.place(of_channel("trusting", "O-1", "B", 3.0)).await,
        "repeated"
    );
    let trusting = format!("{path}?channel=trusting");
    let (_, body) = rig.call(Method::DELETE, &trusting).await;
    let granted = &body["data"][0]["granted"];
    assert_eq!((&body["state"], granted), (&json!("released"), &json!(3)));
    let coy = format!("{path}?channel=coy");
    assert_eq!(rig.call(Method::GET, &coy).await.0, 404);
    assert_eq!(rig.shown("A").await, (json!(6), json!(4)));
    assert_eq!(rig.shown("B").await, (json!(8), json!(2)));
}

#[tokio::test]
async fn an_order_from_before_ids_were_kept_by_channel_is_found_in_its_channel() {
    let rig = shop(&[("A", "10")]).await;
    assert_eq!(
        rig.place(of_channel("lenient", "O-1", "A", 4.0)).await,
        "held"
    );
    // As it would stand there: under its id alone, and so would its hold.
    let (before, after) = ("inv:contoso:order:lenient|O-1", "inv:contoso:order:O-1");
    rig.redis_cli(&["RENAME", before, after]);
    let until = rig.now().plus(30 * MINUTE);
    let text = format!("4|{}|{until}|-|order:O-1|11", rig.now());
    rig.redis_cli(&["HSET", "inv:contoso:held", "A", &text]);
    assert_eq!(
        rig.place(of_channel("lenient", "O-1", "A", 4.0)).await,
        "repeated"
    );
    let foreign = format!("{ORDERS}/O-1?channel=trusting");
    assert_eq!(rig.call(Method::GET, &foreign).await.0, 404);
    let own = format!("{ORDERS}/O-1?channel=lenient");
    let (_, body) = rig.call(Method::GET, &own).await;
    assert_eq!(body["data"][0]["held"], 4, "{body}");
    assert_eq!(rig.call(Method::DELETE, &own).await.1["state"], "released");
    assert_eq!(rig.shown("A").await, (json!(10), Value::Null));
}

#[tokio::test]
async fn one_channel_cannot_take_the_places_of_another() {
    let settings = "[api.orders]\nholds_per_sku = 12\nreservations_per_sku = 10\n";
    let rig = shop_with(settings, &[("A", "10")]).await;
    let cart = one(
        "A",
        0.001,
        json!({ "channel": "lenient", "ttlSeconds": 3600 }),
    );
    let refused = |(status, body): (u16, Value)| {
        let name = body["errors"][0]["parameters"]["name"].as_str();
        (status, name.unwrap_or_default().to_owned())
    };
    for number in 0..10 {
        assert_eq!(rig.reserve(&cart).await.1, 201, "{number}");
    }
    let (_, status, body) = rig.reserve(&cart).await;
    assert_eq!(
        refused((status, body)),
        (429, "reservationsPerSku".to_owned())
    );
    // Carts leave places to the channel's own orders, and all of them to those of others.
    for number in 0..2 {
        let order = of_channel("lenient", &format!("O-{number}"), "A", 1.0);
        assert_eq!(rig.place(order).await, "held");
    }
    let order_3 = rig.check(of_channel("lenient", "O-2", "A", 1.0)).await;
    assert_eq!(refused(order_3), (429, "holdsPerSku".to_owned()));
    assert_eq!(
        rig.place(of_channel("trusting", "O-1", "A", 1.0)).await,
        "held"
    );
    assert_eq!(rig.place(order("O-1", &[("A", 1)])).await, "held");

    // Many holds are told as few, and as much.
    let (shown, held) = rig.shown("A").await;
    assert_eq!((shown.as_f64(), held.as_f64()), (Some(5.99), Some(4.01)));
    // Who asks with the id of an order of its own is not stood in the way by it.
    let mut asking = of_channel("lenient", "O-1", "A", 6.5);
    asking["commit"] = json!(false);
    assert_eq!(rig.check(asking).await.1["data"][0]["granted"], 6.5);
    let own = format!("{ORDERS}/O-1?channel=lenient");
    assert_eq!(rig.call(Method::DELETE, &own).await.1["state"], "released");
    assert_eq!(rig.shown("A").await.0.as_f64(), Some(6.99));
}

#[tokio::test]
async fn what_is_over_leaves_little_behind() {
    let skus: Vec<String> = (0..100).map(|number| format!("S-{number:03}")).collect();
    let lines: Vec<(&str, &str)> = skus.iter().map(|sku| (sku.as_str(), "10")).collect();
    let rig = shop(&lines).await;
    let products: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    assert_eq!(rig.place(order("O-1", &products)).await, "held");
    rig.call(Method::DELETE, &format!("{ORDERS}/O-1")).await;
    let left = rig.redis_cli(&["STRLEN", "inv:contoso:order:O-1"]);
    let left: usize = left.parse().unwrap();
    assert!((1..256).contains(&left), "{left} bytes");
    let (status, _) = rig.check(order("O-1", &products)).await;
    assert_eq!(status, 409, "it is known to be over all the same");
}
