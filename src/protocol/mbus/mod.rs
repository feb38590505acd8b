//! M-Bus (EN 13757-2 and -3): from bytes on the wire to named values, and back for what is asked.
//!
//! Always true here: no input panics, hangs or takes more memory than a few times its own length; an odd record costs that record
//! alone; a value is given with the digits sent, or is missing with a reason. Deliberately absent: wires, waiting, and which values
//! anybody wants.
//!
//! ```text
//! bytes --frame::next--> Frame --decode--> Answer::Telegram { header, records }
//!                                          Answer::Refused(why)
//! ```

pub mod crypt;
mod dif;
mod fixed;
pub mod frame;
pub mod header;
pub mod record;
pub mod request;
pub mod search;
pub mod select;
mod text;
pub mod time;
mod value;
mod vif;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use crypt::{Key, Secrets};
pub use dif::Function;
pub use frame::Frame;
pub use header::{ApplicationError, Configuration, Header, Id, Identity, Manufacturer, Medium, Order, Status};
pub use record::{Problem, Record};
pub use vif::qualifier::Qualifier;

/// What a meter answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Values.
    Telegram(Telegram),
    /// It does not do what was asked (CI 70).
    Refused(ApplicationError),
    /// Alarm bits, as the maker uses them (CI 71).
    Alarm(u8),
}

/// One telegram with values, which may be one of several of a readout.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// The A field: who answers, 0..=250.
    pub address: u8,
    /// Who answers and in which state.
    pub header: Header,
    /// In the order sent.
    pub records: Vec<Record>,
    /// The meter has more: ask again with the toggled frame count bit.
    pub more_follow: bool,
}

/// Why a frame holds no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// A single character or a short frame.
    #[error("a frame without data, expected an answer with values")]
    NoData,
    /// A request, or another service of the link layer.
    #[error("C field {0:02X}, expected 08, 18, 28 or 38")]
    Control(u8),
    /// A CI field that is none of an answer, or one that is not known here.
    #[error("CI field {0:02X}, expected 70 to 73, 76 to 78 or 7A")]
    Ci(u8),
    /// The data is shorter than its header, or not as long as the fixed structure.
    #[error("{received} bytes behind CI field {ci:02X}, expected {expected}")]
    Header {
        /// CI field.
        ci: u8,
        /// Bytes at hand.
        received: usize,
        /// Bytes of the header.
        expected: usize,
    },
    /// Enciphered, and no key is known.
    #[error("the records are enciphered (mode 5) and no key is configured")]
    NoKey,
    /// Enciphered, and neither the telegram nor the caller says whose it is.
    #[error("the records are enciphered and the short header does not say which meter sent them")]
    NoIdentity,
    /// What was deciphered does not begin with 2F 2F.
    #[error("the key does not fit: deciphered records begin with other bytes than 2F 2F")]
    WrongKey,
    /// A way of encipherment that is not known here.
    #[error("the records are enciphered in mode {0}, expected 0 or 5")]
    Mode(u8),
}

/// Reads what a meter answers.
///
/// # Errors
/// When the frame is none of an answer, too short for its header, or enciphered and cannot be opened. Odd records are no error.
pub fn decode(frame: &Frame, secrets: Secrets) -> Result<Answer, AnswerError> {
    let Frame::Long { control, address, ci, data } = *frame else { return Err(AnswerError::NoData) };
    // RSP_UD with the two flags of the secondary station, access demand and data flow control.
    if control & !0x30 != 0x08 {
        return Err(AnswerError::Control(control));
    }
    let (header, records, order) = match ci {
        0x70 => return Ok(Answer::Refused(ApplicationError(data.first().copied().unwrap_or_default()))),
        0x71 => return Ok(Answer::Alarm(data.first().copied().unwrap_or_default())),
        0x72 => with_order(header::long(ci, data, Order::LowFirst)?, Order::LowFirst),
        0x76 => with_order(header::long(ci, data, Order::HighFirst)?, Order::HighFirst),
        0x78 => (Header::default(), data, Order::LowFirst),
        0x7A => with_order(header::short(ci, data, Order::LowFirst)?, Order::LowFirst),
        0x73 => return fixed(address, ci, data, Order::LowFirst),
        0x77 => return fixed(address, ci, data, Order::HighFirst),
        other => return Err(AnswerError::Ci(other)),
    };
    let plain = crypt::open(&header, records, secrets)?;
    let all = record::read_all(plain.as_deref().unwrap_or(records), order);
    Ok(Answer::Telegram(Telegram { address, header, records: all.records, more_follow: all.more_follow }))
}

fn with_order((header, rest): (Header, &[u8]), order: Order) -> (Header, &[u8], Order) {
    (header, rest, order)
}

fn fixed(address: u8, ci: u8, data: &[u8], order: Order) -> Result<Answer, AnswerError> {
    let (header, records) = fixed::read(ci, data, order)?;
    Ok(Answer::Telegram(Telegram { address, header, records: records.into(), more_follow: false }))
}
