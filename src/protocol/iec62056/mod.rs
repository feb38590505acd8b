//! IEC 62056-21 (D0): read-outs of meters in modes A, B, C and D, as text.
//!
//! Always true here: a value keeps its digits as sent, beside the number they make; one odd data set never ends a telegram; a
//! telegram whose block check is wrong is an error unless the options say otherwise; what was cut off at its start or its end never
//! becomes a telegram. Deliberately absent: the line, its speed and its time-outs (the hand-shake says which to use, a driver uses
//! them), mode E (binary), and writing to meters.

pub mod dataset;
pub mod handshake;
pub mod ident;
pub mod telegram;

mod framing;

pub use dataset::{DataSet, Item, Quantity};
pub use framing::{BccRule, Framing, Options};
pub use ident::Identification;
pub use telegram::{Check, Telegram, read_capture};

/// Why bytes that were framed as a telegram are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The block check character does not fit the block (clause 8): a disturbed line.
    #[error("block check is {received:#04x}, expected {calculated:#04x}")]
    Bcc {
        /// As received, without parity.
        received: u8,
        /// Of the characters received.
        calculated: u8,
    },
    /// A block that began with STX ended without ETX and block check.
    #[error("the block ends without ETX and block check")]
    BccMissing,
    /// ETX came without STX, or before the end mark "!" that every read-out has: a part of it is lost.
    #[error("ETX came without STX or before the end mark \"!\"")]
    Truncated,
    /// No end within the longest telegram allowed.
    #[error("no end within {0} bytes")]
    Oversize(usize),
}

#[cfg(test)]
pub(super) mod tests;
