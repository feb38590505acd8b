//! `[bus.NAME]`

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use super::section::Section;
use super::{Judge, named};
use crate::config::finding::{Code, Finding, Severity};
use crate::config::model::{Bus, Framing, Line, Meter, Parity, Serial, Tcp};
use crate::config::schema;
use crate::config::tree::{Item, Table};

const BAUD: std::ops::RangeInclusive<i128> = 50..=4_000_000;
const USUAL_BAUDS: [u32; 18] = [
    300, 600, 1200, 2400, 4800, 9600, 14_400, 19_200, 28_800, 38_400, 57_600, 76_800, 115_200, 128_000, 230_400, 460_800, 500_000,
    921_600,
];
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);
const DEFAULT_TIMEOUT_SERIAL: Duration = Duration::from_millis(500);
const DEFAULT_TIMEOUT_TCP: Duration = Duration::from_secs(1);
const QUARANTINE: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
/// Late answers of mains meters were seen up to 190 ms after a time-out; battery meters want more, and their bus says so.
const DEFAULT_QUARANTINE_RTU: Duration = Duration::from_millis(300);
/// A connection does not outlive a time-out, so a late answer finds nobody.
const DEFAULT_QUARANTINE_TCP: Duration = Duration::ZERO;
/// Keys that mean something on a serial line only.
const SERIAL_KEYS: [&str; 6] = ["baud", "parity", "stop-bits", "data-bits", "echo", "rs485"];
const PROBE_SHARE: std::ops::RangeInclusive<u8> = 1..=50;
const DEFAULT_PROBE_SHARE: u8 = 5;

/// A bus as far as it is right.
pub(super) struct Draft<'a> {
    pub(super) section: Section<'a>,
    /// Whether units share a line with RTU framing, where 1..=247 are meters; `None` where it cannot be told.
    pub(super) rtu: Option<bool>,
    bus: Option<Bus>,
}

impl<'a> Judge<'a> {
    pub(super) fn buses(&mut self, tree: &'a Table) -> BTreeMap<&'a str, Draft<'a>> {
        let mut buses = BTreeMap::new();
        for (name, section) in named(&[], tree, "bus", schema::Section::Bus) {
            let line = self.line(&section);
            let rtu = line.as_ref().map(is_rtu);
            let bus = self.bus(&section, line);
            buses.insert(name, Draft { section, rtu, bus });
        }
        self.same_line_twice(&buses);
        buses
    }

    fn bus(&mut self, section: &Section, line: Option<Line>) -> Option<Bus> {
        let name = self.own_name(section);
        let timeout = match (section.node("timeout"), &line) {
            (Some(_), _) => self.duration(section, "timeout", TIMEOUT),
            (None, Some(Line::Tcp(_))) => Some(DEFAULT_TIMEOUT_TCP),
            (None, _) => Some(DEFAULT_TIMEOUT_SERIAL),
        };
        let quarantine = match (section.node("quarantine"), line.as_ref().is_some_and(is_rtu)) {
            (Some(_), _) => self.duration(section, "quarantine", QUARANTINE),
            (None, true) => Some(DEFAULT_QUARANTINE_RTU),
            (None, false) => Some(DEFAULT_QUARANTINE_TCP),
        };
        let probe_share = or(section, "probe-share", DEFAULT_PROBE_SHARE, || self.percent(section, "probe-share", PROBE_SHARE));
        let overload = self.word(section, "overload").and_then(|index| schema::OVERLOADS.get(index));
        Some(Bus {
            name: name?,
            line: line?,
            timeout: timeout?,
            quarantine: quarantine?,
            probe_share: probe_share?,
            overload_is_allowed: overload == Some(&"allow"),
            meters: Vec::new(),
        })
    }

    fn line(&mut self, section: &Section) -> Option<Line> {
        match (section.node("serial"), section.node("tcp")) {
            (Some(_), None) => self.serial(section).map(Line::Serial),
            (None, Some(_)) => self.tcp(section).map(Line::Tcp),
            (Some(_), Some(tcp)) => {
                self.findings
                    .error(
                        Code::Conflict,
                        &tcp.key,
                        format!("bus `{}` has `serial` and `tcp`: it can be only one wire", section.name()),
                    )
                    .label("a second wire")
                    .help("remove one of the two, or make two buses of it");
                None
            }
            (None, None) => {
                self.no_line(section);
                None
            }
        }
    }

