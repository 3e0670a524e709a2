//! The calls of one SKU's callers. What is too busy or whose turn does not come is sent again.

use super::house::{HouseError, WAREHOUSE};
use super::ledger::Window;
use super::scene::Scene;
use super::told::Told;
use crate::api_client::Reply;
use d365_simulator::UtcMillis;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

/// A call that is turned away is sent again, so often.
const TRIES: usize = 40;
const PAUSE: Duration = Duration::from_millis(100);
const CHECKS: &str = "/inventory/v1/availability-checks";
const RESERVATIONS: &str = "/inventory/v1/reservations";

/// What became of the stock an order or reservation asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Held {
        until: i64,
    },
    Repeated {
        until: i64,
    },
    Nothing,
    Kept,
    /// Nothing was to be held.
    NotAsked,
    /// The order is settled, or the reservation over.
    Refused,
    /// It failed, and was not sent again.
    Unknown,
}

/// An order or reservation, and what it was told.
#[derive(Debug)]
pub(super) struct Placed {
    /// Of the call that was answered.
    pub(super) window: Window,
    /// The start of the first call: from there on it may have taken effect.
    pub(super) since: u32,
    pub(super) word: Word,
    pub(super) told: Option<Told>,
    /// As the service names it.
    pub(super) id: Option<String>,
    /// Whether a short line is told as the contract says.
    pub(super) is_shortage_told: bool,
}

/// A confirmation or the end of an order or reservation.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) window: Window,
    pub(super) since: u32,
    pub(super) is_done: bool,
    pub(super) confirmed: Option<i64>,
    pub(super) granted: i64,
}

/// What a call does.
#[derive(Debug, Clone, Copy)]
enum Do<'a> {
    Post(&'a str, &'a Value),
    Put(&'a str, &'a Value),
    Delete(&'a str),
}

/// The callers of one SKU.
#[derive(Debug)]
pub(super) struct Callers<'h> {
    pub(super) scene: &'h Scene<'h>,
    pub(super) sku: String,
    moments: Cell<u32>,
}

impl<'h> Callers<'h> {
    pub(super) fn new(scene: &'h Scene<'h>, sku: String) -> Self {
        Self {
            scene,
            sku,
            moments: Cell::new(0),
        }
    }

    /// The next moment of this SKU: every start and every end of a call is one.
    pub(super) fn moment(&self) -> u32 {
        self.moments.set(self.moments.get() + 1);
        self.moments.get()
    }

    /// A moment without length.
    pub(super) fn now(&self) -> Window {
        let (moment, ms) = (self.moment(), self.scene.house.now());
        Window {
            begun: moment,
            ended: moment,
            begun_ms: ms,
            ended_ms: ms,
        }
    }

    async fn timed<T>(
        &self,
        call: impl Future<Output = Result<T, HouseError>>,
    ) -> Result<(Window, T), HouseError> {
        let start = self.now();
        let done = call.await?;
        let end = self.now();
        let window = Window {
            ended: end.ended,
            ended_ms: end.ended_ms,
            ..start
        };
        Ok((window, done))
    }

    /// One try; none if there was no reply in half a minute, or none at all.
    async fn once(
        &self,
        replica: usize,
        call: Do<'_>,
    ) -> Result<(Window, Option<Reply>), HouseError> {
        let _place = self.scene.places.acquire().await?;
        self.scene.tally.calls.add(1);
        let api = &self.scene.house.replicas[replica % 2];
        let calling = self.timed(async {
            Ok(match call {
                Do::Post(path, body) => api.post(path, body).await.ok(),
                Do::Put(path, body) => api.put(path, body).await.ok(),
                Do::Delete(path) => api.delete(path).await.ok(),
            })
        });
        calling.await
    }

