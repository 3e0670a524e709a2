//! Cycles in parts.

use super::bench::{Bench, LEASE, TENANT, WAREHOUSE, at, complete, end, items};
use shared::redis_store::{Claim, Finished, LeaseLost, OpenCycle, PartEnded, PartId};
use shared::stock::{AsOf, Generation};
use std::time::Duration;

impl Bench {
    async fn end_part(&self, claim: &Claim, started: AsOf) -> Result<PartEnded, LeaseLost> {
        let (_, part) = PartId::of_shard(&claim.shard).unwrap();
        let ended = self
            .store
            .finish_part(&TENANT, &WAREHOUSE, claim, part, started, "end");
        ended.await.unwrap()
    }

    async fn under_way(&self) -> Option<OpenCycle> {
        let cycle = self.store.cycle_under_way(&TENANT, &WAREHOUSE);
        cycle.await.unwrap()
    }

    /// A due warehouse whose cycle was opened, split at these items.
    async fn opened(borders: &[&str]) -> Self {
        let bench = Self::start().await;
        bench.schedule(&["24"]).await;
        assert_eq!(bench.claim("a", LEASE).await.unwrap().shard, "24");
        let opened = bench.open_under(None, at(0), borders).await;
        assert_eq!(opened, Some(Generation(1)));
        bench
    }

    async fn finish(&self, claim: &Claim) {
        let next = Duration::from_mins(15);
        let done = self.store.finish(&TENANT, claim, next, &Finished::Well);
        done.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_last_part_makes_the_warehouse_due_and_then_it_is_sealed() {
    let bench = Bench::opened(&["M", "T"]).await;
    // Parts come in their order; the warehouse is not due while they are open.
    let mut claims = Vec::new();
    for number in 1..=3 {
        let claim = bench.claim("a", LEASE).await.unwrap();
        assert_eq!(claim.shard, format!("24#1/{number}"));
        claims.push(claim);
    }
    assert_eq!(bench.claim("a", LEASE).await, None);
    for (claim, open) in claims.iter().zip([2, 1, 0]) {
        let ended = bench.end_part(claim, at(0)).await;
        assert_eq!(ended, Ok(PartEnded::Noted { open }));
        assert_eq!(bench.end_part(claim, at(0)).await, Err(LeaseLost));
    }
    let claim = bench.claim("b", LEASE).await.unwrap();
    assert_eq!(claim.shard, "24");
    let cycle = bench.under_way().await.unwrap();
    assert_eq!(cycle.ends(), Some(vec!["end"; 3]));
    assert_eq!(cycle.parts[1].range.after, items(&["M"]).pop());
    assert_eq!(cycle.parts[1].range.up_to, items(&["T"]).pop());

    let mut sealed = end(Generation(1), at(0), complete());
    sealed.borders = items(&["K"]);
    assert!(bench.seal(&sealed).await);
    bench.finish(&claim).await;
    assert_eq!(bench.claim("b", LEASE).await, None);
    assert_eq!(bench.under_way().await, None);
    let borders = bench.store.borders(&TENANT, &WAREHOUSE).await;
    assert_eq!(borders.unwrap(), items(&["K"]));
}

#[tokio::test]
async fn two_that_find_a_warehouse_due_open_one_cycle() {
    let bench = Bench::opened(&[]).await;
    for seen in [0, 1] {
        let (seen, started) = (Generation(seen), at(0));
        let opened = bench
            .store
            .open_cycle(&TENANT, &WAREHOUSE, seen, started, &[], LEASE);
        assert_eq!(opened.await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_part_that_changes_hands_without_getting_on_is_counted() {
    let bench = Bench::opened(&[]).await;
    for taken in 1..=4 {
        let claim = loop {
            if let Some(claim) = bench.claim("dies", Duration::from_millis(1)).await {
                break claim;
            }
        };
        let record = bench.store.shard_record(&TENANT, &claim.shard).await;
        assert_eq!(record.unwrap().taken, taken);
    }
}

#[tokio::test]
async fn the_part_of_another_cycle_counts_for_nothing() {
    let bench = Bench::opened(&["M"]).await;
    let part = bench.claim("a", LEASE).await.unwrap();
    let ended = bench.end_part(&part, at(1_000)).await;
    assert_eq!(ended, Ok(PartEnded::Superseded));
    let cycle = bench.under_way().await.unwrap();
    assert!(cycle.parts.iter().all(|part| part.end.is_none()));
}

#[tokio::test]
async fn parts_that_fell_off_the_schedule_are_put_back() {
    let bench = Bench::opened(&["M", "T"]).await;
    let done = bench.claim("a", LEASE).await.unwrap();
    bench.end_part(&done, at(0)).await.unwrap();
    for shard in ["24#1/2", "24#1/3", "24"] {
        bench.store.unschedule(&TENANT, shard).await.unwrap();
    }
    bench.schedule(&["24"]).await;
    let warehouse = bench.claim("b", LEASE).await.unwrap();
    assert_eq!(warehouse.shard, "24");
    // Once: it was given back.
    for watched in [Ok(2), Err(LeaseLost)] {
        let put_back = bench.store.watch_cycle(&TENANT, &warehouse, LEASE).await;
        assert_eq!(put_back.unwrap(), watched);
    }
    assert_eq!(bench.claim("b", LEASE).await.unwrap().shard, "24#1/2");
}

#[tokio::test]
async fn a_refresh_asked_for_during_a_cycle_follows_it_at_once() {
    let bench = Bench::opened(&[]).await;
    bench.store.make_due(&TENANT, "24").await.unwrap();
    let part = bench.claim("a", LEASE).await.unwrap();
    assert_eq!(part.shard, "24#1/1");
    assert_eq!(bench.claim("b", LEASE).await, None);
    bench.end_part(&part, at(0)).await.unwrap();
    let claim = bench.claim("a", LEASE).await.unwrap();
    assert!(bench.seal(&end(Generation(1), at(0), complete())).await);
    bench.finish(&claim).await;
    assert_eq!(bench.claim("a", LEASE).await.unwrap().shard, "24");
}
