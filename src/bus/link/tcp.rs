//! Opening a TCP connection to a meter, a gateway or a serial device server.
//!
//! Always true here: the connection is made within [`CONNECT_WITHIN`], sends small frames at once, and notices a peer that vanished
//! while nothing was asked. Deliberately absent: retries and frames.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::trouble::Trouble;
use crate::config::model;
use crate::host::ioctl;

/// Resolving and connecting together may take this long.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Resolves and connects; of several addresses the first that accepts.
///
/// # Errors
/// [`Trouble`], sorted by what a technician does next.
pub(in crate::bus) async fn open(wanted: &model::Tcp) -> Result<TcpStream, Trouble> {
    match timeout(CONNECT_WITHIN, connect(wanted)).await {
        Ok(connected) => connected,
        Err(_) => Err(Trouble::TimedOut { to: address(wanted), seconds: CONNECT_WITHIN.as_secs() }),
    }
}

/// `host:port` as people write it.
pub(in crate::bus) fn address(wanted: &model::Tcp) -> String {
    if wanted.host.contains(':') {
        format!("[{}]:{}", wanted.host, wanted.port)
    } else {
        format!("{}:{}", wanted.host, wanted.port)
    }
}

async fn connect(wanted: &model::Tcp) -> Result<TcpStream, Trouble> {
    let found = tokio::net::lookup_host((wanted.host.as_str(), wanted.port)).await;
    let found = found.map_err(|error| Trouble::NoName { to: address(wanted), error: error.to_string() })?;
    let mut last = Trouble::NoName { to: address(wanted), error: "no address".to_owned() };
    for candidate in found {
        match TcpStream::connect(candidate).await {
            Ok(stream) => return set_up(stream).map_err(|error| sorted(wanted, &error)),
            Err(error) => last = sorted(wanted, &error),
        }
    }
    Err(last)
}

fn set_up(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    ioctl::keep_alive(stream.as_fd())?;
    Ok(stream)
}

fn sorted(wanted: &model::Tcp, error: &io::Error) -> Trouble {
    let to = address(wanted);
    match error.kind() {
        ErrorKind::ConnectionRefused => Trouble::Refused { to },
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Trouble::NoRoute { to },
        ErrorKind::TimedOut => Trouble::TimedOut { to, seconds: CONNECT_WITHIN.as_secs() },
        _ => Trouble::Other { to, error: error.to_string() },
    }
}
