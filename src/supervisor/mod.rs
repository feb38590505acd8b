//! Builds the tree of tasks, keeps it running, and takes it down in order.
//!
//! Always true here: the locks of the spool are taken before any port or broker is opened; at the end buses stop first, then the
//! spool settles, then the forwarder waits for acks, all within the time that the unit gives; the death of the forwarder or of the spool ends the
//! process, a panic of a bus restarts that bus alone. Deliberately absent: readings, and the exit itself.

mod keeper;
mod pulse;
pub mod reload;
pub mod restart;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{self, Clock};
use crate::config::model::Config;
use crate::control::{self, Wires};
use crate::forward::{About, Forward};
use crate::host::notify;
use crate::host::signals::{Signal, Signals};
use crate::notebook::Notebook;
use crate::reading::{Event, Told};
use crate::spool::face::{OpenError, Settings, Spool};
use crate::status::Board;
use keeper::{Kept, Surroundings};

/// How long each part of the end may take; together below the unit's TimeoutStopSec.
struct Patience;

impl Patience {
    /// For the buses to end their step.
    const BUSES: Duration = Duration::from_secs(5);
    /// For the spool to write and sync what is not acked; it gives up by itself before.
    const SETTLE: Duration = Duration::from_secs(11);
    /// For the forwarder to collect acks.
    const ACKS: Duration = Duration::from_secs(5);
    /// For the notebook, and for the spool, to close.
    const CLOSE: Duration = Duration::from_secs(3);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Asked to, and in order.
    InOrder,
    /// Asked twice: at once. What was taken stands in the journal.
    AtOnce,
    /// Forwarder or spool died; the service manager starts us again.
    Died,
}

/// The answer to a request for a reload.
pub type Reloaded = Option<Config>;

/// A daemon that runs.
pub struct Daemon {
    config: Config,
    board: Board,
    clock: Clock,
    notebook: Notebook,
    spool: Spool,
    timekeeper: JoinHandle<()>,
    pulse: JoinHandle<()>,
    desk: Option<JoinHandle<()>>,
    wires: Wires,
    buses: BTreeMap<Box<str>, Kept>,
    uplink: Uplink,
    about: watch::Sender<About>,
}

/// The forwarder and how it is told to end.
struct Uplink {
    task: JoinHandle<()>,
    finish: CancellationToken,
    stop: CancellationToken,
}

impl Daemon {
    /// Takes the locks, then starts everything. `degraded`: the configuration is the last good one, because the present one has
    /// errors.
    ///
    /// # Errors
    /// When another daemon holds the spool.
    pub fn start(config: Config, degraded: bool) -> Result<Self, OpenError> {
        let (board, clock) = (Board::new(), Clock::system());
        let settings =
            Settings { spool: config.spool.clone(), batch_age: config.uplink.batch_age, gateway: config.gateway.clone() };
        let spool = Spool::open(&settings, clock.clone(), board.spool())?;
        let notebook = Notebook::open(&config.gateway.state.join("notebook.json"));
        let about = About {
            version: env!("CARGO_PKG_VERSION"),
            run: spool.run(),
            started: clock.now(),
            configuration: config.hash.clone(),
            degraded,
        };
        let (about, _) = watch::channel(about);
        let timekeeper = tokio::spawn({
            let spool = spool.clone();
            async move { spool.keep_time().await }
        });
        let pulse = tokio::spawn(pulse::beat(board.clone()));
        let uplink = Uplink::start(&config, &spool, &clock, &board, &notebook, about.subscribe());
        let wires = Wires::default();
        let desk = open_desk(&config, &board, &wires);
        let buses = BTreeMap::new();
        let mut daemon = Self { config, board, clock, notebook, spool, timekeeper, pulse, desk, wires, buses, uplink, about };
        daemon.start_buses(|_| true);
        if degraded {
            daemon.tell("configuration-last-good", "the configuration has errors; the last good one runs");
        }
        Ok(daemon)
    }

    /// Runs until a signal or a death. `read` reads the configuration again, and gives `None` after saying why it cannot be used.
    pub async fn run(mut self, mut signals: Signals, mut read: impl FnMut() -> Reloaded) -> Ended {
        notify::ready(&pulse::line(&self.board.snapshot()));
        loop {
            let signal = tokio::select! {
                signal = signals.next() => Some(signal),
                _ = &mut self.uplink.task => {
                    error!("the forwarder ended by a fault of ours; the process ends so that all starts afresh");
                    None
                }
                _ = &mut self.timekeeper => {
                    error!("the spool ended by a fault of ours; the process ends so that all starts afresh");
                    None
                }
            };
            match signal {
                None => return Ended::Died,
                Some(Signal::Stop) => return self.end(signals).await,
                Some(Signal::Reload) => self.reload(read()).await,
            }
        }
    }

    /// Ends in order, unless a second signal wants it at once.
    async fn end(self, mut signals: Signals) -> Ended {
        info!("ending: buses first, then what is taken goes to flash, then acks are awaited");
        notify::stopping("ending");
        tokio::select! {
            () = self.take_down() => Ended::InOrder,
            () = second_stop(&mut signals) => {
                warn!("asked again: ending at once; what was taken stands in the journal");
                Ended::AtOnce
            }
        }
    }

