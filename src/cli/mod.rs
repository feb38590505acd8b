//! The command line: what people and the service manager type, and which exit code they get.
//!
//! Always true here: standard output belongs to people, logs go to standard error. Exit codes: 0 as asked, 1 died, or
//! nothing could be decoded, 2 wrong usage, 75 the spool is held by another daemon, 78 the configuration cannot be used. Deliberately
//! absent: work; each command calls a room.

mod ask;
pub mod check;
mod decode;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::control::Question;

/// EX_TEMPFAIL of sysexits(3): another daemon holds the spool.
const HELD: u8 = 75;
/// EX_CONFIG of sysexits(3): the unit does not restart after it.
const CONFIGURATION: u8 = 78;

/// Where the package puts the configuration.
const DEFAULT_CONFIG: &str = "/etc/districtd/districtd.toml";

/// Gateway daemon: polls meters, spools readings, forwards them over MQTT.
#[derive(Debug, Parser)]
#[command(name = "districtd", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Run {
        #[command(flatten)]
        place: Place,
        /// Exit with 78 when the configuration has errors, instead of running the last good one
        #[arg(long)]
        strict: bool,
        /// Level (error, warn, info, debug, trace) or filter (districtd::bus=trace) of the log
        #[arg(long, default_value = "info", value_name = "FILTER")]
        log: String,
    },
    /// Check the configuration and say all that is wrong with it, with file, line and column
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Show what a running daemon is doing
    Status {
        #[command(flatten)]
        place: Place,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Have a running daemon poll one meter now, between the others
    Read {
        /// Name of the meter
        meter: String,
        #[command(flatten)]
        place: Place,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what captured bytes of a meter mean; 0 when at least one telegram was read, else 1
    Decode(decode::Wishes),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// A file (with the *.toml of a conf.d beside it) or a directory of *.toml
    #[arg(long, default_value = DEFAULT_CONFIG, value_name = "FILE-OR-DIR")]
    config: PathBuf,
}

/// Carries out a command line, program name first.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command: Command::Run { place, strict, log } }) => run::run(&place.config, strict, &log),
        Ok(Arguments { command: Command::Check { place } }) => check::check(&place.config),
        Ok(Arguments { command: Command::Status { place, json } }) => ask::ask(&place.config, &Question::Status, json),
        Ok(Arguments { command: Command::Read { meter, place, json } }) => {
            ask::ask(&place.config, &Question::Read { meter: meter.into() }, json)
        }
        Ok(Arguments { command: Command::Decode(wishes) }) => decode::decode(&wishes),
        Err(usage) => {
            let code = u8::try_from(usage.exit_code()).unwrap_or(2);
            // A closed standard output is no reason to fail: the exit code still says it all.
            let _ = usage.print();
            ExitCode::from(code)
        }
    }
}
