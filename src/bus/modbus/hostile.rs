//! A slave that means harm, written from the standard alone: raw bytes, own CRC, nothing of the library under test.
//!
//! Every register's value names unit, table, address and the request it belongs to, so that any mix-up shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use crate::config::model::Framing;

/// A timer is right to the millisecond above.
const OVERDUE: Duration = Duration::from_micros(1_500);

/// How it behaves.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    pub(super) framing: Framing,
    /// How many of a hundred answers are tampered with.
    pub(super) evil: u32,
    pub(super) timeout: Duration,
    /// Late answers come after so many time-outs, counted from the end of the request.
    pub(super) late: (f64, f64),
    /// Whether it answers in the order it was asked, as every slave does; a line with repeaters on it need not.
    pub(super) in_order: bool,
    /// Repeated answers come within this.
    pub(super) repeat_within: Duration,
}

/// What is shared with the test.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Requests understood so far; the answer to the latest carries this number in its values.
    pub(super) requests: AtomicU64,
    /// Answers that were not sent because the machine was too slow.
    pub(super) withheld: AtomicU64,
}

pub(super) struct Slave {
    manner: Manner,
    seen: Arc<Seen>,
    random: fastrand::Rng,
    buffer: Vec<u8>,
    /// What is still to be sent, when, and whether its moment is what is wrong with it. Survives a connection, as in a serial device server.
    outbox: Vec<(Instant, Vec<u8>, bool)>,
    /// When each unit has sent what it owes: a slave answers in the order it was asked.
    busy_until: [Instant; 256],
}

/// The value of a register: unit, function, address and moment.
pub(super) fn value(unit: u8, function: u8, address: u16, moment: u64) -> u16 {
    let mixed =
        (u64::from(unit) << 56 | u64::from(function) << 48 | u64::from(address) << 32) ^ moment.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let [a, b, ..] = mixed.to_be_bytes();
    u16::from_be_bytes([a, b])
}

impl Slave {
    pub(super) fn new(manner: Manner, seed: u64) -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        let random = fastrand::Rng::with_seed(seed);
        let busy_until = [Instant::now(); 256];
        let slave = Self { manner, seen: Arc::clone(&seen), random, buffer: Vec::new(), outbox: Vec::new(), busy_until };
        (slave, seen)
    }

    /// Serves one connection until the other end closes it.
    pub(super) async fn serve(&mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        self.buffer.clear();
        let mut bytes = [0; 300];
        loop {
            self.outbox.sort_by_key(|(due, ..)| *due);
            let next = self.outbox.first().map(|(due, ..)| *due);
            let wake = next.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                read = stream.read(&mut bytes) => match read {
                    Ok(count) if count > 0 => self.hear(&bytes[..count]),
                    _ => return,
                },
                () = sleep_until(wake) => {
                    let (due, frame, is_mischief) = self.outbox.remove(0);
                    // What the machine delays beyond what the promise covers is not said at all.
                    if is_mischief && due.elapsed() > OVERDUE {
                        self.seen.withheld.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    if stream.write_all(&frame).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        loop {
            let length = if self.manner.framing == Framing::Tcp { 12 } else { 8 };
            if self.buffer.len() < length {
                return;
            }
            if self.manner.framing == Framing::Rtu && crc(&self.buffer[..6]).to_le_bytes() != self.buffer[6..8] {
                self.buffer.remove(0);
                continue;
            }
            let request: Vec<u8> = self.buffer.drain(..length).collect();
            self.answer(&request);
        }
    }

    fn answer(&mut self, request: &[u8]) {
        let moment = self.seen.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let (header, pdu) = if self.manner.framing == Framing::Tcp { request.split_at(6) } else { (&request[..0], request) };
        let (unit, function) = (pdu[0], pdu[1]);
        let address = u16::from_be_bytes([pdu[2], pdu[3]]);
        let count = u16::from_be_bytes([pdu[4], pdu[5]]);
        let good = self.frame(header, unit, function, address, count, moment);
        let mut begun = Instant::now();
        if self.manner.in_order {
            begun = begun.max(self.busy_until[usize::from(unit)]);
        }
        let soon = begun + self.manner.timeout.mul_f64(0.5 * self.random.f64());
        let evil = if self.random.u32(0..100) < self.manner.evil { self.random.u32(0..6) } else { 9 };
        let (due, sent) = match evil {
            0 => {
                let (from, to) = self.manner.late;
                (begun + self.manner.timeout.mul_f64(from + (to - from) * self.random.f64()), good)
            }
            1 => {
                self.outbox.push((soon + self.manner.repeat_within.mul_f64(self.random.f64()), good.clone(), true));
                (soon, good)
            }
            2 => (soon, good[..self.random.usize(1..good.len())].to_vec()),
            3 => (soon, self.frame(header, unit % 3 + 1, function, address, count, moment ^ 0xFFFF)),
            4 => {
                let step = if function < 3 { 8 } else { 1 };
                let count = if count > step && self.random.bool() { count - step } else { count + step };
                (soon, self.frame(header, unit, function, address, count, moment ^ 0xFFFF))
            }
            5 => {
                let noise: Vec<u8> = (0..self.random.usize(1..25)).map(|_| self.random.u8(..)).collect();
                (soon, [noise, good].concat())
            }
            _ => (soon, good),
        };
        self.busy_until[usize::from(unit)] = due;
        self.outbox.push((due, sent, evil == 0));
    }

    fn frame(&self, header: &[u8], unit: u8, function: u8, address: u16, count: u16, moment: u64) -> Vec<u8> {
        let mut pdu = vec![unit, function];
        let data: Vec<u8> = if function < 3 {
            (0..count.div_ceil(8)).map(|i| value(unit, function, address + i, moment).to_be_bytes()[1]).collect()
        } else {
            (0..count).flat_map(|i| value(unit, function, address.wrapping_add(i), moment).to_be_bytes()).collect()
        };
        pdu.push(u8::try_from(data.len()).unwrap());
        pdu.extend(data);
        if self.manner.framing == Framing::Tcp {
            let length = u16::try_from(pdu.len()).unwrap().to_be_bytes();
            return [&header[..4], &length[..], &pdu[..]].concat();
        }
        pdu.extend(crc(&pdu).to_le_bytes());
        pdu
    }
}

/// CRC-16/MODBUS (Modbus over Serial Line V1.02, 6.2.2).
pub(in crate::bus) fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}
