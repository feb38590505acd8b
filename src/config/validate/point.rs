//! `[meter.NAME.point.NAME]` and `[profile.NAME.point.NAME]`

use std::collections::BTreeMap;

use super::section::Section;
use super::{Judge, named};
use crate::config::finding::Code;
use crate::config::model::{ByteOrder, Decimal, Encoding, Layout, Point, Scaling, Table};
use crate::config::quantity;
use crate::config::schema;
use crate::config::tree::{Item, Node};
use crate::reading::{Kind, SchemaPoint, ValueType};

const LONGEST_UNIT: usize = 32;
/// 125 registers of two bytes.
const LONGEST_STRING: u16 = 250;
/// One past the last PDU address.
const ADDRESSES: u32 = 65_536;

/// Points by name; `None`: something is wrong with it, and that was said.
pub(super) type Drafts<'a> = BTreeMap<&'a str, Option<(SchemaPoint, Point)>>;

impl<'a> Judge<'a> {
    /// The points below a meter or a profile.
    pub(super) fn points(&mut self, owner: &Section<'a>) -> Drafts<'a> {
        let sections = named(&owner.path, owner.table, "point", schema::Section::Point);
        self.data_sheet_numbers(&sections);
        sections.into_iter().map(|(name, section)| (name, self.point(&section))).collect()
    }

    fn point(&mut self, section: &Section) -> Option<(SchemaPoint, Point)> {
        self.missing_keys(section);
        let name = self.own_name(section);
        let table = self.table(section);
        let encoding = self.encoding(section);
        self.bits_of_bit_tables(section, table, encoding);
        let order = self.order(section, encoding);
        let bits = self.bits(section, encoding);
        let address = self.address(section, table, encoding);
        let invalid = self.invalid(section, encoding);
        let scaling = self.scaling(section, encoding);
        let kind = self.kind(section, encoding);
        let unit = self.unit(section);
        let layout = Layout { encoding: encoding?, order: order?, bits: bits? };
        let value_type = value_type(layout);
        let schema = SchemaPoint { name: name?, unit: unit?, value_type, kind: kind? };
        Some((schema, Point { table: table?, address: address?, layout, scaling: scaling?, invalid: invalid? }))
    }

    fn table(&mut self, section: &Section) -> Option<Table> {
        [Table::Input, Table::Holding, Table::Coil, Table::Discrete].get(self.word(section, "register")?).copied()
    }

    fn bits_of_bit_tables(&mut self, section: &Section, table: Option<Table>, encoding: Option<Encoding>) {
        let (Some(table), Some(encoding), Some(place)) = (table, encoding, section.place("type")) else { return };
        if table.is_bits() && encoding != Encoding::Bool {
            let title = format!("`{}` cannot come from coils or discrete inputs: they hold single bits", section.full("type"));
            self.findings
                .error(Code::Conflict, place, title)
                .label("expected \"bool\"")
                .help("write `type = \"bool\"`, or `register = \"holding\"` or \"input\" if it is a register");
        }
    }

    fn encoding(&mut self, section: &Section) -> Option<Encoding> {
        let (text, place) = (section.text("type")?, section.place("type")?);
        match encoding(text) {
            Ok(encoding) => Some(encoding),
            Err(remedy) => {
                let title = format!("`{}` does not know \"{text}\"", section.full("type"));
                self.findings
                    .error(Code::BadValue, place, title)
                    .label("expected bool, u16, i16, u32, i32, u64, i64, f32, f64, string:N, bcd16 or bcd32")
                    .help(remedy);
                None
            }
        }
    }

    fn order(&mut self, section: &Section, encoding: Option<Encoding>) -> Option<ByteOrder> {
        let Some(node) = section.node("order") else { return Some(ByteOrder::Abcd) };
        let orders = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba];
        let order = orders.get(self.word(section, "order")?).copied()?;
        let (label, help) = match (encoding?, order) {
            (_, ByteOrder::Abcd) | (Encoding::Text { .. }, ByteOrder::Badc) => return Some(order),
            (Encoding::Text { .. }, _) => (
                "words of a text have one order only",
                "write `order = \"BADC\"` to swap the two characters of each register, or remove the line",
            ),
            (encoding, _) if Layout { encoding, order, bits: None }.width() == 1 => {
                ("one register has one order only", "remove the line: a single register is always sent with its high byte first")
            }
            _ => return Some(order),
        };
        let title = format!("`{}` does not go with `type = \"{}\"`", section.full("order"), section.text("type")?);
        self.findings.error(Code::Conflict, &node.value, title).label(label).help(help);
        None
    }

