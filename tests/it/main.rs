//! Everything that is tested on the daemon as a process, against simulated meters, a real broker and an oracle between.
//!
//! Every test has folders, ports and processes of its own; they run side by side. Random ones print their seed, which
//! DISTRICTD_SEED sets. DISTRICTD_ROUNDS and DISTRICTD_FULL ask for more than the quick tier does.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on should stop and say where; tests keep their own time"
)]

#[path = "../sim/mod.rs"]
mod sim;

mod backlog;
mod bad_configs;
mod configs;
mod configuration;
mod decode;
mod demo;
mod edit;
mod floors;
mod healthy;
mod noisy_line;
mod outage;
mod profiles;
mod questions;
mod readme;
mod scene;
mod shutdown;
mod starts;
mod values;
