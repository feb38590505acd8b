//! Dialogues with one meter, as data: what was heard goes in, the next wish comes out.
//!
//! Always true here: a dialogue ends after a bounded number of steps, whatever it hears, and its last step accounts for every point
//! that was due: a value, or [`Value::Missing`](crate::reading::Value::Missing) with a reason. Deliberately absent: wires, waiting
//! in earnest, files, logs; the cost of a line is an argument.

pub mod modbus;
pub mod planner;
pub mod refusal;
pub mod scaling;

use std::time::Duration;

use crate::config::model::Table;
use crate::reading::{Reason, Stamp, Sweep};
pub use refusal::Refusal;

/// One Modbus request: so many items of one table from a PDU address on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ask {
    /// Function codes 1 to 4 by table.
    pub table: Table,
    /// PDU address of the first item.
    pub address: u16,
    /// 1..=125 registers or 1..=2000 bits; `address + count <= 65536`.
    pub count: u16,
}

/// What a dialogue wants next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send this request and report what was heard.
    Ask(Ask),
    /// Leave the meter alone for so long (on top of what the line needs), then report [`Heard::Nothing`].
    Wait(Duration),
    /// Finished: the sweeps of this dialogue, none when nothing was due.
    Done(Vec<Sweep>),
}

/// What came of the last step.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The dialogue begins, or a wait is over.
    Nothing,
    /// As many registers as were asked for.
    Words(Vec<u16>),
    /// As many bits as were asked for.
    Bits(Vec<bool>),
    /// No usable answer.
    Fault(Fault),
}

/// Why there is no usable answer, sorted by what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No byte in time: the meter may be dead. Ask others first.
    Silent,
    /// Bytes, but no valid answer: the line is disturbed or the answer was foreign. Try again next time.
    Garbled,
    /// The meter understood and refused, with this exception code. Ask differently.
    Refused(u8),
    /// A valid answer of this meter to this request, but with fewer items than were asked for. Ask for less.
    Short,
    /// The port or the connection is gone. Nobody on this wire can answer.
    LineDown,
}

impl Fault {
    /// What is said of a point that this fault left without a value.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            // 0x0A and 0x0B come from a gateway on behalf of a meter that did not answer (Modbus Application Protocol V1.1b3, 7).
            Self::Silent | Self::Refused(0x0A | 0x0B) => Reason::Timeout,
            Self::Garbled | Self::Short => Reason::Garbled,
            Self::Refused(code) => Reason::Exception(code),
            Self::LineDown => Reason::LineDown,
        }
    }
}

/// A conversation with one meter.
pub trait Dialogue: Send {
    /// Reports what was heard, at the moment `now` of its end, and asks what to do next. Not to be called again after
    /// [`Step::Done`].
    fn step(&mut self, heard: Heard, now: &Stamp) -> Step;

    /// What was learnt about the meter; complete after [`Step::Done`]. Nothing, for a dialogue that does not learn.
    fn learnt(&self) -> Learnt<'_> {
        Learnt::default()
    }
}

/// What a dialogue learnt about its meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Learnt<'a> {
    /// What the meter refused, as small as it could be isolated.
    pub refusals: &'a [Refusal],
    /// What it was believed to refuse and answered when it was put to the test.
    pub disproved: Option<Refusal>,
    /// Whether the meter answered anything in the same dialogue. A meter that refuses everything may just be starting: what it
    /// refused then is not worth a page of the notebook.
    pub is_sure: bool,
}
