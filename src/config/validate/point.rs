//! `[meter.NAME.point.NAME]` and `[profile.NAME.point.NAME]`

use std::collections::BTreeMap;

use super::meter::EVERY;
use super::section::Section;
use super::types::{Type, value_type};
use super::{Judge, named};
use crate::config::finding::Code;
use crate::config::model::{ByteOrder, Encoding, Layout, Point, Table};
use crate::config::quantity;
use crate::config::schema;
use crate::config::tree::{Item, Node};
use crate::reading::{Kind, SchemaPoint, ValueType};

const LONGEST_UNIT: usize = 32;
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
        let typed = self.typed(section);
        self.bits_of_bit_tables(section, table, typed);
        let order = self.order(section, typed);
        let bits = self.bits(section, typed);
        let address = self.address(section, table, typed);
        let every = self.optional(section, "every", |judge| judge.duration(section, "every", EVERY));
        let invalid = self.invalid(section, typed);
        let names = self.names(section, typed.filter(|_| bits.is_some()), bits.flatten());
        let scaling = self.scaling(section, typed, address);
        let kind = self.kind(section, typed);
        let unit = self.unit(section);
        let layout = Layout { encoding: typed?.encoding, order: order?, bits: bits? };
        let names = names?;
        let value_type = if names.is_empty() { value_type(layout) } else { ValueType::String };
        let schema = SchemaPoint { name: name?, unit: unit?, value_type, kind: kind? };
        let point = Point { table: table?, address: address?, layout, scaling: scaling?, invalid: invalid?, names, every: every? };
        Some((schema, point))
    }

    fn table(&mut self, section: &Section) -> Option<Table> {
        [Table::Input, Table::Holding, Table::Coil, Table::Discrete].get(self.word(section, "register")?).copied()
    }

    fn bits_of_bit_tables(&mut self, section: &Section, table: Option<Table>, typed: Option<Type>) {
        let (Some(table), Some(typed), Some(place)) = (table, typed, section.place("type")) else { return };
        if table.is_bits() && typed.encoding != Encoding::Bool {
            let title = format!("`{}` cannot come from coils or discrete inputs: they hold single bits", section.full("type"));
            self.findings
                .error(Code::Conflict, place, title)
                .label("expected \"bool\"")
                .help("write `type = \"bool\"`, or `register = \"holding\"` or \"input\" if it is a register");
        }
    }

    fn typed(&mut self, section: &Section) -> Option<Type> {
        let (text, place) = (section.text("type")?, section.place("type")?);
        match Type::find(text) {
            Ok(typed) => Some(typed),
            Err(remedy) => {
                let title = format!("`{}` does not know \"{text}\"", section.full("type"));
                self.findings
                    .error(Code::BadValue, place, title)
                    .label("expected bool, u16, i16, u32, i32, u64, i64, f32, f64, u8-high, u8-low, string:N, bcd16 or bcd32")
                    .help(remedy);
                None
            }
        }
    }

    fn order(&mut self, section: &Section, typed: Option<Type>) -> Option<ByteOrder> {
        let Some(node) = section.node("order") else { return Some(ByteOrder::Abcd) };
        let orders = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba];
        let order = orders.get(self.word(section, "order")?).copied()?;
        let (label, help) = match (typed?.encoding, order) {
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

    /// `Some(None)`: no bit field. The bits of half a register count from the lowest of that half.
    #[expect(clippy::option_option, reason = "absent, wrong and right are three things")]
    fn bits(&mut self, section: &Section, typed: Option<Type>) -> Option<Option<(u8, u8)>> {
        let Some(node) = section.node("bits") else { return Some(typed?.half()) };
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
        let typed = typed?;
        let Some(width) = typed.unsigned_width() else {
            self.findings
                .error(Code::Conflict, &node.key, format!("`{full}` does not go with `type = \"{}\"`", section.text("type")?))
                .label("only with u8-high, u8-low, u16, u32 or u64")
                .help("write the unsigned type of the same width, or remove the line");
            return None;
        };
        if last < width {
            return Some(Some((typed.lowest_bit + first, typed.lowest_bit + last)));
        }
        let title = format!("`{full}` is out of range: \"{text}\", but the type has bits 0 to {}", width - 1);
        self.findings
            .error(Code::OutOfRange, &node.value, title)
            .label(format!("expected 0..{} at most", width - 1))
            .help("bits count from 0, the lowest; for a field over two registers write `type = \"u32\"`");
        None
    }

    fn address(&mut self, section: &Section, table: Option<Table>, typed: Option<Type>) -> Option<u16> {
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
        let width = u32::from(typed?.width());
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
    /// not where smaller addresses stand beside it: then the numbers are meant as they are, as they are with SunSpec.
    fn data_sheet_numbers(&mut self, points: &BTreeMap<&str, Section>) {
        if points.values().any(|point| point.node("scale-register").is_some()) {
            return;
        }
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

    /// Names are states unless something else is said.
    fn kind(&mut self, section: &Section, typed: Option<Type>) -> Option<Kind> {
        let is_named = section.node("values").is_some();
        let Some(node) = section.node("kind") else { return Some(if is_named { Kind::State } else { Kind::Gauge }) };
        let kind = [Kind::Gauge, Kind::Counter, Kind::State].get(self.word(section, "kind")?).copied()?;
        if kind == Kind::Counter && (is_named || matches!(typed?.encoding, Encoding::Bool | Encoding::Text { .. })) {
            self.findings
                .error(Code::Conflict, &node.value, format!("`{}`: bits, names and texts do not count", section.full("kind")))
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
