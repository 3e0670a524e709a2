//! A stand-in for Dynamics 365 Finance & Operations and Entra ID.
//!
//! It speaks the `OData` dialect of the on-hand entities, hands out tokens of both endpoint versions,
//! keeps a journal of what was true when, and can be told to misbehave. It shares no code with the
//! connector: otherwise a misreading of D365 would agree with itself.
//!
//! [`start`] runs it inside a test on a free port; the binary runs it beside a service.
//! A test controls it by the methods of [`Simulator`], people by the control API.
//!
//! How a request passes through:
//! `endpoints` -> `entra` (is the token good?) -> `odata` (what is asked?) -> `faults` (shall it go wrong?)
//! -> `world` (what is true?) -> `odata::page_writer` -> `delivery`.
//!
//! It must never be a dependency of a service.

#![expect(missing_docs, reason = "plain fields say what they are")]

mod answer;
mod apps;
mod clock;
mod config;
mod control;
mod delivery;
mod endpoints;
mod entra;
mod faults;
mod load_model;
mod locks;
mod odata;
mod request_log;
mod sales;
mod server;
mod simulator;
mod switches;
mod world;

pub use apps::{AppRegistration, Secret};
pub use clock::UtcMillis;
pub use config::{Config, ConfigError, StockRow, TlsFiles};
pub use faults::{
    Action, CutPoint, DelayPoint, FaultReport, FaultSpec, Kind, LinkTrick, RetryAfter, ThrottleBody,
};
pub use load_model::LoadModel;
pub use request_log::{Counters, RequestRecord};
pub use server::{Handle, StartError, start};
pub use simulator::Simulator;
pub use switches::{NumberStyle, Switches};
pub use world::{
    JournalEntry, StockChange, StockKey, TruthLine, VariantLine, WarehouseLine, WorldConfig,
    WorldError,
};
