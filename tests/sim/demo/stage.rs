//! The plant of the demo: six feeders behind a Modbus TCP endpoint, two lamps on an RTU line, broker, relay and daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use tempfile::TempDir;

use crate::embedded::Embedded;
use crate::screen::{Figures, Screen};
use crate::sim::account::{Account, Arrived};
use crate::sim::daemon::Daemon;
use crate::sim::hostile::Temper;
use crate::sim::image::{Counting, Image, words32};
use crate::sim::ledger::{Ledger, Source};
use crate::sim::line;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::pdu::Table;
use crate::sim::relay::Relay;
use crate::sim::rtu::Slaves;

/// First argument by which the demo becomes the daemon; the others are the daemon's own.
pub const AS_DAEMON: &str = "as-daemon";

const CONFIG: &str = include_str!("../../../configs/demo.toml");
const FEEDERS: u8 = 6;
const LAMPS: u8 = 2;

/// Registers as of `Counting`, with the voltages of a mains where it has floats.
#[derive(Debug, Clone, Copy)]
struct Mains(Counting);

impl Image for Mains {
    fn knows(&self, unit: u8) -> bool {
        self.0.knows(unit)
    }

    fn word(&self, unit: u8, table: Table, address: u16, moment: u64) -> Option<u16> {
        let (6..=11, Table::Holding | Table::Input) = (address, table) else { return self.0.word(unit, table, address, moment) };
        let phase = u64::from(address / 2);
        let tenths = (moment * (7 + phase) + phase * 13 + u64::from(unit) * 5) % 40;
        let volts = f32::from(2_280 + u16::try_from(tenths).ok()?) / 10.0;
        words32(volts.to_bits()).get(usize::from(address % 2)).copied()
    }

    fn count_at(&self, unit: u8) -> Option<(Table, u16, u16)> {
        self.0.count_at(unit)
    }
}

/// Everything that runs, and what came of it.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    _memory: TempDir,
    ledger: Arc<Ledger>,
    _feeders: ModbusTcp,
    broker: Embedded,
    relay: Relay,
    daemon: Option<Daemon>,
    account: Account,
    failed_polls: usize,
    log_seen: usize,
    shown: usize,
}

/// Runs the daemon in this process; it ends when the demo does.
pub fn be_the_daemon(arguments: Vec<OsString>) -> ExitCode {
    set_parent_process_death_signal(Some(Signal::KILL)).ok();
    let own = std::iter::once(OsString::from("districtd")).chain(arguments.into_iter().skip(1));
    districtd::cli::run(own)
}

impl Stage {
    /// Builds the plant and starts everything.
    pub fn set(screen: &Screen) -> Self {
        let (folder, memory, ledger) = (tempfile::tempdir().expect("a folder"), on_tmpfs(), Arc::new(Ledger::default()));
        let feeders = ModbusTcp::start("substation", Mains(Counting { units: FEEDERS }), &ledger);
        let (line, port) = line::pty();
        Slaves::start(line, "cabinet", Mains(Counting { units: LAMPS }), Temper::Honest, &ledger);
        let broker = Embedded::start();
        let relay = Relay::start(broker.address());
        let config = fill_in(folder.path(), memory.path(), &relay, &feeders, &port);
        std::fs::write(folder.path().join("demo.toml"), config).expect("the folder can be written");
        screen.title("districtd demo: every meter counts its polls, so that a lost reading would be a missing number");
        screen.detail("meters", &format!("feeder-1 .. feeder-{FEEDERS} over Modbus TCP at {}", feeders.address()));
        screen.detail("", &format!("lamp-1 .. lamp-{LAMPS} over Modbus RTU at {}", port.display()));
        screen.detail("broker", &format!("rumqttd at {}, an own process; it remembers nothing after a kill", broker.address()));
        let mut stage = Self {
            folder,
            _memory: memory,
            ledger,
            _feeders: feeders,
            broker,
            relay,
            daemon: None,
            account: Account::default(),
            failed_polls: 0,
            log_seen: 0,
            shown: 0,
        };
        let daemon = stage.launch();
        screen.detail("daemon", &format!("districtd run --config configs/demo.toml, pid {}", daemon.pid()));
        stage.daemon = Some(daemon);
        screen.head();
        stage
    }