    /// `Some(None)`: no bit field.
    #[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
    fn bits(&mut self, section: &Section, encoding: Option<Encoding>) -> Option<Option<(u8, u8)>> {
        let Some(node) = section.node("bits") else { return Some(None) };
        let text = section.text("bits")?;
        let full = section.full("bits");
        let (first, last) = match quantity::bits(text) {
            Ok(bits) => bits,
            Err(expected) => {
                self.findings
                    .error(Code::BadValue, &node.value, format!("`{full}` is no range of bits: \"{text}\""))
                    .label(expected);
                return None;
            }
        };
        let encoding = encoding?;
        let Some(width) = unsigned_width(encoding) else {
            self.findings
                .error(Code::Conflict, &node.key, format!("`{full}` does not go with `type = \"{}\"`", section.text("type")?))
                .label("only with u16, u32 or u64")
                .help("write the unsigned type of the same width, or remove the line");
            return None;
        };
        if u32::from(last) < width {
            return Some(Some((first, last)));
        }
        let title = format!("`{full}` is out of range: \"{text}\", but the type has bits 0 to {}", width - 1);
        self.findings
            .error(Code::OutOfRange, &node.value, title)
            .label(format!("expected 0..{} at most", width - 1))
            .help("bits count from 0, the lowest; for a field over two registers write `type = \"u32\"`");
        None
    }

    fn address(&mut self, section: &Section, table: Option<Table>, encoding: Option<Encoding>) -> Option<u16> {
        let node = section.node("address")?;
        let Item::Integer(number) = node.item else { return None };
        let full = section.full("address");
        let Ok(address) = u16::try_from(number) else {
            let title = format!("`{full}` is out of range: {}, expected 0 to 65535", self.quote(&node.value));
            let finding = self.findings.error(Code::OutOfRange, &node.value, title).label("expected a PDU address, 0 to 65535");
            finding
                .help(six_digits(number).unwrap_or_else(|| "write the number that goes over the wire, counted from 0".to_owned()));
            return None;
        };
        let width = u32::from(Layout { encoding: encoding?, order: ByteOrder::Abcd, bits: None }.width());
        if u32::from(address) + width <= ADDRESSES {
            return Some(address);
        }
        let what = if table.is_some_and(Table::is_bits) { "bits" } else { "registers" };
        let title = format!("`{full}` is out of range: {address}, and the value takes {width} {what}, up to 65535 at most");
        self.findings
            .error(Code::OutOfRange, &node.value, title)
            .label(format!("expected 0 to {}", ADDRESSES - width))
            .help("check address and type against the register map of the meter");
        None
    }

    /// 40001 is a legal address, but usually the name that a data sheet gives to address 0. Said once for a meter or a profile, and
    /// not where smaller addresses stand beside it: then the numbers are meant as they are.
    fn data_sheet_numbers(&mut self, points: &BTreeMap<&str, Section>) {
        for (word, first, kind) in [("input", 30_001, "input register"), ("holding", 40_001, "holding register")] {
            let of_table = points.values().filter(|point| point.text("register") == Some(word));
            let addresses: Vec<(&Node, i128)> = of_table.filter_map(address_as_typed).collect();
            let suspect = |number: i128| (first..first + 9_999).contains(&number);
            if !addresses.iter().all(|(_, number)| suspect(*number)) {
                continue;
            }
            let Some((node, number)) = addresses.iter().min_by_key(|(node, _)| (node.value.source, node.value.span.start)) else {
                continue;
            };
            let pdu = number - first;
            self.findings
                .warning(Code::Doubtful, &node.value, format!("{number} looks like the number of a data sheet, not like an address"))
                .label(format!("{number} in a data sheet is {kind} {}, address {pdu}", pdu + 1))
                .help(format!("write `address = {pdu}`, and take {first} off the others too; leave it if the meter really counts so (SunSpec does)"));
        }
    }

    fn invalid(&mut self, section: &Section, encoding: Option<Encoding>) -> Option<Vec<i128>> {
        let Some(nodes) = section.list("invalid") else { return Some(Vec::new()) };
        let encoding = encoding?;
        let Some((least, most)) = raw_range(encoding) else {
            let place = &section.node("invalid")?.key;
            self.findings
                .error(
                    Code::Conflict,
                    place,
                    format!("`{}` does not go with `type = \"{}\"`", section.full("invalid"), section.text("type")?),
                )
                .label("only with numbers")
                .help("remove the line");
            return None;
        };
        let marks: Vec<Option<i128>> = nodes.into_iter().map(|node| self.mark(section, node, least..=most)).collect();
        marks.into_iter().collect()
    }

