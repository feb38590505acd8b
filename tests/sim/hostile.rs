//! How a slave answers: honestly, or with the six mischiefs that a serial line knows.
//!
//! Always true here: a hostile answer carries values that name another unit, another address or another moment than those asked
//! for (or an honest one, too late or cut), so that one that is believed shows. Nothing is sent later than three time-outs after
//! the request: what comes after time-out and quarantine cannot be told from the truth by anybody.

use std::time::Duration;

use super::image::Image;
use super::pdu::Read;
use super::rtu::frame;

/// Bytes to be sent at a time after the request, or after the act before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Duration,
    /// After this it must no longer be sent, because the machine was slower than a slave is allowed to be.
    pub not_after: Duration,
    /// What.
    pub bytes: Vec<u8>,
}

/// How a slave answers.
#[derive(Debug)]
pub enum Temper {
    /// At once, and right.
    Honest,
    /// Wrongly in three of ten cases.
    Hostile(Hostile),
}

impl Temper {
    /// What is done about one request, and what it is called.
    pub fn acts(&mut self, image: &dyn Image, unit: u8, read: Read, moment: u64) -> (Vec<Act>, &'static str) {
        match self {
            Self::Honest => {
                let bytes = answer(image, unit, read, moment);
                (vec![Act { at: Duration::ZERO, not_after: Duration::from_secs(3600), bytes }], "honest")
            }
            Self::Hostile(hostile) => hostile.acts(image, unit, read, moment),
        }
    }
}

/// Chance, and the line's settings.
#[derive(Debug)]
pub struct Hostile {
    chance: fastrand::Rng,
    timeout: Duration,
}

/// t3.5 above 19,200 Bd (V1.02, 2.5.1.1).
pub const T35: Duration = Duration::from_micros(1750);

impl Hostile {
    /// `timeout` is that of the bus.
    pub fn new(seed: u64, timeout: Duration) -> Self {
        Self { chance: fastrand::Rng::with_seed(seed), timeout }
    }

    fn acts(&mut self, image: &dyn Image, unit: u8, read: Read, moment: u64) -> (Vec<Act>, &'static str) {
        let truth = answer(image, unit, read, moment);
        let (bytes, what) = match self.chance.u8(..100) {
            0..5 => return (self.late(truth), "late"),
            5..10 => return (self.repeated(&truth), "repeated"),
            10..15 => (self.cut(&truth), "truncated"),
            15..20 => (foreign(image, unit, read, moment), "foreign unit"),
            20..25 => (self.wrong_length(image, unit, read, moment), "wrong length"),
            25..30 => (self.noise_before(&truth), "noise before"),
            _ => (truth, "honest"),
        };
        (vec![self.at_once(bytes)], what)
    }

    fn at_once(&self, bytes: Vec<u8>) -> Act {
        Act { at: Duration::ZERO, not_after: self.timeout * 3, bytes }
    }

    /// By 1.1 to 3 time-outs.
    fn late(&mut self, truth: Vec<u8>) -> Vec<Act> {
        let at = self.timeout.mul_f64(1.1 + 1.9 * self.chance.f64());
        vec![Act { at, not_after: self.timeout.mul_f64(3.2), bytes: truth }]
    }

    /// Once more before the silence that ends a frame is over.
    fn repeated(&mut self, truth: &[u8]) -> Vec<Act> {
        if self.chance.bool() {
            return vec![self.at_once(truth.repeat(2))];
        }
        let again = Act { at: T35.mul_f64(self.chance.f64() * 0.6), not_after: T35.mul_f64(0.9), bytes: truth.to_vec() };
        vec![self.at_once(truth.to_vec()), again]
    }

    fn cut(&mut self, truth: &[u8]) -> Vec<u8> {
        truth[..self.chance.usize(1..truth.len())].to_vec()
    }

    /// A frame that is whole, but not what was asked for: one to four registers more or fewer, with the values of other addresses.
    fn wrong_length(&mut self, image: &dyn Image, unit: u8, read: Read, moment: u64) -> Vec<u8> {
        let by = self.chance.u16(1..=4);
        let quantity = if self.chance.bool() && read.quantity > by { read.quantity - by } else { (read.quantity + by).min(124) };
        answer(image, unit, Read { address: elsewhere(read.address), quantity, ..read }, moment)
    }

    fn noise_before(&mut self, truth: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..self.chance.usize(1..=20)).map(|_| self.chance.u8(..)).collect();
        bytes.extend(truth);
        bytes
    }
}

fn answer(image: &dyn Image, unit: u8, read: Read, moment: u64) -> Vec<u8> {
    frame(unit, &read.answer(|address| image.word(unit, read.table, address, moment)))
}

/// The next unit on the line believes that it was meant.
fn foreign(image: &dyn Image, unit: u8, read: Read, moment: u64) -> Vec<u8> {
    let other = if image.knows(unit + 1) { unit + 1 } else { 1 };
    answer(image, other, read, moment)
}

/// Another address of the same half of the map.
fn elsewhere(address: u16) -> u16 {
    if address < 1000 { address + 500 } else { address - 100 }
}

#[cfg(test)]
mod tests {
    use super::super::image::Telltale;
    use super::super::pdu::Table;
    use super::*;

    const READ: Read = Read { table: Table::Holding, address: 8, quantity: 4 };

    #[test]
    fn three_of_ten_answers_are_mischief_and_each_kind_is_done() {
        let mut temper = Temper::Hostile(Hostile::new(1, Duration::from_millis(5)));
        let mut done = std::collections::BTreeMap::<&str, u32>::new();
        for moment in 0..10_000 {
            let (acts, what) = temper.acts(&Telltale { units: 3 }, 2, READ, moment);
            assert!(acts.iter().all(|act| act.at <= Duration::from_millis(15)), "{what}");
            *done.entry(what).or_default() += 1;
        }
        assert_eq!(done.len(), 7, "{done:?}");
        let honest = done.remove("honest").unwrap();
        assert!((6_700..7_300).contains(&honest), "{honest}");
        assert!(done.values().all(|times| (400..600).contains(times)), "{done:?}");
    }

    #[test]
    fn a_wrong_length_is_never_the_right_one_and_never_the_right_values() {
        let mut hostile = Hostile::new(2, Duration::from_millis(5));
        let image = Telltale { units: 3 };
        let truth = answer(&image, 2, READ, 7);
        for _ in 0..1_000 {
            let wrong = hostile.wrong_length(&image, 2, READ, 7);
            assert_ne!(wrong.len(), truth.len());
            assert_ne!(wrong[3..11.min(wrong.len())], truth[3..11.min(wrong.len())]);
        }
    }
}