    /// Calls until there is an answer; also gives back the first call's start.
    async fn call(&self, replica: usize, call: Do<'_>) -> Result<(u32, Window, Reply), HouseError> {
        let mut since = None;
        for _ in 0..TRIES {
            let (window, reply) = self.once(replica, call).await?;
            let since = *since.get_or_insert(window.begun);
            match reply {
                Some(reply) if is_answer(&reply) => return Ok((since, window, reply)),
                other => self.scene.retried(other.as_ref()),
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{}: turned away all the time", self.sku).into())
    }

    fn products(&self, quantity: i64) -> Value {
        json!([{ "sku": self.sku, "quantity": quantity }])
    }

    /// A check that holds nothing.
    pub(super) async fn ask(&self, replica: usize, quantity: i64) -> Result<Placed, HouseError> {
        let body = json!({
            "warehouseId": WAREHOUSE, "timeoutMs": 5_000, "products": self.products(quantity)
        });
        let (since, window, reply) = self.call(replica, Do::Post(CHECKS, &body)).await?;
        placed(since, window, &reply)
    }

    /// An order, perhaps made of a reservation.
    pub(super) async fn order(
        &self,
        replica: usize,
        id: &str,
        quantity: i64,
        reservation: Option<&str>,
    ) -> Result<Placed, HouseError> {
        let mut body = json!({
            "warehouseId": WAREHOUSE, "timeoutMs": 5_000, "orderId": id, "commit": true,
            "products": self.products(quantity)
        });
        if let Some(reservation) = reservation {
            body["reservationId"] = json!(reservation);
        }
        let (since, window, reply) = self.call(replica, Do::Post(CHECKS, &body)).await?;
        placed(since, window, &reply)
    }

    /// A new reservation. It has no name yet, so it is not sent again.
    pub(super) async fn reserve(
        &self,
        replica: usize,
        quantity: i64,
        seconds: i64,
    ) -> Result<Placed, HouseError> {
        let body = self.reservation(quantity, seconds);
        match self.once(replica, Do::Post(RESERVATIONS, &body)).await? {
            (window, Some(reply)) => placed(window.begun, window, &reply),
            (window, None) => Ok(Placed {
                window,
                since: window.begun,
                word: Word::Unknown,
                told: None,
                id: None,
                is_shortage_told: true,
            }),
        }
    }

    /// Another quantity for a reservation, and a time of its own.
    pub(super) async fn change_reservation(
        &self,
        replica: usize,
        id: &str,
        quantity: i64,
        seconds: i64,
    ) -> Result<Placed, HouseError> {
        let body = self.reservation(quantity, seconds);
        let path = format!("{RESERVATIONS}/{id}");
        let (since, window, reply) = self.call(replica, Do::Put(&path, &body)).await?;
        placed(since, window, &reply)
    }

    fn reservation(&self, quantity: i64, seconds: i64) -> Value {
        json!({
            "warehouseId": WAREHOUSE, "timeoutMs": 5_000, "ttlSeconds": seconds,
            "products": self.products(quantity)
        })
    }

    /// The ERP's confirmation.
    pub(super) async fn confirm(&self, replica: usize, id: &str) -> Result<Settled, HouseError> {
        let path = format!("/inventory/v1/orders/{id}/confirmed");
        self.settle(replica, Do::Post(&path, &Value::Null)).await
    }

    /// The end of an order or reservation.
    pub(super) async fn give_up(
        &self,
        replica: usize,
        id: &str,
        is_order: bool,
    ) -> Result<Settled, HouseError> {
        let kind = if is_order { "orders" } else { "reservations" };
        let path = format!("/inventory/v1/{kind}/{id}");
        self.settle(replica, Do::Delete(&path)).await
    }

    async fn settle(&self, replica: usize, call: Do<'_>) -> Result<Settled, HouseError> {
        let (since, window, reply) = self.call(replica, call).await?;
        if reply.status != 200 && reply.status != 409 {
            return Err(format!("{}: {}", reply.status, reply.text).into());
        }
        Ok(Settled {
            window,
            since,
            is_done: reply.status == 200,
            confirmed: instant(&reply.json["confirmed"]),
            granted: reply.json["data"][0]["granted"]
                .as_i64()
                .unwrap_or_default(),
        })
    }

    /// Gives reserved stock back; how much was, if that was told. Sent twice it gives back twice, so
    /// it is not sent again.
    pub(super) async fn reject(
        &self,
        replica: usize,
        quantity: i64,
    ) -> Result<(Window, Option<i64>), HouseError> {
        let body = json!({ "warehouseId": WAREHOUSE, "products": self.products(quantity) });
        let path = "/inventory/v1/rejections";
        let (window, reply) = self.once(replica, Do::Post(path, &body)).await?;
        let Some(reply) = reply else {
            return Ok((window, None));
        };
        let released = reply.json["data"][0]["released"].as_i64();
        if released.is_none() && !reply.status.is_server_error() && reply.status != 429 {
            return Err(format!("{}: {}", reply.status, reply.text).into());
        }
        Ok((window, released))
    }

    /// A browse question.
    pub(super) async fn browse(&self) -> Result<(Window, Told), HouseError> {
        let asking = self.scene.browsing.line(&self.sku);
        let (window, line) = self.timed(asking).await?;
        Ok((window, told(&line)?))
    }

    /// A live question.
    pub(super) async fn live(&self, replica: usize) -> Result<(Window, Told), HouseError> {
        let body = json!({
            "severity": "EXACT", "warehouseId": WAREHOUSE, "timeoutMs": 5_000,
            "products": [{ "sku": self.sku }]
        });
        let path = "/inventory/v1/inventories";
        let (_, window, reply) = self.call(replica, Do::Post(path, &body)).await?;
        let line = reply.line(&self.sku);
        let line = line.ok_or_else(|| format!("{}: {}", reply.status, reply.text))?;
        Ok((window, told(line)?))
    }
}

/// Whether it says what became of the call.
fn is_answer(reply: &Reply) -> bool {
    let is_stored = !reply.text.contains("\"hold\":\"not-stored\"");
    reply.status != 429 && !reply.status.is_server_error() && is_stored
}

fn told(line: &Value) -> Result<Told, HouseError> {
    Told::of_line(line).map_err(|problem| format!("{problem}: {line}").into())
}

fn instant(text: &Value) -> Option<i64> {
    UtcMillis::parse(text.as_str()?).map(UtcMillis::unix_millis)
}

fn placed(since: u32, window: Window, reply: &Reply) -> Result<Placed, HouseError> {
    let status = reply.status.as_u16();
    let owner = ["order", "reservation"]
        .map(|kind| &reply.json[kind])
        .into_iter()
        .find(|owner| owner.is_object());
    let until = || {
        let until = owner.and_then(|owner| instant(&owner["until"]));
        until.ok_or_else(|| format!("held without an end: {}", reply.text))
    };
    let word = match (status, owner.and_then(|owner| owner["hold"].as_str())) {
        (200 | 201, Some("held")) => Word::Held { until: until()? },
        (200, Some("repeated")) => Word::Repeated { until: until()? },
        (200, Some("nothing-to-hold")) => Word::Nothing,
        (200, Some("kept")) => Word::Kept,
        (200, None) => Word::NotAsked,
        (404 | 409, _) => Word::Refused,
        (200 | 201 | 429 | 500.., _) => Word::Unknown,
        _ => return Err(format!("{status}: {}", reply.text).into()),
    };
    let line = &reply.json["data"][0];
    let told = match word {
        Word::Refused | Word::Unknown => None,
        _ => Some(told(line)?),
    };
    let error = &reply.json["errors"][0];
    let is_short = line["orderable"] == false;
    // Parameters are texts, lines have numbers.
    let is_named = |name: &str| {
        let number = line[name].to_string();
        error["parameters"][name].as_str() == Some(number.as_str())
    };
    let is_shortage_told = error["code"] == "inventory.quantity.insufficient.error"
        && is_named("granted")
        && is_named("requested");
    Ok(Placed {
        window,
        since,
        word,
        told,
        id: owner.and_then(|owner| Some(owner["id"].as_str()?.to_owned())),
        is_shortage_told: is_short == is_shortage_told,
    })
}
