//! The configuration as the program trusts it.
//!
//! Always true here: every value is in range, every name is unique and legal, every reference is resolved, every meter stands under
//! its bus. Nothing after `config` checks anything again. Deliberately absent: text, positions, defaults (`schema` has them).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::reading::MeterSchema;

/// Everything a running daemon is configured with.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Who this box is.
    pub gateway: Gateway,
    /// Where readings go.
    pub uplink: Uplink,
    /// Where readings wait.
    pub spool: Spool,
    /// The wires, by name.
    pub buses: Vec<Bus>,
    /// First 16 hex digits of SHA-256 over what was merged from files and environment; the birth message names it.
    pub hash: String,
}

/// `[gateway]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Letters, digits, "-", "_" and ".".
    pub name: Box<str>,
    /// Letters, digits, "-" and "_".
    pub district: Box<str>,
    /// Directory for small durable facts: the last good configuration, the notebook.
    pub state: PathBuf,
}

/// `[uplink]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// At least one; tried in order.
    pub brokers: Vec<Broker>,
    /// Not empty.
    pub client_id: String,
    /// Sent with the password, if any.
    pub username: Option<String>,
    /// Read anew at every connection; a final line end is not part of the password.
    pub password_file: Option<PathBuf>,
    /// PEM; read anew at every connection. Without it TLS has no roots and `validate` refuses mqtts.
    pub ca_file: Option<PathBuf>,
    /// 5 s to 18 h (rumqttc panics below 1 s, its MQTT 5 side below 5 s).
    pub keep_alive: Duration,
    /// An open batch closes at this age while the uplink is up. At most half of `spool.window`.
    pub batch_age: Duration,
}

/// One address to forward to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// mqtts rather than mqtt.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// 1883 or 8883 where the URL names none.
    pub port: u16,
}

impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// `[spool]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spool {
    /// Directory of the database and what stands beside it.
    pub path: PathBuf,
    /// Directory of the crash journal; should be on tmpfs.
    pub journal: PathBuf,
    /// A taken sweep is acked or synced at most this much later.
    pub window: Duration,
    /// Bound in bytes over all files under `path`.
    pub max_size: u64,
}

/// `[bus.NAME]` with the meters on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bus {
    /// Letters, digits, "-" and "_".
    pub name: Box<str>,
    /// The wire itself.
    pub line: Line,
    /// From the end of the request to the first byte of the answer; line time is added by `bus`.
    pub timeout: Duration,
    /// How long the line must have been silent after a failure before the next request.
    pub quarantine: Duration,
    /// Of the time that living meters want, what silent ones may take together; in percent, 1..=50.
    pub probe_share: u8,
    /// Whether a line that is booked beyond its capacity is worth a warning.
    pub overload_is_allowed: bool,
    /// In the order of their names; at least one.
    pub meters: Vec<Meter>,
}

/// What a bus is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A serial port.
    Serial(Serial),
    /// A TCP endpoint.
    Tcp(Tcp),
}

/// A serial port and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// Device, best by /dev/serial/by-id.
    pub path: PathBuf,
    /// Bits per second.
    pub baud: u32,
    /// Parity bit.
    pub parity: Parity,
    /// 7 or 8; Modbus RTU needs 8.
    pub data_bits: u8,
    /// 1 or 2.
    pub stop_bits: u8,
    /// Whether the adapter hears what it sends, and that is dropped.
    pub echo_is_dropped: bool,
    /// Whether the kernel switches the sender of the line on and off.
    pub rs485: bool,
}

impl Serial {
    /// Bits of one character on the wire, start and stop bits included.
    #[must_use]
    pub fn bits_per_character(&self) -> u32 {
        let parity = u32::from(self.parity != Parity::None);
        1 + u32::from(self.data_bits) + parity + u32::from(self.stop_bits)
    }
}

/// Parity of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even parity, the default of the Modbus standard.
    Even,
    /// Odd parity.
    Odd,
}

/// A TCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What travels in the stream.
    pub framing: Framing,
}

/// Framing of Modbus within TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// MBAP header, no CRC.
    Tcp,
    /// RTU frames with CRC (a serial device server).
    Rtu,
}

/// `[meter.NAME]`, profile merged in.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    /// Letters, digits, "-" and "_".
    pub name: Box<str>,
    /// Modbus unit id, 1..=247 on a serial line, 0..=255 over TCP.
    pub unit: u8,
    /// Poll period of the points that have none of their own, at least 10 ms.
    pub every: Duration,
    /// Whether it is polled before other meters of the bus that are due.
    pub is_urgent: bool,
    /// Whether it is polled when the wall clock shows whole periods (UTC), and not spread over them.
    pub is_aligned: bool,
    /// Silence the meter wants between its answer and the next request on the line; zero: what the standard asks.
    pub pause: Duration,
    /// Largest number of registers in one request, 1..=125.
    pub max_registers: u16,
    /// Largest number of registers (or bits) read that nobody wants, between two that are wanted; `None`: as many as are cheaper
    /// than another request.
    pub max_gap: Option<u16>,
    /// Whether requests must begin at even addresses and ask for even numbers of registers.
    pub even_registers: bool,
    /// In the order of `schema.points`; at least one.
    pub points: Vec<Point>,
    /// What the sweeps of this meter are read by.
    pub schema: Arc<MeterSchema>,
}

