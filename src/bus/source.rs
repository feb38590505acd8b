//! Where a wire comes from: a configured line, or a script in tests.
//!
//! Always true here: opening is one attempt. Deliberately absent: retries, and what travels on the wire.

use std::fmt;

use super::link::trouble::Trouble;
use super::link::{Stream, serial, tcp};
use crate::config::model::{Framing, Line};

/// Something that can be opened again and again.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// As configured.
    Line(Line),
    /// As a test wants it.
    #[cfg(test)]
    Scripted(super::link::scripted::Ports),
}

impl Source {
    /// One attempt to open it.
    pub(super) async fn open(&self) -> Result<Box<dyn Stream>, Trouble> {
        match self {
            Self::Line(Line::Serial(wanted)) => serial::open(wanted).map(|port| Box::new(port) as Box<dyn Stream>),
            Self::Line(Line::Tcp(wanted)) => tcp::open(wanted).await.map(|stream| Box::new(stream) as Box<dyn Stream>),
            #[cfg(test)]
            Self::Scripted(ports) => ports.open(),
        }
    }

    /// What travels in it.
    pub(super) fn framing(&self) -> Framing {
        match self {
            Self::Line(Line::Serial(_)) => Framing::Rtu,
            Self::Line(Line::Tcp(wanted)) => wanted.framing,
            #[cfg(test)]
            Self::Scripted(ports) => ports.framing,
        }
    }

    /// Whether it is a connection, which the other end may close at any time.
    pub(super) fn is_network(&self) -> bool {
        match self {
            Self::Line(line) => matches!(line, Line::Tcp(_)),
            #[cfg(test)]
            Self::Scripted(ports) => ports.is_network,
        }
    }

    /// Serial lines have a thread of their own, so that short silences may be slept through exactly.
    pub(super) fn has_own_thread(&self) -> bool {
        matches!(self, Self::Line(Line::Serial(_)))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(Line::Serial(wanted)) => wanted.path.display().fmt(f),
            Self::Line(Line::Tcp(wanted)) => f.write_str(&tcp::address(wanted)),
            #[cfg(test)]
            Self::Scripted(_) => f.write_str("script"),
        }
    }
}
