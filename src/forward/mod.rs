//! Brokers: takes batches from the spool's outlet, and confirms a key when the broker has acknowledged every message of it.
//!
//! ```text
//!   outlet ==Batch==> outbox (encode, lanes) ==Message==> connection (window) ==> mqtt ==> broker
//!      ^------------------------- key ------------------'  <------ PUBACK -------'
//! ```
//!
//! Always true here: a key is confirmed by PUBACKs of one connection and by nothing else; what the broker has not acknowledged is
//! offered again on the next one; live readings never wait behind backlog. Pure are `encode`, `window`, `lanes`, `parcel`,
//! `attempts`, `suspects`, `outage` and `trouble`; `mqtt` alone knows the library, `task` alone waits. Deliberately absent: storing
//! anything, and buses.

mod attempts;
mod connection;
mod encode;
mod lanes;
mod mqtt;
mod outage;
mod outbox;
mod parcel;
mod settings;
mod suspects;
mod task;
mod trouble;
mod window;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::model;
use crate::notebook::Notebook;
use crate::reading::Stamp;
use crate::spool::face::Outlet;
use crate::status::UplinkReporter;

/// What the birth message says about this daemon.
#[derive(Debug, Clone)]
pub struct About {
    /// Version of the program.
    pub version: &'static str,
    /// The random number of this run.
    pub run: u64,
    /// When the daemon started.
    pub started: Stamp,
    /// Hash of the configuration in force.
    pub configuration: String,
    /// Whether that is the last good one because the present one has errors.
    pub degraded: bool,
}

/// Everything the forwarder needs.
pub struct Forward {
    /// Brokers and credentials.
    pub uplink: model::Uplink,
    /// Names for the status topic and the client.
    pub gateway: model::Gateway,
    /// Where batches come from.
    pub outlet: Outlet,
    /// Corrects stamps that were taken before the clock was right.
    pub clock: Clock,
    /// Takes figures.
    pub status: UplinkReporter,
    /// Small durable facts of some formats.
    pub notebook: Notebook,
    /// Content of the birth message.
    pub about: watch::Receiver<About>,
    /// Send what is held, say goodbye, and end as soon as nothing is held.
    pub finish: CancellationToken,
    /// End now.
    pub stop: CancellationToken,
}

impl Forward {
    /// Forwards until told to end.
    pub async fn run(self) {
        task::Task::new(self, settings::Settings::default()).run().await;
    }
}

#[cfg(test)]
mod tests;
