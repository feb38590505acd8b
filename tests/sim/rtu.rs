//! An RTU slave (Modbus over Serial Line V1.02, 2.5): its own CRC, its own framing, and a temper that decides how it answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::hostile::{Act, T35, Temper};
use super::image::Image;
use super::ledger::Ledger;
use super::line::{Heard, Line};
use super::pdu::{self, Read, Table};
use super::watched::Watched;

/// An answer that took longer may cross the next request, and says nothing about the silence before that.
const PROMPT: Duration = Duration::from_millis(2);

/// CRC-16 of 6.2.2 in the standard's appendix: preset to ones, polynomial A001 from the low end.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// A frame: unit, PDU, CRC with its low byte first.
pub fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend(pdu);
    frame.extend(crc16(&frame).to_le_bytes());
    frame
}

/// A request as it was heard.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Who was asked.
    pub unit: u8,
    /// For what.
    pub read: Read,
    /// When, in Unix microseconds.
    pub at_us: u128,
}

/// Everything that was heard on one line; the place of a request in `asked`, counted from 1, is the moment of its answer.
#[derive(Debug, Default)]
pub struct Record {
    /// All requests, in order.
    pub asked: Vec<Asked>,
    /// Bytes that belonged to no request.
    pub strays: usize,
    /// Silences between an answer that was sent whole and at once, and the request after it.
    pub silences: usize,
    /// How many of them were clearly shorter than t3.5 above 19,200 Bd. This machine's own pauses can make one look so.
    pub hasty: usize,
    /// Acts that the machine delayed beyond what the slave is allowed, and that were dropped therefore.
    pub withheld: usize,
    /// How often each mischief was done.
    pub mischief: BTreeMap<&'static str, usize>,
}

impl Record {
    /// The moments at which `width` items from `address` were asked for, in order.
    pub fn moments_of(&self, unit: u8, table: Table, address: u16, width: u16) -> impl Iterator<Item = (u64, &Asked)> {
        let numbered = (1..).zip(&self.asked);
        numbered.filter(move |(_, asked)| asked.unit == unit && asked.read.covers(table, address, width))
    }
}

/// Slaves on one line.
pub struct Slaves {
    line: Line,
    name: String,
    image: Box<dyn Image>,
    temper: Temper,
    ledger: Arc<Ledger>,
    record: Arc<Watched<Record>>,
    answered: BTreeMap<u8, u64>,
    wire: u64,
    spoke: Option<Instant>,
}

impl Slaves {
    /// Puts the units of `image` on the line; they answer until the other side of `line` is gone for good.
    pub fn start(
        line: Line,
        name: &str,
        image: impl Image + 'static,
        temper: Temper,
        ledger: &Arc<Ledger>,
    ) -> Arc<Watched<Record>> {
        let record = Arc::new(Watched::default());
        let wire = ledger.wire();
        let mut slaves = Self {
            line,
            name: name.to_owned(),
            image: Box::new(image),
            temper,
            ledger: Arc::clone(ledger),
            record: Arc::clone(&record),
            answered: BTreeMap::new(),
            wire,
            spoke: None,
        };
        thread::spawn(move || slaves.listen());
        record
    }

    fn listen(&mut self) {
        let mut waiting: Vec<u8> = Vec::new();
        while let Ok(heard) = self.line.heard.recv() {
            match heard {
                Heard::Closed => {
                    waiting.clear();
                    self.ledger.closed(self.wire);
                }
                Heard::Bytes(bytes, at) => {
                    waiting.extend(bytes);
                    while let Some((unit, request)) = self.next_request(&mut waiting) {
                        self.serve(unit, request, at);
                    }
                }
            }
        }
    }

    /// All four read requests are eight bytes long; what does not end in its CRC there is dropped byte by byte.
    fn next_request(&self, waiting: &mut Vec<u8>) -> Option<(u8, [u8; 5])> {
        while let Some(&[unit, a, b, c, d, e, low, high]) = waiting.first_chunk::<8>() {
            if crc16(&[unit, a, b, c, d, e]) == u16::from_le_bytes([low, high]) {
                waiting.drain(..8);
                return Some((unit, [a, b, c, d, e]));
            }
            waiting.remove(0);
            self.record.change(|record| record.strays += 1);
        }
        None
    }

