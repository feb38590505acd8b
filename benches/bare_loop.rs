//! The whole daemon beside a bare C loop at the same work: 100 Modbus TCP meters with 20 floats each, once a second, published to
//! the real mosquitto. Prints processor time of both over the same span, their ratio pair by pair, and peak memory.
//!
//! `cargo bench --bench bare_loop` (needs cc, libmodbus-dev, libmosquitto-dev and mosquitto; five pairs of 60 s, ten minutes and a half).
//! Shorter: `cargo bench --bench bare_loop -- PAIRS SECONDS`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a bench that cannot go on should stop and say where; its figures are its output"
)]

#[path = "../tests/sim/mod.rs"]
#[allow(unused_imports, reason = "the simulators' own tests run in tests/it")]
mod sim;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use sim::broker::Mosquitto;
use sim::image::Counting;
use sim::ledger::Ledger;
use sim::modbus_tcp::ModbusTcp;

const METERS: usize = 100;
const VALUES: u16 = 20;
/// Start-up is not part of the comparison: connections, births, schemas.
const SETTLE: Duration = Duration::from_secs(3);

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (pairs, seconds) = (numbers.first().copied().unwrap_or(5), numbers.get(1).copied().unwrap_or(60));
    let folder = tempfile::tempdir().unwrap();
    let bare_loop = compile(folder.path());
    let ledger = Arc::new(Ledger::default());
    let meters: Vec<ModbusTcp> =
        (0..METERS).map(|n| ModbusTcp::start(&format!("meter-{n:03}"), Counting { units: 1 }, &ledger)).collect();
    let broker = Mosquitto::start();
    let config = configuration(folder.path(), &meters, broker.address().port());
    println!("{METERS} meters x {VALUES} floats each second, {pairs} pairs of {seconds} s");
    println!("pair   districtd cpu s   C loop cpu s   ratio   districtd peak KiB   C loop peak KiB");
    let (mut ratios, mut peaks) = (Vec::new(), Vec::new());
    for pair in 1..=pairs {
        let ours = measure(daemon(&config, folder.path()), seconds);
        let theirs = measure(yardstick(&bare_loop, &meters, broker.address().port(), seconds), seconds);
        let ratio = ours.cpu / theirs.cpu;
        println!(
            "{pair:4}   {:15.2}   {:12.2}   {ratio:5.2}   {:18}   {:15}",
            ours.cpu, theirs.cpu, ours.peak_kib, theirs.peak_kib
        );
        ratios.push(ratio);
        peaks.push(ours.peak_kib);
    }
    ratios.sort_by(f64::total_cmp);
    peaks.sort_unstable();
    let middle = ratios.len() / 2;
    println!("ratio: median {:.2}, {:.2} to {:.2}", ratios[middle], ratios[0], ratios[ratios.len() - 1]);
    println!("peak memory of districtd: median {} KiB, at most {} KiB", peaks[middle], peaks[peaks.len() - 1]);
}

/// What one process used.
struct Used {
    cpu: f64,
    peak_kib: u64,
}

/// Lets the process settle, then takes its processor time over `seconds`.
fn measure(mut child: Child, seconds: u64) -> Used {
    sleep(SETTLE);
    let before = cpu_seconds(child.id());
    sleep(Duration::from_secs(seconds));
    let used = Used { cpu: cpu_seconds(child.id()) - before, peak_kib: peak_kib(child.id()) };
    child.kill().unwrap();
    child.wait().unwrap();
    used
}

/// Time on a processor so far, all threads, in nanoseconds' resolution (proc(5), schedstat); ticks would be too coarse.
fn cpu_seconds(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let nanoseconds = threads.map(|thread| {
        let stat = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        stat.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or(0.0)
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn compile(folder: &Path) -> PathBuf {
    let program = folder.join("bare_loop");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/bare_loop.c");
    let built = Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).args(["-lmodbus", "-lmosquitto"]).status();
    assert!(built.is_ok_and(|status| status.success()), "install gcc, libmodbus-dev and libmosquitto-dev");
    program
}

fn yardstick(program: &Path, meters: &[ModbusTcp], broker: u16, seconds: u64) -> Child {
    let ports = meters.iter().map(|meter| meter.address().port().to_string());
    let seconds = SETTLE.as_secs() + seconds + 5;
    Command::new(program).arg(broker.to_string()).arg(seconds.to_string()).args(ports).stdout(Stdio::null()).spawn().unwrap()
}

fn daemon(config: &Path, folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_districtd"))
        .args(["run", "--config"])
        .arg(config)
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap()
}

fn configuration(folder: &Path, meters: &[ModbusTcp], broker: u16) -> PathBuf {
    let journal = tempfile::Builder::new().prefix("districtd-bench").tempdir_in("/dev/shm").unwrap().keep();
    let (state, journal) = (folder.display(), journal.display());
    let mut text = format!(
        "[gateway]\nname = \"bench\"\ndistrict = \"bench\"\nstate = \"{state}\"\n[uplink]\nbrokers = [\"mqtt://127.0.0.1:{broker}\"]\n\
         [spool]\npath = \"{state}/spool\"\njournal = \"{journal}\"\n[profile.floats]\n"
    );
    for value in 0..VALUES {
        let address = 2 * value;
        write!(text, "[profile.floats.point.value_{value:02}]\nregister = \"input\"\naddress = {address}\ntype = \"f32\"\n")
            .unwrap();
    }
    for (n, meter) in meters.iter().enumerate() {
        let address = meter.address();
        write!(text, "[bus.b{n:03}]\ntcp = \"{address}\"\n[meter.m{n:03}]\nbus = \"b{n:03}\"\nunit = 1\nevery = \"1s\"\nprofile = \"floats\"\n").unwrap();
    }
    let path = folder.join("bench.toml");
    fs::write(&path, text).unwrap();
    path
}