    fn no_line(&mut self, section: &Section) {
        let spoken = |key| self.context.spoken.of(&["bus", section.name(), key]);
        if spoken("serial") || spoken("tcp") {
            return;
        }
        self.findings
            .error(Code::MissingKey, section.header, format!("bus `{}` has neither `serial` nor `tcp`", section.name()))
            .label("no wire")
            .help("add `serial = \"/dev/serial/by-id/..\"` for a serial port, or `tcp = \"10.4.2.9:502\"` for a network address");
    }

    fn serial(&mut self, section: &Section) -> Option<Serial> {
        if let Some(framing) = section.node("framing") {
            self.findings
                .error(Code::Conflict, &framing.key, format!("`{}` on a serial line", section.full("framing")))
                .label("only with `tcp`")
                .help("remove the line: a serial line always carries RTU frames");
        }
        let path = self.path(section, "serial");
        let baud = or(section, "baud", 9600, || self.baud(section));
        let stop_bits = or(section, "stop-bits", 1, || self.integer(section, "stop-bits", 1..=2));
        let data_bits = or(section, "data-bits", 8, || self.data_bits(section));
        let parity = or(section, "parity", Parity::Even, || self.parity(section));
        let echo = or(section, "echo", 0, || self.word(section, "echo"));
        Some(Serial {
            path: path?,
            baud: baud?,
            parity: parity?,
            data_bits: data_bits?,
            stop_bits: stop_bits?,
            echo_is_dropped: echo? == 1,
            rs485: section.flag("rs485").unwrap_or(false),
        })
    }

    fn baud(&mut self, section: &Section) -> Option<u32> {
        let baud = self.integer(section, "baud", BAUD)?;
        if USUAL_BAUDS.contains(&baud) {
            return Some(baud);
        }
        let near = USUAL_BAUDS.iter().min_by_key(|usual| usual.abs_diff(baud)).unwrap_or(&9600);
        self.findings
            .warning(
                Code::Doubtful,
                section.place("baud")?,
                format!("`{}` is {baud}, which is no usual speed", section.full("baud")),
            )
            .label("probably mistyped")
            .help(format!("did you mean {near}? usual are 2400, 9600, 19200, 38400, 57600 and 115200"));
        Some(baud)
    }

    fn parity(&mut self, section: &Section) -> Option<Parity> {
        [Parity::Even, Parity::Odd, Parity::None].get(self.word(section, "parity")?).copied()
    }

    fn data_bits(&mut self, section: &Section) -> Option<u8> {
        let node = section.node("data-bits")?;
        if node.item == Item::Integer(8) {
            return Some(8);
        }
        let title = format!("`{}` is {}, but Modbus RTU needs 8", section.full("data-bits"), self.quote(&node.value));
        self.findings
            .error(Code::OutOfRange, &node.value, title)
            .label("expected 8")
            .help("RTU frames are binary, and 7 bits would lose the eighth of every byte: remove the line, and set the meter to 8 data bits");
        None
    }

    fn tcp(&mut self, section: &Section) -> Option<Tcp> {
        let framing = match section.node("framing") {
            Some(_) => schema::FRAMINGS.get(self.word(section, "framing")?),
            None => None,
        };
        let framing = if framing == Some(&"rtu") { Framing::Rtu } else { Framing::Tcp };
        self.serial_keys_on_tcp(section, framing);
        let (text, place) = (section.text("tcp")?, section.place("tcp")?);
        if let Some((host, Some(port))) = host_and_port(text)
            && let Some(port) = port.parse::<u16>().ok().filter(|port| *port > 0)
        {
            return Some(Tcp { host: host.to_owned(), port, framing });
        }
        let title = format!("`{}` is not a network address: \"{text}\"", section.full("tcp"));
        let help = tcp_remedy(text);
        self.findings.error(Code::BadValue, place, title).label("expected HOST:PORT").help(help);
        None
    }

    fn serial_keys_on_tcp(&mut self, section: &Section, framing: Framing) {
        let where_then = match framing {
            Framing::Rtu => "remove the line: the speed of that line is set in the serial device server",
            Framing::Tcp => "remove the line: a network connection has no such setting",
        };
        for node in SERIAL_KEYS.iter().filter_map(|key| section.node(key)) {
            let title = format!("`{}` on a TCP connection", section.full(&self.quote(&node.key)));
            self.findings.error(Code::Conflict, &node.key, title).label("only with `serial`").help(where_then);
        }
    }