    fn launch(&self) -> Daemon {
        let mut command = Command::new(std::env::current_exe().expect("a path of its own"));
        command.args([AS_DAEMON, "run", "--config"]).arg(self.folder.path().join("demo.toml"));
        // A group of its own, so that Ctrl-C reaches the demo alone.
        command.process_group(0);
        let daemon = Daemon::start(command);
        daemon.wait_ready(Duration::from_secs(20));
        daemon
    }

    /// The broker's process is killed.
    pub fn lose_the_broker(&mut self, screen: &Screen) {
        self.relay.close();
        self.broker.kill();
        screen.event("the broker is gone: readings wait in the journal and are synced to flash");
    }

    /// SIGKILL, in the middle of whatever it does.
    pub fn kill_the_daemon(&mut self, screen: &Screen) {
        self.complaints(screen);
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
            screen.event(&format!("the daemon is killed (SIGKILL, pid {})", daemon.pid()));
        }
        self.log_seen = 0;
    }

    /// It finds what its predecessor left.
    pub fn start_the_daemon(&mut self, screen: &Screen) {
        let daemon = self.launch();
        screen.event(&format!("the daemon is started again (pid {}); the broker is still gone", daemon.pid()));
        self.daemon = Some(daemon);
    }

    /// A new broker, at the old address.
    pub fn restore_the_broker(&mut self, screen: &Screen) {
        self.broker.restart();
        self.relay.open();
        screen.event("the broker is back: live readings first, the backlog behind them");
    }

    /// Shows what the last second brought.
    pub fn tick(&mut self, screen: &Screen) {
        self.complaints(screen);
        self.take_stock();
        let latest = self.latest();
        let backlog = self.count(|arrived| arrived.replay);
        let live = self.count(|arrived| !arrived.replay);
        screen.status(&Figures { taken: self.taken(), live, backlog, latest });
        self.shown = self.account.arrived.len();
    }

    fn take_stock(&mut self) {
        for message in self.relay.delivered(self.account.messages()) {
            let arrived = self.account.take(&message);
            self.failed_polls += arrived.iter().filter(|arrived| !counted(arrived)).count();
        }
    }

    /// Sweeps with a count; the others are polls that failed.
    fn count(&self, which: impl Fn(&Arrived) -> bool) -> usize {
        self.account.arrived.iter().filter(|arrived| counted(arrived) && which(arrived)).count()
    }

    /// Handed out for certain, or arrived (the last answer before a kill is in doubt until then).
    fn taken(&self) -> usize {
        let mut counts = self.account.counts("count");
        for (source, handed_out) in self.ledger.handed_out() {
            counts.entry(meter(&source)).or_default().extend(handed_out);
        }
        counts.values().map(BTreeSet::len).sum()
    }

    fn lost(&self) -> BTreeMap<String, BTreeSet<u64>> {
        let arrived = self.account.counts("count");
        let absent = |(source, counts): (Source, BTreeSet<u64>)| {
            let here = arrived.get(&meter(&source)).cloned().unwrap_or_default();
            (meter(&source), counts.difference(&here).copied().collect::<BTreeSet<u64>>())
        };
        self.ledger.handed_out().into_iter().map(absent).filter(|(_, absent)| !absent.is_empty()).collect()
    }

    fn latest(&self) -> String {
        let fresh = self.account.arrived.get(self.shown..).unwrap_or_default();
        match fresh.iter().rev().find(|arrived| counted(arrived)) {
            Some(arrived) => describe(arrived),
            None if self.daemon.is_none() => "(no daemon: nothing is polled)".to_owned(),
            None if !self.broker.runs() => "(no broker)".to_owned(),
            None => "(nothing arrived)".to_owned(),
        }
    }

    /// Warnings and errors of the daemon's log since the last time.
    fn complaints(&mut self, screen: &Screen) {
        let Some(daemon) = &self.daemon else { return };
        let lines = daemon.log_from(self.log_seen);
        self.log_seen += lines.len();
        for line in lines {
            if let Some(at) = ["WARN ", "ERROR "].iter().find_map(|level| line.find(level)) {
                screen.complaint(line.split_at(at).1);
            }
        }
    }

    /// Brings back what is gone, lets everything arrive, ends the daemon in order and gives the account. Whether nothing is lost.
    pub fn finish(mut self, screen: &Screen) -> bool {
        if !self.broker.runs() {
            self.restore_the_broker(screen);
        }
        if self.daemon.is_none() {
            self.start_the_daemon(screen);
        }
        screen.event("the end: what still waits may arrive, then the daemon is asked to stop");
        let end = Instant::now() + Duration::from_secs(90);
        let handed_out = self.ledger.total();
        while self.count(|_| true) < handed_out && Instant::now() < end {
            let seen = self.account.messages();
            let next = |traffic: &crate::sim::relay::Traffic| (traffic.delivered.len() > seen).then_some(());
            self.relay.traffic().wait(Duration::from_secs(1), next);
            self.take_stock();
        }
        self.stop(screen);
        self.take_stock();
        self.settle_accounts(screen)
    }

    fn stop(&mut self, screen: &Screen) {
        self.complaints(screen);
        let Some(daemon) = self.daemon.take() else { return };
        daemon.signal(Signal::TERM);
        let status = daemon.wait_exit(Duration::from_secs(60));
        screen.event(&format!("the daemon ended in order ({status})"));
    }

    /// The last lines.
    fn settle_accounts(&self, screen: &Screen) -> bool {
        let lost = self.lost();
        for (meter, counts) in &lost {
            screen.wrong(&format!("{meter} never arrived with {counts:?}"));
        }
        let mut wrongs = [self.account.wrongs.clone(), self.account.counted_twice("count"), self.account.holes()].concat();
        if self.taken() == 0 {
            wrongs.push("nothing was polled".to_owned());
        }
        for wrong in &wrongs {
            screen.wrong(wrong);
        }
        screen.title("account");
        if self.failed_polls > 0 {
            screen.figure("polls that failed, and arrived as such", self.failed_polls);
        }
        screen.figure("sweeps taken", self.taken());
        screen.figure("arrived live", self.count(|arrived| !arrived.replay));
        screen.figure("arrived as backlog", self.count(|arrived| arrived.replay));
        screen.verdict("lost", lost.values().map(BTreeSet::len).sum());
        screen.figure("duplicates", self.account.duplicates);
        lost.is_empty() && wrongs.is_empty()
    }
}

