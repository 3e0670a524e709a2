use super::*;

type Pending = PendingLookUps<&'static str>;

fn about(sku: &str) -> Subject {
    Subject {
        warehouses: [WarehouseId::parse("11").unwrap()].into(),
        sku: Sku::parse(sku).unwrap(),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Both clocks read the same.
fn at(ms: u64) -> AsOf {
    AsOf::from_unix_ms(i64::try_from(ms).unwrap()).unwrap()
}

/// Somebody arrives who waits 600 ms for others' requests and has 3 s.
fn ask(pending: &mut Pending, sku: &str, now: u64, who: &'static str) -> u64 {
    let arrival = Arrival {
        now: ms(now),
        as_of: at(now),
        longest_wait: ms(600),
        ends_at: ms(now + 3_000),
        priority: Priority::Order,
    };
    pending.join(about(sku), arrival, who)
}

fn skus(subjects: &[Subject]) -> Vec<String> {
    let mut skus: Vec<String> = subjects
        .iter()
        .map(|subject| subject.sku.to_string())
        .collect();
    skus.sort();
    skus
}

/// Looks that are due, requests beside others', and when to ask again.
fn due(pending: &mut Pending, now: u64) -> (Vec<String>, Vec<String>, Option<u128>) {
    let due = pending.due(ms(now));
    let alone: Vec<Subject> = due
        .alone
        .into_iter()
        .map(|departure| departure.subject)
        .collect();
    assert_eq!(due.watches, []);
    (
        skus(&due.looks),
        skus(&alone),
        due.next.map(|next| next.as_millis()),
    )
}

fn looked(pending: &mut Pending, sku: &str, now: u64, looked: Looked) -> Option<Departure> {
    pending.looked(&about(sku), looked, ms(now))
}

fn leased(pending: &mut Pending, sku: &str, now: u64) -> u64 {
    assert_eq!(due(pending, now).0, [sku]);
    looked(pending, sku, now, Looked::Leased).unwrap().covers
}

#[test]
fn callers_within_the_window_are_looked_after_together() {
    let mut pending = Pending::default();
    ask(&mut pending, "B", 0, "first");
    ask(&mut pending, "A", 4, "second");
    let last = ask(&mut pending, "B", 9, "third");
    assert_eq!(due(&mut pending, 9), (vec![], vec![], Some(10)));
    assert_eq!(due(&mut pending, 14).0, ["A", "B"]);
    assert_eq!(due(&mut pending, 20), (vec![], vec![], None), "under way");
    let departure = looked(&mut pending, "B", 15, Looked::Leased).unwrap();
    assert_eq!((departure.covers, departure.ends_at), (last, ms(3_009)));
    assert_eq!(pending.landed(&about("B"), last), ["first", "third"]);
    assert_eq!(pending.landed(&about("B"), last), Vec::<&str>::new());
}

#[test]
fn who_comes_after_a_request_began_waits_for_its_end_and_shares_the_next() {
    let mut pending = Pending::default();
    ask(&mut pending, "A", 0, "first");
    let first = leased(&mut pending, "A", 10);
    ask(&mut pending, "A", 11, "late");
    ask(&mut pending, "A", 200, "later");
    ask(&mut pending, "C", 190, "other");
    assert_eq!(due(&mut pending, 300).0, ["C"]);
    assert_eq!(pending.landed(&about("A"), first), ["first"]);
    let second = leased(&mut pending, "A", 300);
    assert_eq!(pending.landed(&about("A"), second), ["late", "later"]);
    assert!(!pending.is_wanted(&about("A"), second));
}

#[test]
fn nobody_waits_for_ever_for_a_request_that_came_too_early() {
    let mut pending = Pending::default();
    ask(&mut pending, "A", 0, "first");
    let first = leased(&mut pending, "A", 10);
    let second = ask(&mut pending, "A", 20, "late");
    assert_eq!(due(&mut pending, 619), (vec![], vec![], Some(620)));
    assert_eq!(due(&mut pending, 620).1, ["A"]);
    assert_eq!(due(&mut pending, 620), (vec![], vec![], None));
    assert_eq!(
        pending.landed(&about("A"), second),
        ["first", "late"],
        "it answers both"
    );
    assert!(pending.landed(&about("A"), first).is_empty());
    assert!(pending.is_empty());
}

#[test]
fn a_wait_leaves_time_for_an_answer_as_slow_as_the_last_one() {
    for (left, last_answer_took, longest) in [
        (2_500, 0, 600),
        (2_500, 80, 600),
        (800, 80, 400),
        (2_500, 1_000, 500),
        (2_500, 1_300, 0),
        (200, 5_000, 0),
    ] {
        assert_eq!(longest_wait(ms(left), ms(last_answer_took)), ms(longest));
    }
}

#[test]
fn a_stored_line_answers_those_who_came_before_it_was_read() {
    let mut pending = Pending::default();
    ask(&mut pending, "A", 0, "first");
    ask(&mut pending, "A", 8, "late");
    assert_eq!(due(&mut pending, 10).0, ["A"]);
    assert_eq!(pending.answered(&about("A"), at(7)), ["first"]);
    let elsewhere = Looked::LeasedElsewhere { since: at(5) };
    assert_eq!(looked(&mut pending, "A", 11, elsewhere), None);
    // The other replica's request came too early: it is watched until it ends or patience does.
    assert_eq!(due(&mut pending, 11), (vec![], vec![], Some(18)));
    assert_eq!(due(&mut pending, 18).0, ["A"]);
    assert!(looked(&mut pending, "A", 19, Looked::Leased).is_some());
    assert_eq!(due(&mut pending, 600), (vec![], vec![], None));
}

#[test]
fn a_third_of_the_time_is_given_to_another_replica_that_asks_for_the_caller_too() {
    let mut pending = Pending::default();
    ask(&mut pending, "A", 0, "early");
    for (now, since) in [(10, 0), (400, 390), (600, 590)] {
        assert_eq!(due(&mut pending, now).0, ["A"]);
        let elsewhere = Looked::LeasedElsewhere { since: at(since) };
        assert_eq!(looked(&mut pending, "A", now, elsewhere), None);
    }
    // From the first look on, not from each: 10 ms and a third of 2,990.
    let alone_at = 10 + 2_990 / 3;
    assert_eq!(due(&mut pending, alone_at).1, Vec::<String>::new());
    assert_eq!(
        looked(
            &mut pending,
            "A",
            alone_at,
            Looked::LeasedElsewhere { since: at(0) }
        ),
        None
    );
    let then = pending.due(ms(alone_at + 1));
    assert_eq!(then.alone.len(), 1);
    // Whichever answers first counts: the other replica's line is watched on.
    assert_eq!(skus(&pending.due(ms(alone_at + 4)).watches), ["A"]);
    assert_eq!(
        looked(&mut pending, "A", alone_at + 5, Looked::Watched),
        None
    );
    assert_eq!(pending.answered(&about("A"), at(590)), ["early"]);
}

#[test]
fn without_redis_everybody_asks_at_once() {
    let mut pending = Pending::default();
    let number = ask(&mut pending, "A", 0, "only");
    assert_eq!(due(&mut pending, 10).0, ["A"]);
    assert_eq!(looked(&mut pending, "A", 200, Looked::Unshared), None);
    assert_eq!(due(&mut pending, 200).1, ["A"]);
    assert_eq!(
        due(&mut pending, 900).0,
        Vec::<String>::new(),
        "Redis is left alone"
    );
    assert_eq!(pending.landed(&about("A"), number), ["only"]);
}

#[test]
fn who_leaves_is_not_asked_for() {
    let mut pending = Pending::default();
    let first = ask(&mut pending, "A", 0, "first");
    let covers = leased(&mut pending, "A", 10);
    assert!(pending.is_wanted(&about("A"), covers));
    assert!(pending.leave(&about("A"), first));
    assert!(!pending.leave(&about("A"), first));
    ask(&mut pending, "A", 20, "late");
    assert!(
        !pending.is_wanted(&about("A"), covers),
        "it comes too early for the other"
    );
    assert!(pending.landed(&about("A"), covers).is_empty());
    assert_eq!(due(&mut pending, 30).0, ["A"]);
}

#[test]
fn other_warehouses_are_another_subject() {
    let mut pending = Pending::default();
    ask(&mut pending, "A", 0, "here");
    let elsewhere = Subject {
        warehouses: [WarehouseId::parse("24").unwrap()].into(),
        ..about("A")
    };
    let arrival = Arrival {
        now: ms(0),
        as_of: at(0),
        longest_wait: ms(600),
        ends_at: ms(3_000),
        priority: Priority::Product,
    };
    pending.join(elsewhere, arrival, "there");
    assert_eq!(due(&mut pending, 10).0, ["A", "A"]);
}
