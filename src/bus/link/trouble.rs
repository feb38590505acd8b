//! Why a wire cannot be opened or was lost, in words for the technician who stands before it.
//!
//! Always true here: each sentence names the device or address and what to do next. Deliberately absent: retries.

use std::path::PathBuf;

use thiserror::Error;

use super::holder::Holder;

/// What is wrong with a wire as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Trouble {
    /// The device file does not exist.
    #[error("no such device {p}; is the adapter plugged in? (ls /dev/serial/by-id)", p = path.display())]
    NoDevice {
        /// As configured.
        path: PathBuf,
    },
    /// The device file may not be opened.
    #[error("no permission to open {p}; the daemon's user must be in the group that owns it (usually dialout)", p = path.display())]
    Permission {
        /// As configured.
        path: PathBuf,
    },
    /// Another process has locked the port.
    #[error("another process holds {p}; find it with: fuser -v {p}", p = path.display())]
    Held {
        /// As configured.
        path: PathBuf,
    },
    /// Another process has locked the port, and which one is known.
    #[error("{holder} holds {p}; stop it, or remove the bus", p = path.display())]
    HeldBy {
        /// As configured.
        path: PathBuf,
        /// Name and number of the process.
        holder: Holder,
    },
    /// The file is no serial port.
    #[error("{p} is no serial port; check the path", p = path.display())]
    NotAPort {
        /// As configured.
        path: PathBuf,
    },
    /// The driver did not take the settings.
    #[error("{p} does not take its settings: {found}, expected {expected}; the adapter may not support them", p = path.display())]
    Settings {
        /// As configured.
        path: PathBuf,
        /// Baud, data bits, parity, stop bits as configured.
        expected: String,
        /// The same as read back, or what the driver said.
        found: String,
    },
    /// The name of the host is not known.
    #[error("the name of {to} cannot be resolved ({error}); check the name and the gateway's DNS")]
    NoName {
        /// Host and port.
        to: String,
        /// What the resolver said.
        error: String,
    },
    /// Nothing listens there.
    #[error("{to} refused the connection; check the port, and whether the device allows another client")]
    Refused {
        /// Host and port.
        to: String,
    },
    /// There is no way to that address.
    #[error("no route to {to}; check cable, address and network mask")]
    NoRoute {
        /// Host and port.
        to: String,
    },
    /// Nothing answered.
    #[error("{to} did not answer within {seconds} s; check power and address of the device")]
    TimedOut {
        /// Host and port.
        to: String,
        /// How long was waited.
        seconds: u64,
    },
    /// It was open and is gone.
    #[error("{to} is gone ({why}); check plug and power")]
    Lost {
        /// Path, or host and port.
        to: String,
        /// What the system said.
        why: String,
    },
    /// Anything else, in the system's words.
    #[error("{to} cannot be opened: {error}")]
    Other {
        /// Path, or host and port.
        to: String,
        /// What the system said.
        error: String,
    },
}
