//! What both services need, as six folders in one line:
//! `stock` → `settings` → `process` → `d365` → `redis_store` → `http`.
//!
//! A folder may use those to its left and never one to its right. What only one service needs lives
//! in that service.

pub mod d365;
pub mod http;
pub mod process;
pub mod redis_store;
pub mod settings;
pub mod stock;
