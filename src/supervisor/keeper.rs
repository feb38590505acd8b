//! Keeps one bus running: on the main runtime or on a thread of its own, and again after a panic.
//!
//! Always true here: a serial line has its own thread and runtime, because its waits are below a millisecond; a panic of one bus is
//! never another's. Deliberately absent: what a bus does, and why it should end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::restart::Restarts;
use crate::bus::Bus;
use crate::clock::{self, Clock};
use crate::config::model;
use crate::control::Wires;
use crate::notebook::Notebook;
use crate::reading::Append;
use crate::status::Board;

/// Ad-hoc requests that may wait for one wire.
const INBOX: usize = 16;

/// What every bus is given besides its model.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) append: Arc<dyn Append>,
    pub(super) clock: Clock,
    pub(super) board: Board,
    pub(super) notebook: Notebook,
    pub(super) wires: Wires,
}

/// A bus that is being kept running.
pub(super) struct Kept {
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Kept {
    /// Starts a bus and keeps it running until [`Kept::end`].
    pub(super) fn start(model: model::Bus, around: Surroundings) -> Self {
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keep(Arc::new(model), around, stop.clone()));
        Self { stop, keeper }
    }

    /// Asks the bus to end at its next step.
    pub(super) fn ask_to_end(&self) {
        self.stop.cancel();
    }

    /// Waits until the bus has ended and let go of its wire, at most `until` then; `false` when it had not.
    pub(super) async fn ended(mut self, until: Instant) -> bool {
        if tokio::time::timeout_at(until, &mut self.keeper).await.is_ok() {
            return true;
        }
        self.keeper.abort();
        false
    }
}

/// Starts the bus again after each panic, slower each time.
async fn keep(model: Arc<model::Bus>, around: Surroundings, stop: CancellationToken) {
    let mut restarts = Restarts::default();
    loop {
        let started = clock::monotonic();
        let (questions, inbox) = mpsc::channel(INBOX);
        around.wires.connect(&model, questions);
        let ended = run(bus(&model, &around, inbox, &stop)).await;
        let Err(panic) = ended else { return };
        let pause = restarts.pause(started, clock::monotonic());
        error!(bus = %model.name, %panic, again_in = ?pause, "this bus failed by a fault of ours and starts again; the others run on");
        around.board.bus(&model.name).update(|bus| bus.restarts += 1);
        around.board.rests(&model.name);
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

fn bus(
    model: &Arc<model::Bus>,
    around: &Surroundings,
    inbox: mpsc::Receiver<crate::bus::Request>,
    stop: &CancellationToken,
) -> Bus {
    Bus {
        model: Arc::clone(model),
        append: Arc::clone(&around.append),
        clock: around.clock.clone(),
        status: around.board.bus(&model.name),
        notebook: around.notebook.clone(),
        inbox,
        stop: stop.clone(),
    }
}

/// Runs a bus where it belongs; `Err` holds the message of a panic.
async fn run(bus: Bus) -> Result<(), String> {
    match bus.model.line {
        model::Line::Tcp(_) => tokio::spawn(bus.run()).await.map_err(|failed| match failed.try_into_panic() {
            Ok(panic) => message(panic.as_ref()),
            Err(failed) => failed.to_string(),
        }),
        model::Line::Serial(_) => run_on_a_thread(bus).await,
    }
}

async fn run_on_a_thread(bus: Bus) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let name = format!("bus {}", bus.model.name);
    let thread = thread::Builder::new().name(name).spawn(move || {
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| block_on(bus)));
        let ended = ended.unwrap_or_else(|panic| Err(message(panic.as_ref())));
        // Nobody listens any more when the supervisor ran out of patience; the thread ends all the same.
        let _ = tell.send(ended);
    });
    match thread {
        Ok(_) => told.await.unwrap_or_else(|_| Err("its thread ended without a word".into())),
        Err(error) => Err(format!("no thread to be had: {error}")),
    }
}

fn block_on(bus: Bus) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime to be had: {error}"))?;
    runtime.block_on(bus.run());
    Ok(())
}

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".into())
}
