//! A read-out: who sent it, how well it was protected, and its data sets in the order sent.
//!
//! Always true here: lines that hold no data set are counted, not fatal; the rows of load profiles and logs are counted and, unless
//! asked for, left out, so that memory follows the registers of the meter and not its history. Deliberately absent: framing.

use super::dataset::{DataSet, LineCount, read_line};
use super::framing::{Framing, Options};
use super::{Error, Identification};
use crate::protocol::obis::{Medium, Obis};
use crate::protocol::stream::{Capture, Stream};

/// How a telegram was protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// STX, ETX and a block check that fits.
    Good,
    /// No block check in this mode (A and D): parity is all there is.
    NotSent,
    /// A block check was announced by STX and did not come.
    Missing,
    /// The block check does not fit, and the options accept that.
    Wrong {
        /// As received.
        received: u8,
        /// As calculated.
        calculated: u8,
    },
}

/// One read-out.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// `None` where the identification came before a change of speed, or not at all.
    pub ident: Option<Identification>,
    /// Block check.
    pub check: Check,
    /// What the meter seems to measure; decides what reduced codes mean.
    pub medium: Medium,
    /// In the order sent; an address may stand more than once.
    pub sets: Vec<DataSet>,
    /// Rows of load profiles and logs, and lines of data that belong to no address.
    pub profile_rows: usize,
    /// Lines that hold something, but no data set.
    pub odd_lines: usize,
}

impl Telegram {
    pub(super) fn read(ident: Option<Identification>, check: Check, body: &[u8], keep_rows: bool) -> Self {
        let text = String::from_utf8_lossy(body);
        let medium = medium(&text);
        let mut telegram = Self { ident, check, medium, sets: Vec::new(), profile_rows: 0, odd_lines: 0 };
        for line in text
            .split(['\r', '\n'])
            .filter(|line| !line.trim_matches(|c: char| matches!(c, ' ' | '!') || c.is_control()).is_empty())
        {
            telegram.read_line(line, keep_rows);
        }
        telegram
    }

    fn read_line(&mut self, line: &str, keep_rows: bool) {
        let is_row = line.trim_start_matches(' ').starts_with('(') && self.sets.last().is_some_and(DataSet::is_profile);
        let LineCount { brackets, .. } = read_line(line, self.medium, &mut self.sets, |set| keep_rows || !set.is_profile());
        self.profile_rows += usize::from(is_row);
        self.odd_lines += usize::from(brackets == 0);
    }

    /// The first data set that is meant by a code.
    #[must_use]
    pub fn find(&self, code: &Obis) -> Option<&DataSet> {
        self.sets.iter().find(|set| set.code.is_some_and(|found| code.matches(&found)))
    }
}

/// Heat meters are known by the reduced code of their volume, which no electricity meter has.
fn medium(text: &str) -> Medium {
    if text.contains("6.26(") || text.contains("6.26*01(") { Medium::Heat } else { Medium::Electricity }
}

/// Everything in a capture.
///
/// A capture that holds neither an identification nor a block is read as the bare data of one telegram, if any line of it is data.
#[must_use]
pub fn read_capture(options: Options, capture: &[u8]) -> Capture<Telegram, Error> {
    let framed = Stream::read_all(Framing::new(options), capture);
    if !framed.telegrams.is_empty() || capture.len() > options.longest {
        return framed;
    }
    let body: Vec<u8> = capture.iter().map(|byte| byte & 0x7F).collect();
    let telegram = Telegram::read(None, Check::NotSent, &body, options.keep_rows);
    if telegram.sets.is_empty() { framed } else { Capture { telegrams: vec![Ok(telegram)], noise: 0 } }
}