    async fn take_down(mut self) {
        let names: Vec<_> = self.buses.keys().cloned().collect();
        self.end_buses(&names).await;
        in_time(Patience::SETTLE, "the spool did not settle", self.spool.settle()).await;
        self.uplink.finish.cancel();
        in_time(Patience::ACKS, "not everything was acknowledged; it waits on flash for the next start", async {
            // A panic of the forwarder changes nothing at this point: what is not acked is on flash.
            let _ = (&mut self.uplink.task).await;
        })
        .await;
        self.uplink.stop.cancel();
        self.pulse.abort();
        self.desk.iter().for_each(JoinHandle::abort);
        self.timekeeper.abort();
        let notebook = self.notebook.clone();
        in_time(Patience::CLOSE, "the notebook was not written", async {
            // It has said itself what it could not write.
            let _ = tokio::task::spawn_blocking(move || notebook.close()).await;
        })
        .await;
        in_time(Patience::CLOSE, "the spool did not close", self.spool.close()).await;
    }

    /// Puts a new configuration in force by its difference to the running one.
    async fn reload(&mut self, wanted: Reloaded) {
        notify::reloading();
        match wanted {
            Some(wanted) => self.change_to(wanted).await,
            None => self.tell("configuration-rejected", "the edited configuration has errors; the running one stays"),
        }
        notify::ready(&pulse::line(&self.board.snapshot()));
    }

    async fn change_to(&mut self, wanted: Config) {
        let difference = reload::difference(&self.config, &wanted);
        if !difference.later.is_empty() {
            let tables = difference.later.join(" and ");
            return warn!(tables, "this edit takes effect at the next start (systemctl restart districtd); nothing is changed now");
        }
        info!(stopped = difference.stop.len(), started = difference.start.len(), uplink = difference.uplink, "reloading");
        self.end_buses(&difference.stop).await;
        self.config = wanted;
        self.start_buses(|name| difference.start.iter().any(|started| &**started == name));
        self.about.send_modify(|about| {
            about.configuration.clone_from(&self.config.hash);
            about.degraded = false;
        });
        if difference.uplink {
            self.restart_uplink().await;
        }
    }

    async fn restart_uplink(&mut self) {
        self.uplink.stop.cancel();
        // Its end is what is awaited, however it comes.
        let _ = (&mut self.uplink.task).await;
        let about = self.about.subscribe();
        self.uplink = Uplink::start(&self.config, &self.spool, &self.clock, &self.board, &self.notebook, about);
    }

    fn start_buses(&mut self, wanted: impl Fn(&str) -> bool) {
        let around = Surroundings {
            append: self.spool.appender(),
            clock: self.clock.clone(),
            board: self.board.clone(),
            notebook: self.notebook.clone(),
            wires: self.wires.clone(),
        };
        for bus in self.config.buses.iter().filter(|bus| wanted(&bus.name)) {
            self.buses.insert(bus.name.clone(), Kept::start(bus.clone(), around.clone()));
        }
    }

    async fn end_buses(&mut self, names: &[Box<str>]) {
        let ending: Vec<_> = names.iter().filter_map(|name| Some((name, self.buses.remove(name)?))).collect();
        for (_, kept) in &ending {
            kept.ask_to_end();
        }
        let until = (clock::monotonic() + Patience::BUSES).into();
        for (name, kept) in ending {
            if !kept.ended(until).await {
                warn!(bus = %name, "this bus did not end in time and is left behind");
            }
            self.wires.disconnect(name);
            self.board.forget_bus(name);
        }
    }

    fn tell(&self, code: &str, text: &str) {
        let gateway = &self.config.gateway;
        let told = Told::Notice { code: code.into(), text: text.into() };
        let event = Event { gateway: gateway.name.clone(), district: gateway.district.clone(), stamp: self.clock.now(), told };
        self.spool.appender().tell(event);
    }
}

impl Uplink {
    fn start(
        config: &Config,
        spool: &Spool,
        clock: &Clock,
        board: &Board,
        notebook: &Notebook,
        about: watch::Receiver<About>,
    ) -> Self {
        let (finish, stop) = (CancellationToken::new(), CancellationToken::new());
        let forward = Forward {
            uplink: config.uplink.clone(),
            gateway: config.gateway.clone(),
            outlet: spool.outlet(),
            clock: clock.clone(),
            status: board.uplink(),
            notebook: notebook.clone(),
            about,
            finish: finish.clone(),
            stop: stop.clone(),
        };
        Self { task: tokio::spawn(forward.run()), finish, stop }
    }
}

/// Questions are a convenience: without the socket everything else runs.
fn open_desk(config: &Config, board: &Board, wires: &Wires) -> Option<JoinHandle<()>> {
    let path = control::socket(&config.spool.journal);
    match control::listen(&path) {
        Ok(listener) => Some(tokio::spawn(control::serve(listener, board.clone(), wires.clone()))),
        Err(error) => {
            warn!(path = %path.display(), %error, "no control socket: `districtd status` and `districtd read` will not work");
            None
        }
    }
}

async fn in_time(patience: Duration, otherwise: &str, work: impl Future<Output = ()>) {
    if tokio::time::timeout(patience, work).await.is_err() {
        warn!("{otherwise}");
    }
}

async fn second_stop(signals: &mut Signals) {
    while signals.next().await != Signal::Stop {}
}
