use crate::erp::{Erp, first_page, look_up};
use d365_simulator::{Action, FaultSpec, Kind, RetryAfter, ThrottleBody};
use shared::d365::{AppId, D365Error, OnHandSource, Purpose};
use std::time::Duration;

#[tokio::test]
async fn every_form_of_429_closes_the_gate_for_as_long_as_it_says() {
    for (retry_after, body, seconds) in [
        (RetryAfter::Seconds(7), ThrottleBody::WebApi, 6..=7),
        (RetryAfter::DateIn(20), ThrottleBody::Odata, 18..=22),
        (RetryAfter::None, ThrottleBody::Empty, 29..=30),
        (RetryAfter::Seconds(100_000), ThrottleBody::Text, 599..=600),
    ] {
        let erp = Erp::start();
        erp.simulator()
            .add_fault(FaultSpec::on(Kind::Page, Action::Throttle { retry_after, body }).times(1));
        let error = first_page(&erp).await.err().unwrap();
        assert!(matches!(error, D365Error::Throttled { .. }), "{error}");
        let app = AppId::new(d365_simulator::Config::CLIENT_ID, &erp.host());
        let left = erp.gate.wait_left(&app).await.unwrap();
        let rounded = (left + Duration::from_millis(500)).as_secs();
        assert!(seconds.contains(&rounded), "{retry_after:?}: {left:?}");
    }
}

#[tokio::test]
async fn behind_a_closed_gate_nothing_is_sent() {
    let erp = Erp::start();
    let throttle = Action::Throttle {
        retry_after: RetryAfter::Seconds(60),
        body: ThrottleBody::WebApi,
    };
    erp.break_all(Kind::Lookup, throttle);
    let warehouse = erp.warehouse();
    let question = look_up(&["A"], &warehouse);
    let client = erp.client(Purpose::Live);
    for _ in 0..3 {
        let error = client.look_up(&question).await.unwrap_err();
        let D365Error::Throttled { retry_after } = error else {
            panic!("{error}");
        };
        assert!(retry_after > Duration::from_secs(50));
    }
    first_page(&erp).await.err().unwrap();
    assert_eq!(erp.asked(Kind::Lookup).len(), 1);
    assert_eq!(erp.asked(Kind::Page).len(), 0);
}

#[tokio::test]
async fn another_app_registration_is_not_held_back() {
    let mut erp = Erp::start();
    let app = AppId::new(d365_simulator::Config::CLIENT_ID, &erp.host());
    erp.gate.close(&app, Duration::from_mins(1)).await;
    erp.entra = "live = { client_id = \"other\", client_secret = \"x\" }".to_owned();
    let question = look_up(&["A"], &erp.warehouse());
    let error = erp.client(Purpose::Live).look_up(&question).await;
    // It went on to ask for a token, which the simulator's directory refuses to an unknown app.
    assert!(
        matches!(&error, Err(D365Error::Token { client_id, .. }) if client_id == "other"),
        "{error:?}"
    );
}
