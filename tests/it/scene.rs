//! What the tests on the whole daemon share: its folders, its configuration, its start, and waiting for what arrives.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sim::account::Account;
use crate::sim::daemon::Daemon;
use crate::sim::relay::Relay;

/// How long anything may take that should take no time; the machine may be busy with other tests.
pub const SOON: Duration = Duration::from_secs(30);

/// How long the daemon may take to come back to a broker or a meter: its back-off is part of it.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Folders of one daemon: spool and state on a disk, journal on tmpfs.
#[derive(Debug)]
pub struct Scene {
    disk: TempDir,
    memory: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let memory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Self { disk: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(), memory: tempfile::tempdir_in(memory).unwrap() }
    }

    /// A path on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.disk.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("districtd.toml")
    }

    pub fn journal(&self) -> PathBuf {
        self.memory.path().join("journal")
    }

    /// `[gateway]`, `[uplink]` and `[spool]` for a quick daemon.
    pub fn head(&self, gateway: &str, broker: SocketAddr) -> String {
        format!(
            "[gateway]\nname = \"{gateway}\"\ndistrict = \"d\"\nstate = '{}'\n\n\
             [uplink]\nbrokers = [\"mqtt://{broker}\"]\nbatch-age = \"200ms\"\n\n\
             [spool]\npath = '{}'\njournal = '{}'\nwindow = \"1s\"\nmax-size = \"64MiB\"\n\n",
            self.path("state").display(),
            self.path("spool").display(),
            self.journal().display(),
        )
    }

    /// Writes the configuration.
    pub fn write(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
    }

    /// `districtd COMMAND --config ..`
    pub fn command(&self, command: &str) -> Command {
        let mut districtd = Command::new(program());
        districtd.arg(command).arg("--config").arg(self.config());
        districtd
    }

    /// Starts the daemon, and waits until it is ready.
    pub fn start(&self) -> Daemon {
        let daemon = self.start_unready();
        daemon.wait_ready(SOON);
        daemon
    }

    /// Starts the daemon.
    pub fn start_unready(&self) -> Daemon {
        Daemon::start(self.command("run"))
    }
}

/// The daemon that was built along, or the one that DISTRICTD_PROGRAM names (an ARM one under qemu).
fn program() -> OsString {
    std::env::var_os("DISTRICTD_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_districtd").into())
}

/// `[bus.NAME]` over Modbus TCP.
pub fn tcp_bus(name: &str, address: SocketAddr) -> String {
    format!("[bus.{name}]\ntcp = \"{address}\"\ntimeout = \"2s\"\n\n")
}

/// `[meter.NAME]` with the count and two floats of `Counting`.
pub fn counting_meter(name: &str, bus: &str, unit: u8, every: &str) -> String {
    let mut text = format!("[meter.{name}]\nbus = \"{bus}\"\nunit = {unit}\nevery = \"{every}\"\n");
    text += &point(name, "count", 0, "u64", "Wh");
    text += &point(name, "level", 6, "f32", "m");
    text += &point(name, "flow", 8, "f32", "m3/h");
    text
}

/// `[meter.METER.point.NAME]` in a holding register.
pub fn point(meter: &str, name: &str, address: u16, kind: &str, unit: &str) -> String {
    let mut text = String::new();
    writeln!(text, "[meter.{meter}.point.{name}]\nregister = \"holding\"\naddress = {address}").unwrap();
    writeln!(text, "type = \"{kind}\"\nunit = \"{unit}\"\n").unwrap();
    text
}

/// Takes what was delivered into `account` until `enough` says so; whether it did within `limit`.
pub fn follow(relay: &Relay, account: &mut Account, limit: Duration, enough: impl Fn(&Account) -> bool) -> bool {
    let end = Instant::now() + limit;
    let mut seen = account.messages();
    loop {
        for message in relay.delivered(seen) {
            account.take(&message);
            seen += 1;
        }
        if enough(account) {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if relay.traffic().wait(left, |traffic| (traffic.delivered.len() > seen).then_some(())).is_none() {
            return false;
        }
    }
}

/// The seed of a random test, printed so that it can be set again.
pub fn seed(test: &str) -> u64 {
    let seed = std::env::var("DISTRICTD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: DISTRICTD_SEED={seed}");
    seed
}

/// Whether the full tier was asked for.
pub fn full() -> bool {
    std::env::var_os("DISTRICTD_FULL").is_some()
}
