//! What a line costs: characters, silences and time-outs, computed from its settings. Pure.
//!
//! Always true here: times are at the wire (Modbus over Serial Line V1.02, 2.5.1.1), and a line whose speed is not known (a serial
//! device server behind TCP) is taken for the slowest usual one. Deliberately absent: clocks, and anything learnt.

use std::time::Duration;

use crate::config::model::{Framing, Line};
use crate::driver::Ask;
use crate::driver::modbus::LineCost;

/// Bytes of a read request as an RTU frame: unit, function, address, count, CRC.
pub(super) const REQUEST_BYTES: u32 = 8;
/// Bytes of an answer that carry no data, as an RTU frame: unit, function, byte count, CRC.
pub(super) const ANSWER_FRAME_BYTES: u32 = 5;
/// From the end of a request to the answer, until a meter is known better: the middle of what electricity meters need.
pub(super) const TURNAROUND: Duration = Duration::from_millis(20);
/// What adapters and schedulers may add within an answer: the latency timer of an FTDI adapter is 16 ms.
const SLACK: Duration = Duration::from_millis(20);
/// Above 19200 baud the silences are fixed (2.5.1.1).
const SHORTEST_SILENCE: Duration = Duration::from_micros(1750);
/// A round trip on the local network, for weighing one request against another.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Bytes of data in the answer to a request.
pub(super) fn data_bytes(ask: Ask) -> u16 {
    if ask.table.is_bits() { ask.count.div_ceil(8) } else { ask.count.saturating_mul(2) }
}

/// How fast a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// One character on the wire; zero where the wire is a network.
    pub(super) character: Duration,
    /// Silence before a request (t3.5); zero where the frames carry their own length and number.
    pub(super) silence: Duration,
    /// Whether an answer may reach us in one piece, after its last byte (a device server collects frames).
    collected: bool,
}

impl Pace {
    /// The pace of a configured line.
    pub(super) fn of(line: &Line) -> Self {
        match line {
            Line::Serial(serial) => Self::serial(serial.baud, serial.bits_per_character()),
            Line::Tcp(tcp) if tcp.framing == Framing::Tcp => {
                Self { character: Duration::ZERO, silence: Duration::ZERO, collected: false }
            }
            Line::Tcp(_) => Self { collected: true, ..Self::serial(9600, 11) },
        }
    }

    fn serial(baud: u32, bits: u32) -> Self {
        let character = Duration::from_secs(1) * bits / baud.max(1);
        let silence = if baud > 19_200 { SHORTEST_SILENCE } else { character * 7 / 2 };
        Self { character, silence, collected: false }
    }

    fn request(&self) -> Duration {
        self.character * REQUEST_BYTES
    }

    fn answer(&self, ask: Ask) -> Duration {
        self.character * (ANSWER_FRAME_BYTES + u32::from(data_bytes(ask)))
    }

    /// How long to wait for the first byte, from the moment the request is handed to the port.
    pub(super) fn first_byte(&self, ask: Ask, timeout: Duration) -> Duration {
        let collected = if self.collected { self.answer(ask) } else { Duration::ZERO };
        self.request() + timeout + collected
    }

    /// How long to wait for the rest once a byte has come.
    pub(super) fn rest(&self, ask: Ask, timeout: Duration) -> Duration {
        if self.character.is_zero() { timeout.max(SLACK) } else { self.answer(ask) + SLACK }
    }

    /// What a request that nobody answers costs, quarantine included.
    pub(super) fn lost(&self, timeout: Duration, quarantine: Duration) -> Duration {
        self.silence + self.request() + timeout + quarantine
    }

    /// Bus time of one exchange: `(request + answer) + 2 * t3.5 + turnaround`.
    fn exchange(&self, registers: u32, turnaround: Duration) -> Duration {
        let answer = self.character * (ANSWER_FRAME_BYTES + 2 * registers);
        self.request() + answer + self.silence * 2 + turnaround
    }

    /// What the planner weighs a gap with.
    pub(super) fn line_cost(&self) -> LineCost {
        if self.character.is_zero() {
            return LineCost { per_register: Duration::from_micros(1), per_request: ROUND_TRIP };
        }
        LineCost { per_register: self.character * 2, per_request: self.exchange(0, TURNAROUND) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Parity, Serial, Table, Tcp};

    fn serial(baud: u32, parity: Parity) -> Pace {
        Pace::of(&Line::Serial(Serial {
            path: "/dev/null".into(),
            baud,
            parity,
            data_bits: 8,
            stop_bits: 1,
            echo_is_dropped: false,
            rs485: false,
        }))
    }

    fn registers(count: u16) -> Ask {
        Ask { table: Table::Input, address: 0, count }
    }

    #[test]
    fn forty_registers_at_9600_baud_can_be_read_eight_point_seven_times_a_second() {
        let exchange = serial(9600, Parity::Even).exchange(40, Duration::ZERO);
        let rate = 1.0 / exchange.as_secs_f64();
        assert!((rate - 8.73).abs() < 0.01, "{rate} exchanges a second");
    }

    #[test]
    fn forty_registers_at_115200_baud_can_be_read_eighty_times_a_second() {
        let exchange = serial(115_200, Parity::Even).exchange(40, Duration::ZERO);
        let rate = 1.0 / exchange.as_secs_f64();
        assert!((rate - 80.8).abs() < 0.1, "{rate} exchanges a second");
    }

    #[test]
    fn the_silence_is_three_and_a_half_characters_and_never_below_1750_microseconds() {
        assert_eq!(serial(9600, Parity::Even).silence.as_micros(), 4010);
        assert_eq!(serial(19_200, Parity::Even).silence.as_micros(), 2005);
        assert_eq!(serial(38_400, Parity::Even).silence.as_micros(), 1750);
    }

    #[test]
    fn a_gap_of_nineteen_registers_is_as_dear_as_another_request_at_9600_baud() {
        let cost = serial(9600, Parity::Even).line_cost();
        assert!(cost.per_register * 18 < cost.per_request && cost.per_register * 19 > cost.per_request);
    }

    #[test]
    fn a_network_adds_no_line_time() {
        let tcp = Tcp { host: "h".into(), port: 502, framing: Framing::Tcp };
        let timeout = Duration::from_millis(5);
        assert_eq!(Pace::of(&Line::Tcp(tcp)).first_byte(registers(125), timeout), timeout);
    }

    #[test]
    fn eight_bits_travel_in_one_byte_and_nine_in_two() {
        let bits = |count| Ask { table: Table::Coil, address: 0, count };
        assert_eq!((data_bytes(bits(8)), data_bytes(bits(9)), data_bytes(registers(9))), (1, 2, 18));
    }
}
