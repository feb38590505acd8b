//! `districtd decode`: what captured bytes say, without a line, a configuration or a daemon.
//!
//! Always true here: the codecs are those of the daemon; a key is never printed; what one telegram says does not depend on damage in
//! another. Deliberately absent: guesses at the protocol, and at faulty firmware.

mod captured;
mod mbus;
mod modbus;
mod print;
mod sml;
mod text;
mod told;

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::protocol::mbus::Key;
use told::{Found, Told};

/// No capture of a meter is longer; a device that never ends must not fill the memory.
const LONGEST_CAPTURE: u64 = 16 * 1024 * 1024;
/// A key file holds 32 digits and white space.
const LONGEST_KEY_FILE: u64 = 1024;

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Protocol {
    /// Wired M-Bus, EN 13757
    Mbus,
    /// SML, as German meters push it
    Sml,
    /// IEC 62056-21 (D0) read-outs
    Iec62056,
    /// DSMR P1 and its relatives
    P1,
    /// Modbus of serial lines, with check sums
    ModbusRtu,
    /// Modbus TCP, with its header
    ModbusTcp,
}

/// What is to be decoded, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Wishes {
    /// What the bytes are
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// SML check sums are CRC-16/KERMIT (some Holley meters)
    #[arg(long)]
    kermit: bool,
    /// Key of an enciphered M-Bus meter: a file with 32 hex digits
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// One JSON object per telegram and line
    #[arg(long)]
    json: bool,
    /// Captured bytes, or hex digits with white space and # comments; standard input if absent or -
    file: Option<PathBuf>,
}

/// Prints what the capture says; 0 when at least one telegram was read, else 1.
pub(super) fn decode(wishes: &Wishes) -> ExitCode {
    let found = match found(wishes) {
        Ok(found) => found,
        Err(trouble) => {
            let _ = writeln!(io::stderr(), "{trouble}");
            return ExitCode::FAILURE;
        }
    };
    let printed = if wishes.json { print::json(&found.telegrams) } else { print::table(&found.telegrams) };
    // A closed standard output is no reason to fail: the exit code still says it all.
    let _ = io::stdout().lock().write_all(printed.as_bytes());
    for remark in &found.remarks {
        let _ = writeln!(io::stderr(), "{remark}");
    }
    if found.telegrams.iter().any(|told| told.said.is_ok()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn found(wishes: &Wishes) -> Result<Found, String> {
    let key = wishes.key_file.as_deref().map(read_key).transpose()?;
    let bytes = captured::bytes(&read_input(wishes.file.as_deref())?)?;
    let mut found = match wishes.protocol {
        Protocol::Mbus => mbus::read(&bytes, key.as_ref()),
        Protocol::Sml => sml::read(&bytes, wishes.kermit),
        Protocol::Iec62056 => text::read_iec62056(&bytes),
        Protocol::P1 => text::read_p1(&bytes),
        Protocol::ModbusRtu => modbus::read_rtu(&bytes),
        Protocol::ModbusTcp => modbus::read_tcp(&bytes),
    };
    if found.noise > 0 {
        found.remarks.push(format!("noise: {} bytes belong to no telegram", found.noise));
    }
    if found.telegrams.is_empty() {
        let error = match bytes.len() {
            0 => "no bytes, expected a telegram".to_owned(),
            length => format!("no telegram in {length} bytes"),
        };
        found.telegrams.push(Told { meter: Vec::new(), said: Err(error) });
    }
    Ok(found)
}

fn read_input(file: Option<&Path>) -> Result<Vec<u8>, String> {
    match file.filter(|path| *path != Path::new("-")) {
        Some(path) => {
            let opened = File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
            read_bounded(opened, LONGEST_CAPTURE, &path.display().to_string())
        }
        None => {
            if io::stdin().is_terminal() {
                let _ = writeln!(io::stderr(), "reading from the terminal; end with Ctrl-D");
            }
            read_bounded(io::stdin().lock(), LONGEST_CAPTURE, "standard input")
        }
    }
}

fn read_bounded(source: impl Read, longest: u64, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(longest + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot read {name}: {error}"))?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= longest);
    if fits { Ok(bytes) } else { Err(format!("{name} has more than {longest} bytes")) }
}

/// Reads a key; no error holds a part of it.
fn read_key(path: &Path) -> Result<Key, String> {
    let name = path.display().to_string();
    let opened = File::open(path).map_err(|error| format!("cannot open key file {name}: {error}"))?;
    let text = read_bounded(opened, LONGEST_KEY_FILE, &name)?;
    let key = captured::hex_pairs(text.trim_ascii()).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    key.map(Key).ok_or_else(|| format!("key file {name} does not hold a key, expected 32 hex digits"))
}
