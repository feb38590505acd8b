//! SML (Smart Message Language 1.03/1.04): what German meters push, transport version 1.
//!
//! Always true here: a telegram is read only when its transport check sum fits; one odd entry never ends it; an integer keeps its width
//! and sign as sent, and value and scaler become one exact decimal. Deliberately absent: requests to meters, signatures (they are
//! skipped), and guesses at faulty firmware: a [`Quirks`] is applied only where a configuration asks for it.

pub mod quirks;
pub mod tlv;
pub mod unit;

mod framing;
mod message;

pub use framing::{CrcKind, Framing, Options};
pub use message::{Entry, GetList, Raw, Telegram, Time};
pub use quirks::Quirks;

/// Why bytes that were framed as a telegram are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The start sequence came again before an end: bytes were lost.
    #[error("{0} bytes without an end whose check sum fits, then the start sequence again")]
    Restart(usize),
    /// No end within the longest telegram allowed.
    #[error("no end whose check sum fits within {0} bytes")]
    Oversize(usize),
    /// The capture ended at an end sequence whose check sum does not fit, or before one.
    #[error("{0} bytes at the end without an end sequence whose check sum fits")]
    Unfinished(usize),
    /// The check sum of a message does not fit, and the options want it to.
    #[error("check sum of message {0} does not fit")]
    MessageCrc(usize),
}

#[cfg(test)]
pub(super) mod tests;