    fn same_line_twice(&mut self, buses: &BTreeMap<&str, Draft>) {
        let mut seen: Vec<(&Draft, &Line)> = Vec::new();
        for draft in buses.values() {
            let Some(line) = draft.bus.as_ref().map(|bus| &bus.line) else { continue };
            match seen.iter().find(|(_, other)| same_wire(line, other)) {
                Some((first, other)) => self.one_wire_two_buses(draft, first, line, is_rtu(line) || is_rtu(other)),
                None => seen.push((draft, line)),
            }
        }
    }

    /// Two masters on one RTU line collide; a Modbus TCP device may serve several connections.
    fn one_wire_two_buses(&mut self, draft: &Draft, first: &Draft, line: &Line, collide: bool) {
        let key = if matches!(line, Line::Serial(_)) { "serial" } else { "tcp" };
        let (Some(place), Some(before)) = (draft.section.place(key), first.section.place(key)) else { return };
        let title = format!("buses `{}` and `{}` are the same wire", first.section.name(), draft.section.name());
        let label = format!("also in {}", self.mention(before));
        let help = format!("put all meters of this wire on bus `{}` and remove the other", first.section.name());
        let severity = if collide { Severity::Error } else { Severity::Warning };
        self.findings.add(Finding::new(severity, Code::Duplicate, place, title)).label(label).help(help);
    }

    /// Hangs the meters on their buses. A bus without a meter is left out: nobody would ask it anything.
    pub(super) fn with_meters(
        &mut self,
        buses: BTreeMap<&'a str, Draft<'a>>,
        mut meters: Vec<(&'a str, Option<Meter>)>,
    ) -> Vec<Bus> {
        let mut whole = Vec::new();
        // A mistyped name was said; the bus that it meant is not unused.
        let mistyped = meters.iter().any(|(bus, _)| !buses.contains_key(bus));
        for (name, draft) in buses {
            let (own, others): (Vec<_>, Vec<_>) = meters.into_iter().partition(|(bus, _)| *bus == name);
            meters = others;
            if own.is_empty() && !mistyped {
                self.findings
                    .warning(Code::Unused, draft.section.key, format!("bus `{name}` has no meter: it will not be opened"))
                    .label("no meter names it")
                    .help(format!("add `bus = \"{name}\"` to a meter, or remove the bus"));
            } else if let Some(bus) = draft.bus.filter(|_| !own.is_empty()) {
                whole.push(Bus { meters: own.into_iter().filter_map(|(_, meter)| meter).collect(), ..bus });
            }
        }
        whole
    }
}

/// The default where the key is absent, else what the key gives.
fn or<T>(section: &Section, key: &str, default: T, typed: impl FnOnce() -> Option<T>) -> Option<T> {
    if section.node(key).is_some() { typed() } else { Some(default) }
}

fn is_rtu(line: &Line) -> bool {
    match line {
        Line::Serial(_) => true,
        Line::Tcp(tcp) => tcp.framing == Framing::Rtu,
    }
}

fn same_wire(a: &Line, b: &Line) -> bool {
    match (a, b) {
        (Line::Serial(a), Line::Serial(b)) => same_path(&a.path, &b.path),
        (Line::Tcp(a), Line::Tcp(b)) => a.host.eq_ignore_ascii_case(&b.host) && a.port == b.port,
        _ => false,
    }
}

fn same_path(a: &Path, b: &Path) -> bool {
    // By components, so that a doubled slash does not hide the same port.
    a.components().eq(b.components())
}

/// Splits "host:port", "host", "[v6]:port" or "[v6]". `None` where the host is none.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None => rest.is_empty().then_some((host, None)),
        };
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    // "10.4.2.999" would be looked up as a name, and fail at the roadside.
    let numeric = host.chars().all(|c| c.is_ascii_digit() || c == '.');
    let right = !host.is_empty() && host.len() <= 253 && host.chars().all(legal) && (!numeric || host.parse::<Ipv4Addr>().is_ok());
    right.then_some((host, port))
}

fn tcp_remedy(text: &str) -> String {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    match host_and_port(bare) {
        Some((_, Some(_))) if bare != text => format!("write `tcp = \"{bare}\"`"),
        Some((_, None)) => format!("add the port: `tcp = \"{bare}:502\"` (502 is the usual one of Modbus TCP)"),
        _ if bare.parse::<Ipv6Addr>().is_ok() => format!("an IPv6 address needs brackets: `tcp = \"[{bare}]:502\"`"),
        _ => "for example `tcp = \"10.4.2.9:502\"`; ports go from 1 to 65535".to_owned(),
    }
}
