//! How much of a line its polls take. Pure.
//!
//! Always true here: the figures follow from the model alone, with the requests that the planner makes of it; each group of points is
//! taken to be polled by itself, so groups that fall due together cost less than is said. How long a meter thinks is not known
//! before it was asked: [`Load::turnaround`] is assumed. Deliberately absent: what was learnt, silent meters, and whether a load is
//! too high.
//!
//! An exchange takes `(request + answer) * character + 2 * t3.5 + turnaround` (Modbus over Serial Line V1.02, 2.5.1.1), and what the
//! meter's own pause exceeds t3.5 by.

use std::time::Duration;

use super::cost::{ANSWER_FRAME_BYTES, Pace, REQUEST_BYTES, TURNAROUND, data_bytes};
use crate::config::model::{Bus, Framing, Line, Meter};
use crate::driver::Ask;
use crate::driver::planner::{Rules, plan};

/// What a frame over TCP has around its PDU (Modbus Messaging on TCP/IP V1.0b, 3.1.3), less unit and CRC of one over RTU.
const MBAP_SURPLUS: u32 = 7 - 3;

/// What all points of a bus cost when each is read once, and what share of the time that is at their periods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Requests.
    pub requests: u32,
    /// Bytes of requests and answers.
    pub bytes: u32,
    /// Time of these bytes on the wire, or in the network.
    pub transfer: Duration,
    /// Silences that the line and the meters want.
    pub silence: Duration,
    /// Time from the ends of requests to the beginnings of answers, as far as can be told.
    pub thinking: Duration,
    /// Share of all time that the polls take; 1 is all of it.
    pub share: f64,
    /// What was assumed for one answer.
    pub turnaround: Duration,
}

impl Load {
    /// Of a configured bus.
    #[must_use]
    pub fn of(bus: &Bus) -> Self {
        let mut load = Self { turnaround: TURNAROUND, ..Self::ZERO };
        for meter in &bus.meters {
            load.add(meter, &bus.line);
        }
        load
    }

    const ZERO: Self = Self {
        requests: 0,
        bytes: 0,
        transfer: Duration::ZERO,
        silence: Duration::ZERO,
        thinking: Duration::ZERO,
        share: 0.0,
        turnaround: Duration::ZERO,
    };

    /// Time on the wire altogether.
    #[must_use]
    pub fn air(&self) -> Duration {
        self.transfer + self.silence + self.thinking
    }

    fn add(&mut self, meter: &Meter, line: &Line) {
        let pace = Pace::of(line);
        for group in meter.groups() {
            let before = self.air();
            let plan = plan(&meter.points, &group.points, Rules::of(meter), &pace.line_cost(), &[]);
            for request in &plan.requests {
                self.exchange(request.ask, meter, line, &pace);
            }
            self.share += self.air().saturating_sub(before).as_secs_f64() / group.every.as_secs_f64();
        }
    }