    fn mark(&mut self, section: &Section, node: &Node, range: std::ops::RangeInclusive<i128>) -> Option<i128> {
        let number = match &node.item {
            Item::Integer(number) => Some(*number),
            Item::Text(text) => quantity::integer(text),
            _ => None,
        };
        if let Some(number) = number.filter(|number| range.contains(number)) {
            return Some(number);
        }
        let title = format!("`{}` cannot be {}: the type never holds it", section.full("invalid"), self.quote(&node.value));
        self.findings
            .error(Code::OutOfRange, &node.value, title)
            .label(format!("expected {} to {:#X}", range.start(), range.end()))
            .help("write the raw integer as it stands in the registers, before scaling, for example 0x8000");
        None
    }

    fn scaling(&mut self, section: &Section, encoding: Option<Encoding>) -> Option<Scaling> {
        if matches!(encoding, Some(Encoding::Bool | Encoding::Text { .. })) {
            self.no_scaling(section)?;
        }
        let (scale, offset) = (self.decimal(section, "scale"), self.decimal(section, "offset"));
        if scale.flatten().is_some_and(|scale| scale.mantissa == 0) {
            self.findings
                .error(
                    Code::OutOfRange,
                    section.place("scale")?,
                    format!("`{}` is 0: every reading would be the same", section.full("scale")),
                )
                .label("expected anything but 0")
                .help("write the factor from raw value to unit, for example 0.1, or remove the line");
            return None;
        }
        let one = Decimal { mantissa: 1, exponent: 0 };
        Some(Scaling { scale: scale?.filter(|scale| *scale != one), offset: offset?.filter(|offset| offset.mantissa != 0) })
    }

    /// `Some` where neither key is there.
    fn no_scaling(&mut self, section: &Section) -> Option<()> {
        let nodes = ["scale", "offset"].iter().filter_map(|key| section.node(key).map(|node| (key, node)));
        let mut none = Some(());
        for (key, node) in nodes {
            none = None;
            self.findings
                .error(
                    Code::Conflict,
                    &node.key,
                    format!("`{}` does not go with `type = \"{}\"`", section.full(key), section.text("type").unwrap_or_default()),
                )
                .label("only with numbers")
                .help("remove the line");
        }
        none
    }

    /// `Some(None)`: not typed.
    #[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
    fn decimal(&mut self, section: &Section, key: &str) -> Option<Option<Decimal>> {
        let Some(node) = section.node(key) else { return Some(None) };
        let digits = match &node.item {
            Item::Integer(number) => number.to_string(),
            Item::Float(digits) => digits.clone(),
            _ => return None,
        };
        match quantity::decimal(&digits) {
            Ok(decimal) => Some(Some(decimal)),
            Err(expected) => {
                let title = format!("`{}` cannot be {}", section.full(key), self.quote(&node.value));
                self.findings
                    .error(Code::OutOfRange, &node.value, title)
                    .label(expected)
                    .help("write a plain number, for example 0.1");
                None
            }
        }
    }

    fn kind(&mut self, section: &Section, encoding: Option<Encoding>) -> Option<Kind> {
        let Some(node) = section.node("kind") else { return Some(Kind::Gauge) };
        let kind = [Kind::Gauge, Kind::Counter, Kind::State].get(self.word(section, "kind")?).copied()?;
        if kind == Kind::Counter && matches!(encoding?, Encoding::Bool | Encoding::Text { .. }) {
            self.findings
                .error(Code::Conflict, &node.value, format!("`{}`: bits and texts do not count", section.full("kind")))
                .label("expected \"gauge\" or \"state\"")
                .help("write `kind = \"state\"`, or the type of the counter");
            return None;
        }
        Some(kind)
    }

    fn unit(&mut self, section: &Section) -> Option<Box<str>> {
        match section.text("unit") {
            None if section.node("unit").is_none() => Some("".into()),
            Some("") => Some("".into()),
            _ => self.plain_text(section, "unit", LONGEST_UNIT).map(Into::into),
        }
    }
}

fn address_as_typed<'a>(point: &Section<'a>) -> Option<(&'a Node, i128)> {
    let node = point.node("address")?;
    match node.item {
        Item::Integer(number) => Some((node, number)),
        _ => None,
    }
}

/// What a six-digit data sheet number means.
fn six_digits(number: i128) -> Option<String> {
    let (register, first) = match number {
        100_001..=165_536 => ("discrete", 100_001),
        300_001..=365_536 => ("input", 300_001),
        400_001..=465_536 => ("holding", 400_001),
        _ => return None,
    };
    Some(format!("{number} is the number of a data sheet: write `register = \"{register}\"` and `address = {}`", number - first))
}

