//! Opening a serial port (tokio-serial, only here).
//!
//! Always true here: a port is handed out with its settings read back. A difference is an error on a real port and a warning on a
//! pseudo terminal, which silently stays 8N1. Deliberately absent: retries, and `tcdrain` (see [`super`]).

use std::fs;
use std::path::Path;

use tokio_serial::{ClearBuffer, DataBits, ErrorKind, Parity, SerialPort, SerialStream, StopBits};
use tracing::warn;

use super::holder::Holder;
use super::trouble::Trouble;
use crate::config::model;
use crate::host::ioctl;

/// Opens and locks the port and sets it up.
///
/// # Errors
/// [`Trouble`], sorted by what a technician does next.
pub(in crate::bus) fn open(wanted: &model::Serial) -> Result<SerialStream, Trouble> {
    let path = wanted.path.to_string_lossy();
    let builder = tokio_serial::new(path, wanted.baud)
        .parity(parity(wanted.parity))
        .data_bits(if wanted.data_bits == 7 { DataBits::Seven } else { DataBits::Eight })
        .stop_bits(if wanted.stop_bits == 2 { StopBits::Two } else { StopBits::One });
    let port = SerialStream::open(&builder).map_err(|error| sorted(wanted, &error))?;
    compare(wanted, &port)?;
    if wanted.rs485 {
        switch_the_sender(wanted, &port)?;
    }
    // What was received under other settings is noise.
    port.clear(ClearBuffer::Input).map_err(|error| sorted(wanted, &error))?;
    Ok(port)
}

/// Has the kernel switch the sender. A port that knows nothing of it belongs to an adapter that does it itself.
fn switch_the_sender(wanted: &model::Serial, port: &SerialStream) -> Result<(), Trouble> {
    match ioctl::switch_rs485_sender(port) {
        Ok(true) => Ok(()),
        Ok(false) => {
            warn!(path = %wanted.path.display(), "this port has no rs485 mode in the kernel; its adapter switches the sender itself: remove `rs485 = true`");
            Ok(())
        }
        Err(error) => Err(Trouble::Settings { path: wanted.path.clone(), expected: "rs485".into(), found: error.to_string() }),
    }
}

fn compare(wanted: &model::Serial, port: &SerialStream) -> Result<(), Trouble> {
    let expected = format!("{} {}", wanted.baud, framing(wanted.data_bits, parity(wanted.parity), wanted.stop_bits));
    let found = read_back(port).map_err(|error| sorted(wanted, &error))?;
    if found == expected {
        return Ok(());
    }
    if is_pseudo_terminal(&wanted.path) {
        warn!(path = %wanted.path.display(), found, expected, "a pseudo terminal has no line settings; going on as if they applied");
        return Ok(());
    }
    Err(Trouble::Settings { path: wanted.path.clone(), expected, found })
}

fn read_back(port: &SerialStream) -> tokio_serial::Result<String> {
    let data_bits = u8::from(port.data_bits()?);
    let stop_bits = u8::from(port.stop_bits()?);
    Ok(format!("{} {}", port.baud_rate()?, framing(data_bits, port.parity()?, stop_bits)))
}

fn framing(data_bits: u8, parity: Parity, stop_bits: u8) -> String {
    let parity = match parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    };
    format!("{data_bits}{parity}{stop_bits}")
}

fn parity(parity: model::Parity) -> Parity {
    match parity {
        model::Parity::None => Parity::None,
        model::Parity::Even => Parity::Even,
        model::Parity::Odd => Parity::Odd,
    }
}

fn is_pseudo_terminal(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| path.starts_with("/dev/pts"))
}

/// serialport says "no device" for a port that is locked, by TIOCEXCL or flock, and "not found" for one that is not there.
fn sorted(wanted: &model::Serial, error: &tokio_serial::Error) -> Trouble {
    let path = wanted.path.clone();
    match error.kind() {
        ErrorKind::Io(std::io::ErrorKind::NotFound) => Trouble::NoDevice { path },
        ErrorKind::Io(std::io::ErrorKind::PermissionDenied) => Trouble::Permission { path },
        ErrorKind::NoDevice => match Holder::of(&path) {
            Some(holder) => Trouble::HeldBy { path, holder },
            None => Trouble::Held { path },
        },
        ErrorKind::Unknown if error.description.contains("Settings") => {
            Trouble::Settings { path, expected: wanted.baud.to_string(), found: error.description.clone() }
        }
        _ if !is_device(&wanted.path) => Trouble::NotAPort { path },
        _ => Trouble::Other { to: path.display().to_string(), error: error.description.clone() },
    }
}

fn is_device(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::link::scripted::pseudo_terminal;

    fn wanted(path: &Path) -> model::Serial {
        model::Serial {
            path: path.to_owned(),
            baud: 9600,
            parity: model::Parity::Even,
            data_bits: 8,
            stop_bits: 1,
            echo_is_dropped: false,
            rs485: false,
        }
    }

    fn trouble(path: &Path) -> Trouble {
        open(&wanted(path)).map(|_| ()).unwrap_err()
    }

    #[tokio::test]
    async fn a_device_that_is_not_there_is_told_as_such() {
        let path = Path::new("/dev/serial/by-id/none");
        assert_eq!(trouble(path), Trouble::NoDevice { path: path.to_owned() });
        assert!(trouble(path).to_string().starts_with("no such device /dev/serial/by-id/none"));
    }

    #[tokio::test]
    async fn a_plain_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(trouble(file.path()), Trouble::NotAPort { path: file.path().to_owned() });
    }

    #[tokio::test]
    async fn a_port_that_another_holds_is_told_as_such_and_free_again_afterwards() {
        let (_far, path, _near) = pseudo_terminal();
        let holder = open(&wanted(&path)).unwrap();
        let held = trouble(&path);
        assert!(matches!(held, Trouble::HeldBy { .. }), "{held:?}");
        assert!(held.to_string().contains(&format!("(process {}) holds", std::process::id())), "{held}");
        drop(holder);
        assert!(open(&wanted(&path)).is_ok());
    }

    #[tokio::test]
    async fn an_adapter_that_switches_its_sender_itself_is_opened_with_rs485_all_the_same() {
        let (_far, path, _near) = pseudo_terminal();
        assert!(open(&model::Serial { rs485: true, ..wanted(&path) }).is_ok());
    }

    #[tokio::test]
    async fn settings_that_a_pseudo_terminal_ignores_do_not_keep_it_from_being_opened() {
        let (_far, path, _near) = pseudo_terminal();
        let odd = model::Serial { baud: 12_345, parity: model::Parity::Odd, stop_bits: 2, ..wanted(&path) };
        assert!(open(&odd).is_ok());
    }
}
