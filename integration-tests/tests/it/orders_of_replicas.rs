//! Two replicas, one stock: what one has granted the other does not grant again.

use crate::house::{House, world};
use d365_simulator::{StockChange, StockKey};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use std::collections::BTreeSet;

const ORDERS: usize = 200;
const PIECES: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn orders_sent_to_both_replicas_at_once_hold_their_piece_once_and_never_more_than_there_is() {
    let house = House::with(world(100), &["24"]).await;
    let item = StockKey::of("usmf", "RUSH-1", "24");
    let pieces = StockChange::on_hand(&PIECES.to_string());
    house.d365().put_stock(&item, &pieces).unwrap();
    house.snapshot().await;
    let (_first, one) = house.api().await;
    let (_second, other) = house.api().await;
    let mut replies: FuturesUnordered<_> = (0..ORDERS)
        .flat_map(|number| [(number, &one), (number, &other)])
        .map(async |(number, api)| {
            let order = json!({
                "warehouseId": "24", "orderId": format!("O-{number}"), "commit": true,
                "products": [{ "sku": "RUSH-1", "quantity": 1 }]
            });
            loop {
                let path = "/inventory/v1/availability-checks";
                let reply = api.post(path, &order).await.unwrap();
                // Its turn did not come in time: it is sent again, as the reply asks for.
                if reply.status != 429 {
                    return (number, reply);
                }
            }
        })
        .collect();
    let (mut held, mut short) = (BTreeSet::new(), BTreeSet::new());
    while let Some((number, reply)) = replies.next().await {
        assert_eq!(reply.status, 200, "{}", reply.text);
        match reply.json["order"]["hold"].as_str() {
            Some("held" | "repeated") => held.insert(number),
            Some("nothing-to-hold") => short.insert(number),
            _ => panic!("{}", reply.text),
        };
    }
    assert_eq!((held.len(), short.len()), (PIECES, ORDERS - PIECES));
    assert!(held.is_disjoint(&short), "the replicas agree on each order");
    let shown = other.fast("24", &["RUSH-1"]).await.unwrap();
    let line = shown.line("RUSH-1").unwrap();
    assert_eq!(
        (&line["availableStock"], &line["held"]),
        (&0.into(), &PIECES.into())
    );
}
