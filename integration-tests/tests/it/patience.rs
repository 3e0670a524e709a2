//! How long D365 may take is the caller's to say, and what one caller says changes nothing for another.

use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::binaries::Service;
use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::{Value, json};

const TRUSTING: &str = r#"
[[channels]]
id = "trusting"
tenant = "contoso"
warehouses = ["24"]
live_failure = { policy = "accept" }
"#;

struct Slow {
    bed: TestBed,
    api: ApiClient,
    _service: Service,
}

impl Slow {
    /// D365 has a hundred of the SKU, and takes so long to say so.
    async fn start(ms: u64) -> Result<Self, Failure> {
        let channel = |config: &mut integration_tests::connector_config::ConnectorConfig| {
            config.more.push_str(TRUSTING);
        };
        let bed = TestBed::configured(world(20), &["24"], channel).await?;
        bed.put("SLOW-1", "24", "100")?;
        bed.snapshot().await?;
        let (service, api) = bed.api().await?;
        // The token is there before.
        api.exact("24", &["SLOW-1"]).await?;
        let slow = Self {
            bed,
            api,
            _service: service,
        };
        slow.takes(ms);
        Ok(slow)
    }

    fn takes(&self, ms: u64) {
        let at = DelayPoint::BeforeRead;
        let slow = FaultSpec::on(Kind::Lookup, Action::Delay { ms, at });
        self.bed.d365().clear_faults();
        self.bed.d365().add_fault(slow);
    }

    async fn order(&self, timeout_ms: u64) -> reqwest::Result<Reply> {
        let order = json!({
            "warehouseId": "24", "channel": "trusting", "timeoutMs": timeout_ms,
            "products": [{"sku": "SLOW-1", "quantity": 5_000}],
        });
        self.api
            .post("/inventory/v1/availability-checks", &order)
            .await
    }

    async fn browse(&self, sku: &str, timeout_ms: u64) -> reqwest::Result<Reply> {
        let question = json!({
            "severity": "EXACT", "warehouseId": "24", "timeoutMs": timeout_ms, "skus": [sku],
        });
        self.api.post("/inventory/v1/inventories", &question).await
    }
}

fn assert_live(reply: &Reply) {
    let line = reply.line("SLOW-1").unwrap_or(&Value::Null);
    assert_eq!(
        (&line["basis"], &line["granted"]),
        (&"live".into(), &100.into()),
        "{}",
        reply.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_inside_the_deadline_is_good_however_slow_and_however_often()
-> Result<(), Failure> {
    let slow = Slow::start(1_500).await?;
    for _ in 0..7 {
        assert_live(&slow.order(2_500).await?);
    }
    slow.takes(4_200);
    assert_live(&slow.order(5_000).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn impatient_callers_push_nobody_into_its_fallback() -> Result<(), Failure> {
    let slow = Slow::start(800).await?;
    // They browse, and one of them orders.
    for round in 0..8 {
        let sku = format!("OTHER-{round}");
        let (browsed, ordered) = futures_util::join!(slow.browse(&sku, 600), slow.order(600));
        let (browsed, ordered) = (browsed?, ordered?);
        assert_ne!(browsed.status, 200, "{}", browsed.text);
        assert_eq!(
            ordered.json["data"][0]["basis"], "accept",
            "{}",
            ordered.text
        );
    }
    assert_live(&slow.order(2_500).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_erp_is_left_alone_although_only_impatient_callers_ask() -> Result<(), Failure> {
    let slow = Slow::start(60_000).await?;
    for number in 0..8 {
        slow.browse(&format!("OTHER-{number}"), 1_200).await?;
    }
    let before = slow.bed.last_request();
    for number in 0..20 {
        let reply = slow.browse(&format!("MORE-{number}"), 1_200).await?;
        let code = reply.error_code();
        assert_eq!(code, Some("inventory.backend.unavailable.error"));
    }
    // In ten seconds one call tries.
    assert!(slow.bed.requests(Kind::Lookup, before).is_empty());
    Ok(())
}
