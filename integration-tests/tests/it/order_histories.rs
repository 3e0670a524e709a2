//! What `make histories` does with a hundred thousand, with some hundreds.

use integration_tests::order_histories::{Plan, run};
use std::time::Duration;

#[tokio::test]
async fn no_history_of_orders_is_told_twice_too_little_or_too_much_and_nothing_stays_held() {
    let plan = Plan {
        histories: 800,
        seed: 1,
        at_once: 800,
        hold: Duration::from_secs(4),
        forget_within: None,
    };
    let report = run(&plan).await.unwrap();
    println!("{report}");
    assert!(report.is_met(), "{report}");
}
