//! Feeds: what a watermark proves, and under which settings.

use super::bench::{
    Bench, LEASE, TENANT, WAREHOUSE, at, complete, end, eventually, line, settings,
};
use shared::redis_store::{Sealed, StoreError, StoredLine};
use shared::stock::StockState::{Absent, Present, Suspect, Unknown};
use shared::stock::{Generation, SnapshotState, Verdict};
use std::time::Duration;

#[tokio::test]
async fn the_watermark_moves_with_complete_cycles_only() {
    let bench = Bench::start().await;
    let snapshot = async || {
        let record = bench.record().await;
        // A question is answered by some fields of the same record.
        let question = bench.read_under(None, &["X"]).await;
        assert_eq!(question.feeds, [record.standing]);
        record
    };
    assert_eq!(snapshot().await.standing.state, SnapshotState::Cold);

    let first = bench.open(at(0)).await;
    assert_eq!(snapshot().await.standing.state, SnapshotState::Warming);
    let partial = Sealed::Partial {
        reason: "page 2: HTML".to_owned(),
    };
    assert!(bench.seal(&end(first, at(0), partial)).await);
    let after = snapshot().await;
    assert_eq!(after.standing.state, SnapshotState::Partial);
    assert_eq!(after.standing.watermark, None);
    assert_eq!(after.reason.as_deref(), Some("page 2: HTML"));

    for (ms, rows) in [(1, 100), (2, 110)] {
        let mut complete = end(bench.open(at(ms)).await, at(ms), complete());
        complete.rows = rows;
        assert!(bench.seal(&complete).await);
    }
    let after = snapshot().await;
    let standing = after.standing;
    assert_eq!(standing.state, SnapshotState::Complete);
    assert_eq!(
        (standing.watermark, standing.previous_watermark),
        (Some(at(2)), Some(at(1)))
    );
    assert_eq!((after.reason, after.recent_rows), (None, vec![110, 100]));
    assert_eq!(
        (after.generation, after.hash.as_deref()),
        (Generation(3), Some("abc"))
    );
}

#[tokio::test]
async fn a_watermark_of_a_clock_that_was_put_right_gives_way() {
    let bench = Bench::start().await;
    for started in [at(30_000), at(40_000), at(1)] {
        let generation = bench.open(started).await;
        assert!(bench.seal(&end(generation, started, complete())).await);
    }
    let standing = bench.record().await.standing;
    assert_eq!(
        (standing.watermark, standing.previous_watermark),
        (Some(at(1)), None)
    );
}

#[tokio::test]
async fn only_the_cycle_that_began_last_on_this_server_is_sealed() {
    let mut bench = Bench::start().await;
    // Overtaken.
    let old = bench.open(at(0)).await;
    let new = bench.open(at(5)).await;
    assert!(!bench.seal(&end(old, at(0), complete())).await);
    assert!(bench.seal(&end(new, at(5), complete())).await);

    // A replica took over: lines may be lost, so that it can only be partial.
    let generation = bench.open(at(6)).await;
    let _: String = bench.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let _: String = bench.ask(&["REPLICAOF", "NO", "ONE"]).await;
    let replaced = end(generation, at(6), complete());
    let sealed = bench.store.seal(&TENANT, &WAREHOUSE, &replaced).await;
    assert_eq!(sealed, Err(StoreError::Replaced));
    assert_eq!(bench.record().await.standing.watermark, Some(at(5)));
    let reason = StoreError::Replaced.to_string();
    let partial = end(generation, at(6), Sealed::Partial { reason });
    assert!(bench.seal(&partial).await);

    // Redis came back empty: generations begin again, starts do not.
    bench.redis.restart().unwrap();
    eventually(async || bench.store.ping().await.ok()).await;
    assert_eq!(bench.open(at(9)).await, old);
    assert!(!bench.seal(&end(old, at(0), complete())).await);
    assert_eq!(bench.record().await.standing.watermark, None);
}

/// An earlier version spelled names as D365 does: its lines stand where nobody looks for them.
#[tokio::test]
async fn what_a_version_with_other_names_did_not_see_is_not_absent() {
    let bench = Bench::start().await;
    bench.snapshot_under(1, "A").await;
    bench
        .until(bench.now().plus(Duration::from_millis(5)))
        .await;
    let proved = bench.snapshot_under(1, "A").await;
    assert_eq!(bench.states(1).await, [Present, Absent]);

    // It seals two snapshots.
    let later = [1, 2].map(|ms| proved.plus(Duration::from_millis(ms)));
    bench.until(later[1]).await;
    let (before, last) = (later[0].to_string(), later[1].to_string());
    let key = "inv:t:snapshot:24";
    let watermarks = [
        "HSET",
        key,
        "watermark",
        &last,
        "previous_watermark",
        &before,
    ];
    let _: i64 = bench.ask(&watermarks).await;
    assert_eq!(bench.states(1).await, [Suspect, Unknown]);

    // It ends the part of a cycle of this version.
    let started = bench.now();
    let generation = bench.open_under(Some(1), started, &[]).await.unwrap();
    let _: i64 = bench.ask(&["HSET", "inv:t:cycle:24", "end:1", "end"]).await;
    let _: i64 = bench
        .ask(&["HINCRBY", "inv:t:cycle:24", "open", "-1"])
        .await;
    assert!(bench.seal(&end(generation, started, complete())).await);
    assert_eq!(bench.states(1).await, [Suspect, Unknown]);

    bench.until(started.plus(Duration::from_millis(5))).await;
    bench.snapshot_under(1, "B").await;
    assert_eq!(bench.states(1).await, [Suspect, Present]);
    bench
        .until(bench.now().plus(Duration::from_millis(5)))
        .await;
    bench.snapshot_under(1, "B").await;
    assert_eq!(bench.states(1).await, [Absent, Present]);
}

