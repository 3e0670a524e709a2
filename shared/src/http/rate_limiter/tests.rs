use super::*;
use crate::http::caller_key::CallerName;

const SECOND: Duration = Duration::from_secs(1);

fn caller(name: &str) -> CallerKey {
    CallerKey::Name(CallerName(name.into()))
}

/// How many of so many requests at one instant pass.
fn passed(rates: &RateLimiter, name: &str, tries: usize, now: Duration) -> usize {
    (0..tries)
        .filter(|_| rates.take(caller(name), now).is_ok())
        .count()
}

#[test]
fn a_caller_has_a_burst_then_its_rate_and_others_do_not_feel_it() {
    let rates = RateLimiter::new(10, 20);
    let now = 5 * SECOND;
    assert_eq!(passed(&rates, "loud", 100, now), 20);
    assert_eq!(
        rates.take(caller("loud"), now),
        Err(TooOften(Duration::from_millis(100)))
    );
    assert_eq!(passed(&rates, "quiet", 5, now), 5);
    assert_eq!(passed(&rates, "loud", 100, now + SECOND), 10);
    // A long rest fills the bucket and no more.
    assert_eq!(passed(&rates, "loud", 100, now + 1_000 * SECOND), 20);
}

#[test]
fn nothing_is_limited_at_zero() {
    assert_eq!(
        passed(&RateLimiter::new(0, 1), "loud", 100_000, SECOND),
        100_000
    );
}

#[test]
fn many_callers_share_what_is_left_and_take_no_more_memory() {
    let rates = RateLimiter::new(1, 1);
    let now = SECOND;
    for number in 0..CALLERS {
        assert!(rates.take(caller(&number.to_string()), now).is_ok());
    }
    // All buckets are in use: newcomers have one together.
    let newcomers = (0..1_000)
        .filter(|number| rates.take(caller(&format!("new-{number}")), now).is_ok())
        .count();
    assert_eq!(newcomers, 1);
    assert!(rates.full_at.lock().unwrap().len() <= CALLERS + 1);
    // A full bucket gives its place to a new one.
    assert!(rates.take(caller("later"), now + 2 * SECOND).is_ok());
    assert_eq!(rates.full_at.lock().unwrap().len(), 1);
}

#[test]
fn what_is_given_back_can_be_taken_again() {
    let rates = RateLimiter::new(1, 1);
    assert!(rates.take(caller("a"), SECOND).is_ok());
    assert!(rates.take(caller("a"), SECOND).is_err());
    rates.give_back(&caller("a"));
    assert!(rates.take(caller("a"), SECOND).is_ok());
    rates.give_back(&caller("unknown"));
}
