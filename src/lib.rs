//! `districtd`, the daemon of a roadside gateway: it polls meters, spools readings, and forwards them over MQTT.
//!
//! ```text
//!               config/model
//!                    | (once, at start, and at reload by diff)
//!    meters ==> bus x N ==Sweep==> spool ==Batch==> forward ==> MQTT broker
//!               (driver, protocol)   ^------key--------'
//!                 ^                                     |
//!                 '---- control (read now) <------------'      all --> status
//! ```
//!
//! Readings go one way. Back to the spool travel only: this key is acked, this key is set aside, the uplink is up or down.
//! `bus` and `forward` never meet, so an outage cannot reach a meter and a dead line cannot stop the uplink.
//!
//! The modules stand in floor order; imports go downward only, and `tests/it/floors.rs` fails on a new stair.

// Floor 0: the shared words and what the machine offers.
pub mod backoff;
pub mod clock;
pub mod host;
pub mod reading;

// Floor 1: bytes, configuration, small durable facts.
pub mod config;
pub mod notebook;
pub mod protocol;

// Floor 2: meters, figures, durability.
pub mod driver;
pub mod spool;
pub mod status;

// Floor 3: wires, brokers.
pub mod bus;
pub mod forward;

// Floor 4: questions, the tree.
pub mod control;
pub mod supervisor;

// Floor 5: people.
pub mod cli;