fn counted(arrived: &Arrived) -> bool {
    arrived.sweep.values.contains_key("count")
}

fn meter((line, unit): &Source) -> String {
    let kind = if line == "cabinet" { "lamp" } else { "feeder" };
    format!("{kind}-{unit}")
}

/// `feeder-3 poll 17: 229.8 230.1 229.4 V`
fn describe(arrived: &Arrived) -> String {
    let value = |name: &str| arrived.sweep.values.get(name).map(ToString::to_string).unwrap_or_default();
    let count = value("count").replace('"', "");
    let volts = ["voltage_l1", "voltage_l2", "voltage_l3"].map(value).join("  ");
    let how = if arrived.replay { " (backlog)" } else { "" };
    format!("{:<8} #{count:<4} {volts} V{how}", arrived.sweep.meter)
}

/// The crash journal belongs on tmpfs.
fn on_tmpfs() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// The demo's configuration with the addresses of this plant.
fn fill_in(folder: &Path, memory: &Path, relay: &Relay, feeders: &ModbusTcp, port: &Path) -> String {
    let places = [
        ("127.0.0.1:1883", relay.address().to_string()),
        ("127.0.0.1:5020", feeders.address().to_string()),
        ("/tmp/districtd-demo/line", port.display().to_string()),
        ("/tmp/districtd-demo/spool", folder.join("spool").display().to_string()),
        ("/tmp/districtd-demo/journal", memory.join("journal").display().to_string()),
    ];
    places.iter().fold(CONFIG.to_owned(), |config, (from, to)| {
        assert!(config.contains(from), "configs/demo.toml no longer holds {from}");
        config.replace(from, to)
    })
}
