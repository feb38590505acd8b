//! `districtd check`: all findings, rendered, and how busy the wires will be; nothing is opened or written.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::CONFIGURATION;
use crate::bus::load::Load;
use crate::config::environment::Environment;
use crate::config::load::{self, Loaded};
use crate::config::model::{Bus, Framing, Line, Parity};

/// Above this share of its time a line has little room for slow answers and repeats.
const BUSY: f64 = 0.8;

/// Prints every finding; 78 with errors, 0 without.
pub(super) fn check(path: &Path) -> ExitCode {
    let mut out = io::stdout().lock();
    let (text, is_usable) = report(path, &Environment::of_a_bystander(), out.is_terminal());
    // A closed standard output is no reason to fail: the exit code still says it all.
    let _ = write!(out, "{text}");
    if is_usable { ExitCode::SUCCESS } else { ExitCode::from(CONFIGURATION) }
}

/// What there is to say of a configuration, and whether it can run so: for each bus what its polls cost, then every finding, and in
/// the last line how many.
#[must_use]
pub fn report(path: &Path, environment: &Environment, colour: bool) -> (String, bool) {
    let mut loaded = load::load(path, environment);
    let buses = loaded.config.as_ref().map(|config| config.buses.clone()).unwrap_or_default();
    let loads: Vec<(Bus, Load)> = buses.into_iter().map(|bus| (bus.clone(), Load::of(&bus))).collect();
    for (bus, load) in loads.iter().filter(|(bus, _)| !bus.overload_is_allowed) {
        judge(&mut loaded, bus, load);
    }
    (summary(&loads) + &load::render(&loaded, colour), !loaded.has_errors())
}

/// Warns of a bus that is too busy. Never an error: how long the meters think is assumed, and the daemon copes.
fn judge(loaded: &mut Loaded, bus: &Bus, load: &Load) {
    let (name, percent) = (&bus.name, percent(load));
    let (title, label) = if load.share > 1.0 {
        (format!("bus `{name}` cannot carry its polls: they take {percent} of the time"), "readings will come late, all the time")
    } else if load.share > BUSY {
        (format!("bus `{name}` is nearly full: its polls take {percent} of the time"), "little room for slow answers and repeats")
    } else {
        return;
    };
    let longer = (load.share / BUSY * 10.0).ceil() / 10.0;
    let faster = if matches!(bus.line, Line::Serial(_)) { ", raise `baud` here and in the meters" } else { "" };
    let help = format!(
        "make `every` {longer:.1} times as long{faster}, or put some of its meters on another bus; `overload = \"allow\"` silences this"
    );
    loaded.warn_of_bus(name, title, label.to_owned(), help);
}

fn percent(load: &Load) -> String {
    format!("{:.1} %", load.share * 100.0)
}

/// A line for each bus, and what was assumed.
fn summary(loads: &[(Bus, Load)]) -> String {
    let mut text = String::new();
    let Some((_, any)) = loads.first() else { return text };
    for (bus, load) in loads {
        let (requests, bytes) = (load.requests, load.bytes);
        let (air, transfer, silence) = (seconds(load.air()), seconds(load.transfer), seconds(load.silence));
        let (name, line, percent, thinking) = (&bus.name, speed(&bus.line), percent(load), seconds(load.thinking));
        let plural = if requests == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "bus {name} ({line}): load {percent}; all points once: {requests} request{plural}, {bytes} bytes, {air} \
             ({transfer} transfer, {silence} silence, {thinking} waiting)"
        );
    }
    let _ = writeln!(text, "Until it is learnt, {} ms are assumed from a request to its answer.\n", any.turnaround.as_millis());
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// As technicians write it: 9600 8E1.
fn speed(line: &Line) -> String {
    match line {
        Line::Serial(serial) => {
            let parity = match serial.parity {
                Parity::None => 'N',
                Parity::Even => 'E',
                Parity::Odd => 'O',
            };
            format!("{} {}{parity}{}", serial.baud, serial.data_bits, serial.stop_bits)
        }
        Line::Tcp(tcp) if tcp.framing == Framing::Rtu => "behind a device server, taken for 9600 8E1".to_owned(),
        Line::Tcp(_) => "TCP".to_owned(),
    }
}