#[tokio::test]
async fn other_settings_neither_show_nor_deny_what_was_read_before_them() {
    let bench = Bench::start().await;
    bench.snapshot_under(1, "A").await;
    assert_eq!(bench.states(1).await, [Present, Absent]);
    // Others see nothing, whatever became of the feed.
    assert_eq!(bench.states(2).await, [Unknown; 2]);

    let since = bench.change_to(2).await;
    assert_eq!(bench.states(1).await, [Unknown; 2]);
    assert_eq!(bench.states(2).await, [Unknown; 2]);
    bench.until(since).await;
    bench.snapshot_under(2, "B").await;
    assert_eq!(bench.states(2).await, [Absent, Present]);
    assert_eq!(bench.states(1).await, [Unknown; 2]);

    // And back again: what the first settings had read is not theirs any more.
    let since = bench.change_to(1).await;
    assert_eq!(bench.states(1).await, [Unknown; 2]);
    bench.until(since).await;
    bench.snapshot_under(1, "A").await;
    assert_eq!(bench.states(1).await, [Present, Absent]);
    assert_eq!(bench.states(2).await, [Unknown; 2]);
}

#[tokio::test]
async fn whoever_still_has_the_old_settings_writes_nothing_under_the_new_ones() {
    let bench = Bench::start().await;
    let write = async |of| {
        let store = bench.store.under(Some(settings(of)));
        let lines = [line("A", Some(1), bench.now())];
        store.apply(&TENANT, &lines).await.unwrap().verdicts[0]
    };
    let started = bench.now();
    let old = bench.open_under(Some(1), started, &[]).await.unwrap();
    assert_eq!(write(1).await, Verdict::Applied);
    let since = bench.change_to(2).await;
    bench.until(started.plus(Duration::from_millis(5))).await;
    assert_eq!(write(1).await, Verdict::RefusedOtherSettings);
    assert_eq!(bench.open_under(Some(1), bench.now(), &[]).await, None);
    assert!(
        !bench.seal(&end(old, started, complete())).await,
        "the cycle is over"
    );
    // Read with the new ones before they hold, a line could be one of the old ones.
    assert_eq!(write(2).await, Verdict::Applied);
    let lines = bench.read_under(Some(2), &["A"]).await.lines;
    assert_eq!(lines, [StoredLine::Missing]);
    bench.until(since).await;
    assert_eq!(write(2).await, Verdict::Applied);
    assert_eq!(bench.states(2).await, [Present, Unknown]);
}

#[tokio::test]
async fn a_feed_begun_anew_keeps_its_generations_and_nothing_to_be_compared_with() {
    let bench = Bench::start().await;
    bench.snapshot_under(1, "A").await;
    assert_eq!(bench.record().await.recent_rows, [100]);
    let since = bench.change_to(2).await;
    let after = bench.record().await;
    assert_eq!(
        (after.generation, after.sealed),
        (Generation(1), Generation(0))
    );
    assert_eq!((after.recent_rows, after.started), (Vec::new(), None));
    assert_eq!(after.standing.wanted, Some(since));
    let history = bench.store.history(&TENANT, &WAREHOUSE).await.unwrap();
    assert_eq!(history.len(), 1);
    // The same change again changes nothing; an instant that has passed could be earlier than a line.
    let change = async |of, since| {
        let change = bench
            .store
            .change_settings(&TENANT, &WAREHOUSE, settings(of), since);
        change.await
    };
    assert_eq!(change(2, since.plus(LEASE)).await, Ok(false));
    assert_eq!(change(1, bench.now()).await, Err(StoreError::TimedOut));
    assert_eq!(bench.record().await.standing.wanted, Some(since));
}

#[tokio::test]
async fn a_record_of_before_fingerprints_is_adopted_and_vouches_as_before() {
    let bench = Bench::start().await;
    let started = bench.now();
    let generation = bench.open(started).await;
    let lines = [line("A", Some(1), started)];
    bench.store.apply(&TENANT, &lines).await.unwrap();
    assert!(bench.seal(&end(generation, started, complete())).await);
    assert_eq!(bench.record().await.standing.settings, None);
    assert_eq!(
        bench.states(1).await,
        [Present, Absent],
        "believed as it is"
    );

    let warehouses = std::slice::from_ref(&*WAREHOUSE);
    let adopted = bench.store.adopt_feeds(&TENANT, warehouses, settings(1));
    adopted.await.unwrap();
    assert_eq!(bench.states(1).await, [Present, Absent]);
    assert_eq!(bench.states(2).await, [Unknown; 2]);
    bench.until(started.plus(Duration::from_millis(5))).await;
    bench.snapshot_under(1, "B").await;
    assert_eq!(bench.states(1).await, [Suspect, Present]);
}

#[tokio::test]
async fn the_first_cycle_of_a_feed_takes_no_line_of_before_for_its_own() {
    let bench = Bench::start().await;
    let early = bench.now();
    let store = bench.store.under(Some(settings(2)));
    let applied = store.apply(&TENANT, &[line("A", Some(1), early)]).await;
    assert_eq!(applied.unwrap().applied(), 1);
    bench.until(early.plus(Duration::from_millis(5))).await;
    bench.snapshot_under(1, "B").await;
    assert_eq!(bench.states(1).await, [Absent, Present]);
}