    fn serve(&mut self, unit: u8, request: [u8; 5], at: Instant) {
        self.ledger.asked(self.wire);
        let parsed = Read::parse(&request);
        if !self.image.knows(unit) {
            return;
        }
        let read = match parsed {
            Ok(read) => read,
            Err(code) => return (self.line.speak)(&frame(unit, &pdu::exception(request[0], code))),
        };
        let moment = self.note(Asked { unit, read, at_us: unix_us() }, at);
        let (acts, what) = self.temper.acts(self.image.as_ref(), unit, read, moment);
        let whole = self.perform(&acts, at) && what == "honest";
        self.record.change(|record| *record.mischief.entry(what).or_default() += 1);
        self.spoke = (whole && at.elapsed() < PROMPT).then(Instant::now);
        let counted = self.image.count_at(unit).is_some_and(|(table, address, width)| read.covers(table, address, width));
        if whole && counted {
            self.ledger.answered(self.wire, (self.name.clone(), unit), moment);
        }
    }

    /// Writes the request down; gives the moment of its answer.
    fn note(&mut self, asked: Asked, at: Instant) -> u64 {
        let silence = self.spoke.take().map(|spoke| at.saturating_duration_since(spoke));
        let place = self.record.change(|record| {
            record.asked.push(asked);
            record.silences += usize::from(silence.is_some());
            record.hasty += usize::from(silence.is_some_and(|silence| silence < T35.mul_f64(0.7)));
            record.asked.len() as u64
        });
        // A count is a unit's own; a telltale is told by its place in the record.
        if self.image.count_at(asked.unit).is_none() {
            return place;
        }
        let count = self.answered.entry(asked.unit).or_default();
        *count += 1;
        *count
    }

    /// Whether all acts could be done in the time they are allowed.
    fn perform(&mut self, acts: &[Act], asked: Instant) -> bool {
        let mut before = asked;
        for act in acts {
            thread::sleep((before + act.at).saturating_duration_since(Instant::now()));
            if before.elapsed() > act.not_after {
                self.record.change(|record| record.withheld += 1);
                return false;
            }
            before = Instant::now();
            (self.line.speak)(&act.bytes);
        }
        !acts.is_empty()
    }
}

fn unix_us() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros()
}

#[cfg(test)]
mod tests {
    use super::super::image::Counting;
    use super::super::line;
    use super::*;
    use std::io::{Read as _, Write as _};

    #[test]
    fn the_crc_is_that_of_the_standard() {
        assert_eq!(frame(2, &[7]), [0x02, 0x07, 0x41, 0x12]);
        assert_eq!(crc16(b"123456789"), 0x4B37);
    }

    #[test]
    fn a_slave_answers_over_a_device_server_and_a_foreign_unit_is_silent() {
        let (line, address) = line::device_server();
        let ledger = Arc::new(Ledger::default());
        let record = Slaves::start(line, "line", Counting { units: 1 }, Temper::Honest, &ledger);
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(&frame(9, &[3, 0, 0, 0, 4])).unwrap();
        stream.write_all(&frame(1, &[3, 0, 0, 0, 4])).unwrap();
        let mut got = [0; 13];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got[..], frame(1, &[3, 8, 0, 0, 0, 0, 0, 0, 0, 1]));
        assert_eq!(record.look(|record| record.asked.len()), 1);
    }

    #[test]
    fn a_slave_answers_on_a_pty() {
        let (line, path) = line::pty();
        let ledger = Arc::new(Ledger::default());
        Slaves::start(line, "line", Counting { units: 1 }, Temper::Honest, &ledger);
        let mut port = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut raw = rustix::termios::tcgetattr(&port).unwrap();
        raw.make_raw();
        rustix::termios::tcsetattr(&port, rustix::termios::OptionalActions::Now, &raw).unwrap();
        port.write_all(&frame(1, &[3, 0, 4, 0, 2])).unwrap();
        let mut got = [0; 9];
        port.read_exact(&mut got).unwrap();
        assert_eq!(got[..], frame(1, &[3, 4, 0, 0, 0, 1]));
    }
}
