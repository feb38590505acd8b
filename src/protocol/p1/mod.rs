//! DSMR P1 and its relatives: V2.2 to V5 (Netherlands), eMUCS (Belgium), Luxembourg in clear, Sweden, Hungary, Ireland.
//!
//! Always true here: a telegram is read by its OBIS codes alone, so an unknown line is a data set like any other; a telegram that
//! carries a check sum is read only when it fits, and one that says it is of a version with check sums is not read without; units and
//! digits are as sent. Deliberately absent: the data request line, decryption, and the time zone of the meter.

pub mod submeter;
pub mod time;

mod framing;
mod telegram;

pub use framing::{CrcRule, Framing, Options};
pub use submeter::SubMeter;
pub use telegram::{Check, Telegram, hex_text};
pub use time::{LocalTime, Season, TimeError};

/// Why bytes that were framed as a telegram are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The check sum does not fit (P1 Companion Standard 6.2).
    #[error("check sum is {received:04X}, expected {calculated:04X}")]
    Crc {
        /// As received.
        received: u16,
        /// CRC-16/ARC over "/" to "!".
        calculated: u16,
    },
    /// The meter is of a version that sends a check sum, or the options want one, and none came.
    #[error("no check sum after \"!\"")]
    CrcMissing,
    /// What follows the end mark is neither a check sum nor a line end.
    #[error("no check sum and no line end after \"!\"")]
    End,
    /// The meter encrypts (Luxembourg, Austria): a general-glo-ciphering frame came in place of text.
    #[error("the meter encrypts its telegrams, expected text")]
    Encrypted,
    /// No end within the longest telegram allowed.
    #[error("no end within {0} bytes")]
    Oversize(usize),
}

#[cfg(test)]
pub(super) mod tests;
