//! Built services, simulator and Redis together. One binary: its parts are the modules below.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "this is test code throughout, helpers included"
)]

mod accepting;
mod auth;
mod auth_oidc;
mod bad_input;
mod canary;
mod connections;
mod dead_connections;
mod demand;
mod deployment;
mod events;
mod frozen_redis;
mod harness;
mod never_complete;
mod order_histories;
mod patience;
mod redis_users;
mod rolling_restart;
mod scaling;
mod settings_change;
mod spellings;
mod tls;
mod truth;
mod vanishing_items;
mod worker_tools;
mod wrong_settings;