/// Points of one meter that fall due together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their period.
    pub every: Duration,
    /// Places in the meter's points, ascending; at least one.
    pub points: Vec<u16>,
}

impl Meter {
    /// The points by period, the shortest first; each point is in one group.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        let mut groups: BTreeMap<Duration, Vec<u16>> = BTreeMap::new();
        for (place, point) in (0_u16..).zip(&self.points) {
            groups.entry(point.every.unwrap_or(self.every)).or_default().push(place);
        }
        groups.into_iter().map(|(every, points)| Group { every, points }).collect()
    }
}

/// `[meter.NAME.point.NAME]` or `[profile.NAME.point.NAME]`. Name, unit and kind stand in the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Which table it stands in.
    pub table: Table,
    /// PDU address, 0-based; `address + layout.width() <= 65536`.
    pub address: u16,
    /// How registers become a raw value.
    pub layout: Layout,
    /// What becomes of the raw value.
    pub scaling: Scaling,
    /// Raw integers that mean "no value".
    pub invalid: Vec<i128>,
    /// Names of raw integers, ascending, each integer once. Where there are any, the value is a name, and the scaling is none.
    pub names: Vec<(i128, Box<str>)>,
    /// Poll period of its own, at least 10 ms; `None`: that of the meter.
    pub every: Option<Duration>,
}

/// The four tables of Modbus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Function code 1.
    Coil,
    /// Function code 2.
    Discrete,
    /// Function code 3.
    Holding,
    /// Function code 4.
    Input,
}

impl Table {
    /// Whether its items are bits rather than registers.
    #[must_use]
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// How registers become a raw value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// What the registers hold.
    pub encoding: Encoding,
    /// Order of bytes; big-endian where it cannot matter.
    pub order: ByteOrder,
    /// First and last bit (0 = lowest) of a bit field within an unsigned integer; half a register is one.
    pub bits: Option<(u8, u8)>,
}

impl Layout {
    /// Registers (or bits of a coil table) it occupies.
    #[must_use]
    pub fn width(&self) -> u16 {
        match self.encoding {
            Encoding::Bool | Encoding::U16 | Encoding::I16 | Encoding::Bcd16 => 1,
            Encoding::U32 | Encoding::I32 | Encoding::F32 | Encoding::Bcd32 => 2,
            Encoding::U64 | Encoding::I64 | Encoding::F64 => 4,
            Encoding::Text { bytes } => bytes.div_ceil(2),
        }
    }
}

/// What registers hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// One bit of a bit table, or a register that is 0 or not.
    Bool,
    /// Unsigned, one register.
    U16,
    /// Two's complement, one register.
    I16,
    /// Unsigned, two registers.
    U32,
    /// Two's complement, two registers.
    I32,
    /// Unsigned, four registers.
    U64,
    /// Two's complement, four registers.
    I64,
    /// IEEE 754 single, two registers.
    F32,
    /// IEEE 754 double, four registers.
    F64,
    /// Four decimal digits in one register.
    Bcd16,
    /// Eight decimal digits in two registers.
    Bcd32,
    /// Text of so many bytes (`string:N`), 1..=250, ended by the first NUL.
    Text {
        /// Length in bytes.
        bytes: u16,
    },
}

/// Order of the bytes of a value, named by where the bytes of ABCD stand on the wire; eight-byte values follow the same rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ByteOrder {
    /// High word first, high byte first: the standard's.
    #[default]
    Abcd,
    /// Low word first, high byte first.
    Cdab,
    /// High word first, low byte first.
    Badc,
    /// Low word first, low byte first.
    Dcba,
}

/// A decimal number as typed: `mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// All digits.
    pub mantissa: i64,
    /// Power of ten.
    pub exponent: i8,
}

/// `value = raw * scale * 10^power + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scaling {
    /// `None`: 1.
    pub scale: Option<Decimal>,
    /// `None`: 0.
    pub offset: Option<Decimal>,
    /// PDU address of the register of the same table that holds the power (SunSpec `sunssf`); `None`: the power is 0. Not within
    /// the value itself.
    pub power_register: Option<u16>,
}

impl Scaling {
    /// Whether raw values go out as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        *self == Self::default()
    }
}
