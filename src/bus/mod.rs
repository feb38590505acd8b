//! Wires and time: one task per wire grants it to one dialogue at a time.
//!
//! Always true here: one request is on a wire at a time; a sweep is appended before the next dialogue begins; a bus never ends by
//! itself, it slows down. Deliberately absent: what registers mean (`driver`), where sweeps wait (`spool`), and brokers.

mod answer;
mod cost;
mod doubt;
mod link;
pub mod load;
mod memory;
mod modbus;
mod report;
mod schedule;
mod source;
mod task;
pub mod trace;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use source::Source;
use task::Task;

use crate::clock::Clock;
use crate::config::model;
use crate::notebook::Notebook;
use crate::reading::{Append, Sweep};
use crate::status::BusReporter;

/// What people or the platform ask of a wire. The scheduler alone grants it.
#[derive(Debug)]
pub enum Request {
    /// Poll this meter now; the sweep is appended like any other and a copy comes back.
    ReadNow {
        /// Name of the meter on this bus.
        meter: Box<str>,
        /// Where the sweeps go; `Err` names the reason.
        reply: oneshot::Sender<Result<Vec<Sweep>, String>>,
    },
    /// Show the last exchanges on the wire, the oldest first.
    Trace {
        /// Where they go, between two dialogues.
        reply: oneshot::Sender<Vec<trace::Exchange>>,
    },
}

/// Everything the task of one wire needs.
pub struct Bus {
    /// The wire and its meters.
    pub model: Arc<model::Bus>,
    /// Where sweeps go.
    pub append: Arc<dyn Append>,
    /// Gives stamps.
    pub clock: Clock,
    /// Takes figures.
    pub status: BusReporter,
    /// Holds what was learnt about meters.
    pub notebook: Notebook,
    /// Ad-hoc requests.
    pub inbox: mpsc::Receiver<Request>,
    /// Ends the task at the next step.
    pub stop: CancellationToken,
}

impl Bus {
    /// Polls until `stop` is cancelled. Never gives up on the wire: it slows down.
    pub async fn run(self) {
        let source = Source::Line(self.model.line.clone());
        Task::new(self, source).run().await;
    }
}
