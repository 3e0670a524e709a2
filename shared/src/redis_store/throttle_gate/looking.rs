//! The gate of tools that only look.

use super::SharedThrottleGate;
use crate::d365::{AppId, CallRight, Share, ThrottleGate};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// Makes one call at a time, beside the budget of all replicas, and stays away while any of them was
/// told to. Writes nothing to Redis: a tool that is killed leaves nothing behind.
#[derive(Debug)]
pub struct LookingThrottleGate(pub SharedThrottleGate);

impl ThrottleGate for LookingThrottleGate {
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>> {
        self.0.wait_left(app)
    }

    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()> {
        self.0.own.close_now(app, wait);
        Box::pin(std::future::ready(()))
    }

    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>> {
        Box::pin(std::future::ready(self.0.own.take_now(app, share, 1)))
    }
}
