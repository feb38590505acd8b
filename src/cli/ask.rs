//! `districtd status` and `districtd read`: questions to a running daemon, answers as tables.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::environment::Environment;
use crate::config::load;
use crate::control::{self, Answer, Question, Reading};
use crate::status::{BusStatus, MeterStatus, Snapshot};

/// Longer than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(70);

/// Asks the daemon that runs with this configuration and prints its answer; `json`: as it came.
pub(super) fn ask(config: &Path, question: &Question, json: bool) -> ExitCode {
    let socket = socket(config);
    let line = match exchange(&socket, question) {
        Ok(line) => line,
        Err(error) => return failed(&format!("no daemon answers at {}: {error}; is districtd running?", socket.display())),
    };
    if json {
        print(line.trim_end());
        return ExitCode::SUCCESS;
    }
    match serde_json::from_str(&line) {
        Ok(Answer::Status(snapshot)) => print(&status_table(&snapshot)),
        Ok(Answer::Readings(readings)) => print(&readings_table(&readings)),
        Ok(Answer::Refused(why)) => return failed(&why),
        Err(error) => return failed(&format!("the daemon's answer is of another version: {error}; use --json")),
    }
    ExitCode::SUCCESS
}

/// The socket of the daemon with this configuration; of the usual place when the configuration cannot be used.
fn socket(config: &Path) -> PathBuf {
    let loaded = load::load(config, &Environment::of_a_bystander());
    let journal = loaded.config.map_or_else(|| PathBuf::from("/run/districtd"), |config| config.spool.journal);
    control::socket(&journal)
}

fn exchange(socket: &Path, question: &Question) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = serde_json::to_vec(question)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

fn print(text: &str) {
    // A closed standard output is no reason to fail.
    let _ = writeln!(io::stdout(), "{text}");
}

fn failed(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}

fn status_table(snapshot: &Snapshot) -> String {
    let (uplink, spool) = (&snapshot.uplink, &snapshot.spool);
    let mut lines = vec![
        format!(
            "uplink  {}, {} of {} messages acknowledged, {} connections{}",
            if uplink.up { format!("up to {}", uplink.broker) } else { "down".into() },
            uplink.acked,
            uplink.published,
            uplink.connections,
            remark(&uplink.trouble)
        ),
        format!(
            "spool   {} readings wait, {} taken, {} acknowledged, {} given up, {} batches on flash, {} set aside{}",
            spool.held,
            spool.taken,
            spool.acked,
            spool.given_up,
            spool.batches_on_flash,
            spool.set_aside,
            remark(&spool.trouble)
        ),
    ];
    for (name, bus) in &snapshot.buses {
        lines.extend(bus_lines(name, bus));
    }
    lines.join("\n")
}

fn bus_lines(name: &str, bus: &BusStatus) -> Vec<String> {
    let head = format!(
        "bus     {name}: {}, {} requests, {} answers, {} timeouts, {} garbled, {} refused, {} missed{}",
        if bus.up { "up" } else { "down" },
        bus.requests,
        bus.answers,
        bus.timeouts,
        bus.garbled,
        bus.refused,
        bus.missed,
        remark(&bus.trouble)
    );
    std::iter::once(head).chain(bus.meters.iter().map(|(name, meter)| meter_line(name, meter))).collect()
}

fn meter_line(name: &str, meter: &MeterStatus) -> String {
    let state = if meter.alive { "answers" } else { "silent" };
    format!("meter   {name}: {state}, {} good polls, {} failed{}", meter.good, meter.failed, remark(&meter.trouble))
}

fn remark(trouble: &str) -> String {
    if trouble.is_empty() { String::new() } else { format!(" - {trouble}") }
}

fn readings_table(readings: &[Reading]) -> String {
    let width = |length: fn(&Reading) -> usize| readings.iter().map(length).max().unwrap_or(0);
    let (points, values, units) = (width(|r| r.point.len()), width(|r| r.value.len()), width(|r| r.unit.len()));
    let row = |r: &Reading| format!("{:points$}  {:>values$} {:units$}  {}", r.point, r.value, r.unit, r.quality);
    readings.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Board;

    #[test]
    fn readings_stand_in_columns() {
        let reading = |point: &str, value: &str, quality: &str| Reading {
            point: point.into(),
            value: value.into(),
            unit: "V".into(),
            quality: quality.into(),
        };
        let table = readings_table(&[reading("voltage_l1", "229.8", "good"), reading("u2", "", "timeout")]);
        assert_eq!(table, "voltage_l1  229.8 V  good\nu2                V  timeout");
    }

    #[test]
    fn the_status_names_what_is_in_trouble() {
        let board = Board::new();
        board.bus("cabinet-a").update(|bus| bus.trouble = "no such port".into());
        board.bus("cabinet-a").meter("feeder-1", |meter| meter.failed = 3);
        let table = status_table(&board.snapshot());
        assert!(table.contains("cabinet-a: down") && table.contains("- no such port"), "{table}");
        assert!(table.contains("feeder-1: silent, 0 good polls, 3 failed"), "{table}");
    }
}