fn encoding(text: &str) -> Result<Encoding, String> {
    if let Some(bytes) = text.strip_prefix("string:") {
        let bytes = bytes.parse::<u16>().ok().filter(|bytes| (1..=LONGEST_STRING).contains(bytes));
        return bytes.map(|bytes| Encoding::Text { bytes }).ok_or(format!("N is the length in bytes, 1 to {LONGEST_STRING}"));
    }
    let known = ENCODINGS.iter().find(|(word, _)| *word == text).map(|(_, encoding)| *encoding);
    known.ok_or_else(|| type_remedy(text))
}

const ENCODINGS: [(&str, Encoding); 11] = [
    ("bool", Encoding::Bool),
    ("u16", Encoding::U16),
    ("i16", Encoding::I16),
    ("u32", Encoding::U32),
    ("i32", Encoding::I32),
    ("u64", Encoding::U64),
    ("i64", Encoding::I64),
    ("f32", Encoding::F32),
    ("f64", Encoding::F64),
    ("bcd16", Encoding::Bcd16),
    ("bcd32", Encoding::Bcd32),
];

/// What data sheets and other programs call our types.
const OTHER_NAMES: [(&str, &str); 19] = [
    ("uint16", "u16"),
    ("word", "u16"),
    ("int16", "i16"),
    ("short", "i16"),
    ("uint32", "u32"),
    ("dword", "u32"),
    ("int32", "i32"),
    ("long", "i32"),
    ("uint64", "u64"),
    ("int64", "i64"),
    ("float", "f32"),
    ("float32", "f32"),
    ("real", "f32"),
    ("single", "f32"),
    ("double", "f64"),
    ("float64", "f64"),
    ("bit", "bool"),
    ("boolean", "bool"),
    ("bcd", "bcd16"),
];

fn type_remedy(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "string" | "text" | "ascii") {
        return "say how many bytes: `type = \"string:16\"`".to_owned();
    }
    let other = OTHER_NAMES.iter().find(|(word, _)| *word == lower).map(|(_, ours)| *ours);
    match other.or_else(|| schema::closest(text, ENCODINGS.iter().map(|(word, _)| *word))) {
        Some(ours) => format!("did you mean `type = \"{ours}\"`?"),
        None => "for example `type = \"f32\"`".to_owned(),
    }
}

fn unsigned_width(encoding: Encoding) -> Option<u32> {
    match encoding {
        Encoding::U16 => Some(16),
        Encoding::U32 => Some(32),
        Encoding::U64 => Some(64),
        _ => None,
    }
}

/// Integers that mark "no value" in registers of this type: unsigned ones as numbers, others as numbers or as the bits they are.
fn raw_range(encoding: Encoding) -> Option<(i128, i128)> {
    let range = |bits: u32, signed: bool| (if signed { -(1_i128 << (bits - 1)) } else { 0 }, (1_i128 << bits) - 1);
    match encoding {
        Encoding::Bool | Encoding::Text { .. } => None,
        Encoding::U16 | Encoding::Bcd16 => Some(range(16, false)),
        Encoding::I16 => Some(range(16, true)),
        Encoding::U32 | Encoding::Bcd32 => Some(range(32, false)),
        Encoding::I32 | Encoding::F32 => Some(range(32, true)),
        Encoding::U64 => Some(range(64, false)),
        Encoding::I64 | Encoding::F64 => Some(range(64, true)),
    }
}

/// The type a consumer is told: what is on the wire; of a bit field the narrowest unsigned type that holds it.
fn value_type(layout: Layout) -> ValueType {
    if let Some((first, last)) = layout.bits {
        return match last.saturating_sub(first) {
            0..=15 => ValueType::U16,
            16..=31 => ValueType::U32,
            _ => ValueType::U64,
        };
    }
    match layout.encoding {
        Encoding::Bool => ValueType::Bool,
        Encoding::U16 => ValueType::U16,
        Encoding::I16 => ValueType::I16,
        Encoding::U32 => ValueType::U32,
        Encoding::I32 => ValueType::I32,
        Encoding::U64 => ValueType::U64,
        Encoding::I64 => ValueType::I64,
        Encoding::F32 => ValueType::F32,
        Encoding::F64 => ValueType::F64,
        Encoding::Bcd16 | Encoding::Bcd32 => ValueType::Decimal,
        Encoding::Text { .. } => ValueType::String,
    }
}
