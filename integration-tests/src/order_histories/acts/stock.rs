//! Questions, snapshots, and what happens to the stock itself.

use super::super::history::{Done, History};
use super::super::ledger::Owner;
use std::time::Duration;

/// Most pieces that arrive at once.
const MOST_ARRIVING: i64 = 15;
/// Behind the end of a hold: every clock is past it.
const BEHIND_ITS_END: i64 = 250;

impl History<'_> {
    pub(super) async fn live(&mut self) -> Done {
        let replica = self.replica();
        let seen = self.callers.live(replica).await?;
        self.see("  live", seen)
    }

    pub(super) async fn browse(&mut self) -> Done {
        let seen = self.callers.browse().await?;
        self.see("  browse", seen)
    }

    pub(super) async fn snapshot(&mut self) -> Done {
        let snapshots = self.scene().snapshots;
        snapshots.since(self.now()).await?;
        self.browse().await
    }

    pub(super) async fn arrive(&mut self) -> Done {
        let quantity = self.chance.between(1, MOST_ARRIVING);
        self.erp.borrow_mut().move_goods(quantity)?;
        self.note(format!("  {quantity} arrive"));
        if self.chance.percent(50) {
            self.live().await?;
        }
        self.browse().await
    }

    /// Somebody takes what was promised to others.
    pub(super) async fn fall_below_held(&mut self) -> Done {
        let open = self.owners.iter().filter(|owner| owner.is_open());
        let held: i64 = open.map(Owner::quantity).sum();
        let left = held - self.chance.between(1, held + 3);
        let number = self.erp.borrow().number();
        self.erp.borrow_mut().move_goods(left - number)?;
        self.note(format!("  D365 has {left} left"));
        self.live().await?;
        self.browse().await
    }

    /// Its time will be over soon.
    pub(super) fn may_lapse(&self, owner: &Owner) -> bool {
        let hold = i64::try_from(self.scene().hold.as_millis()).unwrap_or(i64::MAX);
        let left = owner.last().map(|last| last.until - self.now());
        owner.is_open() && left.is_some_and(|left| (1..=hold + 1_000).contains(&left))
    }

    pub(super) async fn lapse(&mut self) -> Done {
        let may_lapse: Vec<usize> = (0..self.owners.len())
            .filter(|at| self.may_lapse(&self.owners[*at]))
            .collect();
        let place = self.chance.place(may_lapse.len());
        let until = may_lapse.get(place).and_then(|at| self.owners[*at].last());
        let Some(until) = until.map(|last| last.until) else {
            return Ok(());
        };
        let left = (until + BEHIND_ITS_END - self.now()).max(0);
        tokio::time::sleep(Duration::from_millis(left.unsigned_abs())).await;
        self.browse().await
    }
}
