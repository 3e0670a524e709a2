//! How long D365 may take is the caller's to say, and what one caller says changes nothing for another.

use crate::house::{House, world};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey};
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::binaries::Service;
use serde_json::{Value, json};

const CHECKS: &str = "/inventory/v1/availability-checks";
const STOCK: &str = "/inventory/v1/inventories";
const TRUSTING: &str = r#"
[[channels]]
id = "trusting"
tenant = "contoso"
warehouses = ["24"]
live_failure = { policy = "accept" }
"#;

struct Slow {
    house: House,
    api: ApiClient,
    _service: Service,
}

impl Slow {
    /// D365 has a hundred of the SKU, and takes so long to say so.
    async fn build(ms: u64) -> Self {
        let mut house = House::with(world(20), &["24"]).await;
        house.reconfigure(|config| config.more.push_str(TRUSTING));
        let key = StockKey::of("usmf", "SLOW-1", "24");
        let stock = StockChange::on_hand("100");
        house.d365().put_stock(&key, &stock).unwrap();
        house.snapshot().await;
        let (service, api) = house.api().await;
        // The token is there before.
        api.exact("24", &["SLOW-1"]).await.unwrap();
        let at = DelayPoint::BeforeRead;
        let slow = FaultSpec::on(Kind::Lookup, Action::Delay { ms, at });
        house.d365().add_fault(slow);
        Self {
            house,
            api,
            _service: service,
        }
    }

    async fn order(&self, timeout_ms: u64) -> Reply {
        let order = json!({
            "warehouseId": "24", "channel": "trusting", "timeoutMs": timeout_ms,
            "products": [{"sku": "SLOW-1", "quantity": 5_000}],
        });
        self.api.post(CHECKS, &order).await.unwrap()
    }

    async fn browse(&self, sku: &str, timeout_ms: u64) -> Reply {
        let question = json!({
            "severity": "EXACT", "warehouseId": "24", "timeoutMs": timeout_ms, "skus": [sku],
        });
        self.api.post(STOCK, &question).await.unwrap()
    }
}

fn basis_and_granted(reply: &Reply) -> (Value, Value) {
    let line = reply.line("SLOW-1").unwrap_or(&Value::Null);
    (line["basis"].clone(), line["granted"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_inside_the_deadline_is_good_however_slow_and_however_often() {
    let slow = Slow::build(1_500).await;
    for number in 0..7 {
        let reply = slow.order(2_500).await;
        let told = basis_and_granted(&reply);
        assert_eq!(
            told,
            ("live".into(), 100.into()),
            "{number}: {}",
            reply.text
        );
    }
    slow.house.d365().clear_faults();
    let at = DelayPoint::BeforeRead;
    let slower = Action::Delay { ms: 4_200, at };
    slow.house
        .d365()
        .add_fault(FaultSpec::on(Kind::Lookup, slower));
    let reply = slow.order(5_000).await;
    let told = basis_and_granted(&reply);
    assert_eq!(told, ("live".into(), 100.into()), "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn impatient_callers_push_nobody_into_its_fallback() {
    let slow = Slow::build(800).await;
    // They browse, and one of them orders.
    for round in 0..8 {
        let sku = format!("OTHER-{round}");
        let asked = futures_util::join!(slow.browse(&sku, 600), slow.order(600));
        let (browsed, ordered) = asked;
        assert_ne!(browsed.status, 200, "{}", browsed.text);
        assert_eq!(basis_and_granted(&ordered).0, "accept", "{}", ordered.text);
    }
    let reply = slow.order(2_500).await;
    let told = basis_and_granted(&reply);
    assert_eq!(told, ("live".into(), 100.into()), "{}", reply.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_erp_is_left_alone_although_only_impatient_callers_ask() {
    let slow = Slow::build(60_000).await;
    let asked = || {
        let mut asked = slow.house.d365().requests(0);
        asked.retain(|request| request.kind == Kind::Lookup);
        asked.len()
    };
    for number in 0..8 {
        slow.browse(&format!("OTHER-{number}"), 600).await;
    }
    let before = asked();
    for number in 0..20 {
        let reply = slow.browse(&format!("MORE-{number}"), 600).await;
        let code = reply.error_code();
        assert_eq!(code, Some("inventory.backend.unavailable.error"));
    }
    assert_eq!(asked(), before, "in ten seconds one call tries");
}
