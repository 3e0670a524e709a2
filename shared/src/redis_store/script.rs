//! Scripts: called by hash, loaded again when Redis has forgotten them.

use super::connection::{Lender, Repeat, with_lent};
use super::error::StoreError;
use crate::process::guards::{self, Guard};
use redis::{FromRedisValue, Script};
use std::time::Duration;

/// One call in the making: declared keys, then arguments.
#[derive(Clone)]
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<String>,
    arguments: Vec<String>,
}

impl<'a> Call<'a> {
    pub(super) fn of(script: &'a Script) -> Self {
        Self {
            script,
            keys: Vec::new(),
            arguments: Vec::new(),
        }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn argument(mut self, argument: impl std::fmt::Display) -> Self {
        self.arguments.push(format!("{argument}"));
        self
    }

    pub(super) fn push_key(&mut self, key: String) -> usize {
        self.keys.push(key);
        self.keys.len()
    }

    pub(super) fn push_argument(&mut self, argument: String) {
        self.arguments.push(argument);
    }

    pub(super) async fn run<T: FromRedisValue>(
        self,
        lender: &Lender,
        limit: Duration,
        repeat: Repeat,
    ) -> Result<T, StoreError> {
        with_lent(lender, limit, repeat, async |connection| {
            if guards::is_off(Guard::ScriptReload) {
                let mut call = redis::cmd("EVALSHA");
                call.arg(self.script.get_hash()).arg(self.keys.len());
                call.arg(&self.keys).arg(&self.arguments);
                return call.query_async::<T>(connection).await;
            }
            let mut invocation = self.script.prepare_invoke();
            for key in &self.keys {
                invocation.key(key);
            }
            for argument in &self.arguments {
                invocation.arg(argument);
            }
            invocation.invoke_async::<T>(connection).await
        })
        .await
    }
}
