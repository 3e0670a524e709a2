//! `$batch` with a throttled part inside.

use d365_simulator::{Action, Config, FaultSpec, Kind, RetryAfter, ThrottleBody};

use crate::client::{Client, warehouse_page};

#[tokio::test]
async fn each_part_has_its_own_status() {
    let client = Client::start(Config::default()).await;
    let throttle = Action::Throttle {
        retry_after: RetryAfter::Seconds(12),
        body: ThrottleBody::WebApi,
    };
    client
        .handle
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, throttle).warehouse("12"));
    let targets = [
        format!("{}&$top=1", warehouse_page("11")),
        format!("{}&$top=1", warehouse_page("12")),
        "/data/Nothing".to_owned(),
    ];
    let parts = targets.map(|target| {
        format!(
            "--batch_x\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET {target} HTTP/1.1\r\nAccept: application/json\r\n\r\n\r\n"
        )
    });
    let body = format!("{}--batch_x--\r\n", parts.concat());
    let answer = client
        .http
        .post(format!("{}/data/$batch", client.url()))
        .bearer_auth(&client.token)
        .header("Content-Type", "multipart/mixed; boundary=batch_x")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let boundary = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .split_once("boundary=")
        .unwrap()
        .1
        .to_owned();
    let text = answer.text().await.unwrap();
    let parts: Vec<_> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 5, "{text}");
    assert!(
        parts[1].contains("HTTP/1.1 200 OK\r\n")
            && parts[1].contains("\"InventoryWarehouseId\":\"11\"")
    );
    assert!(
        parts[2].contains("HTTP/1.1 429 Too Many Requests\r\n")
            && parts[2].contains("Retry-After: 12\r\n")
    );
    assert!(parts[3].contains("HTTP/1.1 404 Not Found\r\n"));
    let log = client.handle.simulator().requests(1);
    let kinds: Vec<_> = log.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [Kind::Batch, Kind::Page, Kind::Page, Kind::Other]);
}