    fn exchange(&mut self, ask: Ask, meter: &Meter, line: &Line, pace: &Pace) {
        let is_network = matches!(line, Line::Tcp(tcp) if tcp.framing == Framing::Tcp);
        let frames = REQUEST_BYTES + ANSWER_FRAME_BYTES + if is_network { 2 * MBAP_SURPLUS } else { 0 };
        let bytes = frames + u32::from(data_bytes(ask));
        self.requests += 1;
        self.bytes += bytes;
        self.transfer += if is_network { pace.line_cost().of(ask) } else { pace.character * bytes };
        self.silence += pace.silence + pace.silence.max(meter.pause);
        self.thinking += TURNAROUND;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::model::{ByteOrder, Encoding, Layout, Parity, Point, Scaling, Serial, Table, Tcp};
    use crate::reading::{Keep, MeterSchema, SchemaContent};

    /// A meter with so many registers in a row, of which the last is read at a period of its own.
    fn meter(registers: u16, every: Duration, last_every: Option<Duration>) -> Meter {
        let layout = Layout { encoding: Encoding::U16, order: ByteOrder::Abcd, bits: None };
        let point = |address: u16| Point {
            table: Table::Holding,
            address,
            layout,
            scaling: Scaling::default(),
            invalid: Vec::new(),
            names: Vec::new(),
            every: last_every.filter(|_| address + 1 == registers),
        };
        let content =
            SchemaContent { gateway: "g".into(), district: "d".into(), meter: "m".into(), keep: Keep::Normal, points: vec![] };
        Meter {
            name: "m".into(),
            unit: 1,
            every,
            is_urgent: false,
            is_aligned: false,
            pause: Duration::ZERO,
            max_registers: 125,
            max_gap: None,
            even_registers: false,
            points: (0..registers).map(point).collect(),
            schema: Arc::new(MeterSchema::new(content)),
        }
    }

    fn bus(line: Line, meters: Vec<Meter>) -> Bus {
        let (timeout, quarantine) = (Duration::from_secs(1), Duration::ZERO);
        Bus { name: "b".into(), line, timeout, quarantine, probe_share: 5, overload_is_allowed: false, meters }
    }

    fn serial(baud: u32) -> Line {
        Line::Serial(Serial {
            path: "/dev/null".into(),
            baud,
            parity: Parity::Even,
            data_bits: 8,
            stop_bits: 1,
            echo_is_dropped: false,
            rs485: false,
        })
    }

    fn tcp(framing: Framing) -> Line {
        Line::Tcp(Tcp { host: "h".into(), port: 502, framing })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn forty_registers_a_second_at_9600_baud_take_135_milliseconds() {
        let load = Load::of(&bus(serial(9600), vec![meter(40, SECOND, None)]));
        assert_eq!((load.requests, load.bytes), (1, 8 + 85));
        // 93 characters of 11 bits, two silences of 4.01 ms, 20 ms turnaround: 7.4 a second.
        assert!((load.air().as_secs_f64() - 0.134_58).abs() < 0.000_01, "{:?}", load.air());
        assert!((load.share - load.air().as_secs_f64()).abs() < 1e-9);
    }

    #[test]
    fn the_figures_are_those_that_the_planner_weighs_requests_with() {
        let ask = Ask { table: Table::Holding, address: 0, count: 17 };
        for line in [serial(2400), serial(115_200), tcp(Framing::Rtu)] {
            let air = Load::of(&bus(line.clone(), vec![meter(17, SECOND, None)])).air();
            assert!(air.abs_diff(Pace::of(&line).line_cost().of(ask)) < Duration::from_micros(1), "{line:?}");
        }
    }

    #[test]
    fn a_meter_that_wants_a_longer_pause_gets_it_once_for_each_request() {
        let slow = Meter { pause: Duration::from_millis(60), ..meter(1, SECOND, None) };
        let (slow, quick) = (Load::of(&bus(serial(9600), vec![slow])), Load::of(&bus(serial(9600), vec![meter(1, SECOND, None)])));
        assert!(slow.air().abs_diff(quick.air() + Duration::from_micros(60_000 - 4_010)) < Duration::from_micros(1));
    }

    #[test]
    fn each_group_counts_at_its_own_period() {
        let once = Load::of(&bus(serial(9600), vec![meter(2, SECOND, None)]));
        let apart = Load::of(&bus(serial(9600), vec![meter(2, SECOND, Some(SECOND * 900))]));
        assert_eq!((once.requests, apart.requests), (1, 2));
        assert!(apart.share < once.share && apart.air() > once.air());
    }

    #[test]
    fn a_network_costs_its_round_trip_and_the_meters_turnaround() {
        let load = Load::of(&bus(tcp(Framing::Tcp), vec![meter(10, SECOND, None), meter(10, SECOND, None)]));
        assert_eq!((load.requests, load.bytes, load.silence), (2, 2 * (12 + 9 + 20), Duration::ZERO));
        assert!((load.share - 0.042).abs() < 0.001, "{}", load.share);
    }
}
