//! What both services need, as six rooms in one line:
//! `stock` → `settings` → `process` → `d365` → `redis_store` → `http_edge`.
//!
//! A room may use the rooms to its left and never one to its right. Whatever only one service
//! needs lives in that service.

pub mod d365;
pub mod http_edge;
pub mod process;
pub mod redis_store;
pub mod settings;
pub mod stock;
