//! What a master says: the requests of EN 13757-2 and the frame count bit that tells a repetition from the next question.
//!
//! Always true here: a request without a good answer is repeated with the same bit, so the meter sends the same telegram again.
//! Deliberately absent: when to repeat, and how often.

use super::frame::Frame;
use super::select::Secondary;

/// A field: the slave that was selected by its secondary address.
pub const SELECTED: u8 = 253;
/// A field: every slave answers, and two of them collide.
pub const TEST: u8 = 254;
/// A field: every slave obeys, none answers.
pub const BROADCAST: u8 = 255;

/// C fields without the frame count bit.
const SND_NKE: u8 = 0x40;
const SND_UD: u8 = 0x53;
const REQ_UD1: u8 = 0x5A;
const REQ_UD2: u8 = 0x5B;
/// The frame count bit.
const FCB: u8 = 0x20;
/// CI fields of a master.
const APPLICATION_RESET: u8 = 0x50;
const SELECT: u8 = 0x52;

/// The frame count bit of one slave, or of the slave that is selected (EN 13757-2, 5.7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FrameCount {
    set: bool,
}

impl FrameCount {
    /// After SND_NKE or a selection: the next request carries a 1.
    pub fn after_reset() -> Self {
        Self { set: true }
    }

    /// A good answer came: the next request is a new one.
    pub fn confirm(&mut self) {
        self.set = !self.set;
    }

    /// Whether the next request carries a 1.
    pub fn is_set(self) -> bool {
        self.set
    }

    fn on(self, control: u8) -> u8 {
        if self.set { control | FCB } else { control }
    }
}

/// SND_NKE: starts anew; selected slaves are deselected when it goes to [`SELECTED`]. Answer: a single character.
pub fn reset(address: u8) -> Vec<u8> {
    Frame::Short { control: SND_NKE, address }.encode()
}

/// REQ_UD2: asks for values. Answer: a telegram.
pub fn values(address: u8, count: FrameCount) -> Vec<u8> {
    Frame::Short { control: count.on(REQ_UD2), address }.encode()
}

/// REQ_UD1: asks for alarms. Answer: a telegram, or a single character if there are none.
pub fn alarms(address: u8, count: FrameCount) -> Vec<u8> {
    Frame::Short { control: count.on(REQ_UD1), address }.encode()
}

/// SND_UD with CI 52: selects the slaves that match. Answer: a single character of each of them.
pub fn select(mask: &Secondary) -> Vec<u8> {
    let data = mask.encode();
    Frame::Long { control: SND_UD, address: SELECTED, ci: SELECT, data: &data }.encode()
}

/// SND_UD with CI 50: back to the first telegram of a readout, or to the application that `subcode` names. Answer: a single character.
pub fn application_reset(address: u8, count: FrameCount, subcode: Option<u8>) -> Vec<u8> {
    Frame::Long { control: count.on(SND_UD), address, ci: APPLICATION_RESET, data: subcode.as_slice() }.encode()
}
