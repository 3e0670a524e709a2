use crate::erp::{Erp, items, look_up, shown, shown_truth, sorted, world_of};
use d365_simulator::{Action, Config, DelayPoint, FaultSpec, Kind};
use shared::d365::{D365Client, D365Error, LookUp, OnHandSource, Purpose};
use std::time::Duration;

#[tokio::test]
async fn a_live_answer_is_the_truth_of_now() {
    let erp = Erp::start();
    let client = erp.client(Purpose::Live);
    for (item, quantity) in [
        (" LEADING", "7"),
        ("O'NEIL''X", "-2.5"),
        ("A&B=C%#+?/\\", "0"),
        ("Mixed-1", "5"),
    ] {
        let warehouse = erp.stocked(item, quantity);
        let before = erp.clock.now();
        let answer = client
            .look_up(&look_up(&[&*item.to_uppercase(), "NEVER-SEEN"], &warehouse))
            .await
            .unwrap();
        assert!(answer.as_of >= before);
        let found: Vec<_> = answer.rows.iter().map(|row| row.item.as_str()).collect();
        assert_eq!(found, [item]);
        assert_eq!(answer.rows[0].quantities.on_hand.to_string(), quantity);
        assert_eq!((answer.dropped_rows, answer.unproved), (0, vec![]));
    }
    assert_eq!(erp.asked(Kind::Lookup).len(), 4);
}

#[tokio::test]
async fn many_items_in_many_pages_are_all_found() {
    let erp = Erp::with(Config {
        page_size: 9,
        ..world_of(60)
    });
    let warehouse = erp.warehouse();
    let truth = erp.truth(&warehouse);
    let mut numbers: Vec<&str> = truth
        .iter()
        .map(|line| line.item.as_str())
        .filter(|item| !item.contains('*'))
        .collect();
    numbers.dedup();
    assert!(numbers.len() > 30);
    let client = erp.client(Purpose::Live);
    let question = look_up(&numbers, &warehouse);
    let answer = client.look_up(&question).await.unwrap();
    let expected = truth.iter().filter(|line| !line.item.contains('*'));
    assert_eq!(
        sorted(answer.rows.iter().map(shown)),
        sorted(expected.map(shown_truth))
    );
    // Found all the same: their absence alone could not be proved.
    assert!(answer.unproved.iter().all(|item| !item.as_str().is_ascii()));
}

#[tokio::test]
async fn an_item_with_an_asterisk_is_refused_without_asking() {
    let erp = Erp::start();
    let warehouse = erp.stocked("A*", "5");
    for item in ["A*", "*"] {
        let question = look_up(&["GOOD", item], &warehouse);
        let error = erp.client(Purpose::Live).look_up(&question).await;
        assert!(matches!(error, Err(D365Error::Unaskable { .. })));
    }
    assert_eq!(erp.simulator().counters().requests, 0);
}

#[tokio::test]
async fn a_wrong_company_proves_nothing() {
    let erp = Erp::start();
    let warehouse = erp.stocked("A", "5");
    let company = "dat".to_owned();
    erp.break_all(Kind::Lookup, Action::WrongCompany { company });
    let question = look_up(&["A"], &warehouse);
    let answer = erp.client(Purpose::Live).look_up(&question).await.unwrap();
    assert_eq!((answer.rows, answer.unproved), (vec![], items(&["A"])));
}

#[tokio::test]
async fn an_unavailable_front_door_is_tried_once_more() {
    let erp = Erp::start();
    let warehouse = erp.stocked("A", "5");
    let unavailable = Action::Unavailable { retry_after: None };
    let fault = FaultSpec::on(Kind::Lookup, unavailable);
    erp.simulator().add_fault(fault.clone().times(1));
    let client = erp.client(Purpose::Live);
    let question = look_up(&["A"], &warehouse);
    assert_eq!(client.look_up(&question).await.unwrap().rows.len(), 1);
    assert_eq!(erp.asked(Kind::Lookup).len(), 2);

    erp.simulator().add_fault(fault);
    let error = client.look_up(&question).await.unwrap_err();
    assert!(matches!(error, D365Error::Status { status: 503, .. }));
    assert_eq!(erp.asked(Kind::Lookup).len(), 4);

    let hurried = LookUp {
        time_left: Duration::from_millis(40),
        ..question
    };
    // Over no kept connection, whose silence would be a reason of its own to ask again.
    let client = erp.client(Purpose::Live);
    client.look_up(&hurried).await.unwrap_err();
    assert!(
        erp.asked(Kind::Lookup).len() <= 5,
        "no time left: no repeat"
    );
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    for (action, status) in [
        (Action::ServerError, 500),
        (Action::Forbidden, 403),
        (Action::Unauthorized, 401),
    ] {
        let erp = Erp::start();
        let warehouse = erp.stocked("A", "5");
        erp.break_all(Kind::Lookup, action);
        let question = look_up(&["A"], &warehouse);
        let error = erp.client(Purpose::Live).look_up(&question).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, D365Error::Status { status: found, .. } if found == status),
            "{error}"
        );
        assert_eq!(erp.asked(Kind::Lookup).len(), 1);
        assert_eq!(erp.asked(Kind::Token).len(), 1);
    }
}

#[tokio::test]
async fn the_time_allowed_is_kept() {
    let erp = Erp::start();
    let warehouse = erp.stocked("A", "5");
    erp.break_all(Kind::Any, Action::BlackHole);
    let client = erp.client(Purpose::Live);
    for time_left in [Duration::from_millis(150), Duration::from_millis(1_500)] {
        let question = LookUp {
            time_left,
            ..look_up(&["A"], &warehouse)
        };
        let started = erp.clock.monotonic();
        let error = client.look_up(&question).await.unwrap_err();
        let took = erp.clock.monotonic().saturating_sub(started);
        assert!(matches!(error, D365Error::TimedOut { .. }), "{error}");
        assert!(took < time_left + Duration::from_millis(250), "{took:?}");
    }
}

#[tokio::test]
async fn an_answer_may_take_all_the_time_there_is() {
    let erp = Erp::start();
    let warehouse = erp.stocked("A", "5");
    let slow = Action::Delay {
        ms: 1_700,
        at: DelayPoint::BeforeRead,
    };
    erp.break_all(Kind::Lookup, slow);
    let client = erp.client(Purpose::Live);
    for _ in 0..2 {
        let answer = client.look_up(&look_up(&["A"], &warehouse)).await.unwrap();
        assert_eq!(answer.rows.len(), 1);
    }
    let hurried = LookUp {
        time_left: Duration::from_millis(600),
        ..look_up(&["A"], &warehouse)
    };
    let error = client.look_up(&hurried).await.unwrap_err();
    let D365Error::TimedOut { silent_for, .. } = error else {
        panic!("{error}");
    };
    assert!(silent_for > Duration::from_millis(500), "{silent_for:?}");
}

#[tokio::test]
async fn a_dead_environment_is_a_failed_connection_without_its_address() {
    let erp = Erp::start();
    let warehouse = erp.warehouse();
    let client = erp.client(Purpose::Live);
    let question = look_up(&["A"], &warehouse);
    client.look_up(&question).await.unwrap();
    let mut settings = erp.settings();
    settings.environment_url = "http://127.0.0.1:1".parse().unwrap();
    let (clock, gate) = (erp.clock.clone(), erp.gate.clone());
    let dead = D365Client::new(&settings, Purpose::Live, clock, gate).unwrap();
    let error = dead.look_up(&question).await.unwrap_err();
    assert!(matches!(error, D365Error::Connection { .. }), "{error}");
    assert!(!error.to_string().contains("filter"), "{error}");
}
