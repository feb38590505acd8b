//! What becomes of a point's raw value: marks for "no value", factors, names.

use std::ops::RangeInclusive;

use super::Judge;
use super::section::Section;
use super::types::Type;
use crate::config::finding::Code;
use crate::config::model::{Decimal, Encoding, Scaling};
use crate::config::quantity;
use crate::config::tree::{Item, Node};

/// Most registers in one answer (Modbus Application Protocol V1.1b3, 6.3 and 6.4).
const MOST_REGISTERS: u32 = 125;
/// Bytes of the name of a state.
const LONGEST_NAME: usize = 64;

impl Judge<'_> {
    pub(super) fn invalid(&mut self, section: &Section, typed: Option<Type>) -> Option<Vec<i128>> {
        let Some(nodes) = section.list("invalid") else { return Some(Vec::new()) };
        let Some((least, most)) = typed?.marks() else {
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

    fn mark(&mut self, section: &Section, node: &Node, range: RangeInclusive<i128>) -> Option<i128> {
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

    pub(super) fn scaling(&mut self, section: &Section, typed: Option<Type>, address: Option<u16>) -> Option<Scaling> {
        if section.node("values").is_some() {
            self.no_scaling(section, "`values`", "a name cannot be scaled")?;
        }
        if matches!(typed.map(|typed| typed.encoding), Some(Encoding::Bool | Encoding::Text { .. })) {
            let typed = format!("`type = \"{}\"`", section.text("type").unwrap_or_default());
            self.no_scaling(section, &typed, "only with numbers")?;
        }
        let power_register =
            self.optional(section, "scale-register", |judge| judge.power_register(section, typed?.width(), address?));
        let scale = self.optional(section, "scale", |judge| judge.decimal(section, "scale"));
        let offset = self.optional(section, "offset", |judge| judge.decimal(section, "offset"));
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
        let scale = scale?.filter(|scale| *scale != one);
        Some(Scaling { scale, offset: offset?.filter(|offset| offset.mantissa != 0), power_register: power_register? })
    }

    /// The register with the power of ten: of the same table, and beside the value.
    fn power_register(&mut self, section: &Section, width: u16, address: u16) -> Option<u16> {
        let register: u16 = self.integer(section, "scale-register", 0..=65_535)?;
        let place = section.place("scale-register")?;
        let (first, behind) = (u32::from(address), u32::from(address) + u32::from(width));
        let full = section.full("scale-register");
        if (first..behind).contains(&u32::from(register)) {
            self.findings
                .error(Code::Conflict, place, format!("`{full}` is {register}, which is a register of the value itself"))
                .label("expected another register")
                .help("write the PDU address of the register that holds the power of ten, from 0; SunSpec calls it the point's sf");
            return None;
        }
        let span = behind.max(u32::from(register) + 1) - first.min(u32::from(register));
        if span > MOST_REGISTERS {
            self.findings
                .warning(Code::Doubtful, place, format!("`{full}` is {register}, too far from {address} for one request"))
                .label(format!("{span} registers, at most {MOST_REGISTERS} go into one request"))
                .help("check the address; if it is right, value and factor are read in two requests of the same poll, and a factor that changes in between would spoil a reading");
        }
        Some(register)
    }

    /// Names of raw values of this type, cut to these bits.
    pub(super) fn names(
        &mut self,
        section: &Section,
        typed: Option<Type>,
        bits: Option<(u8, u8)>,
    ) -> Option<Vec<(i128, Box<str>)>> {
        let Some(node) = section.node("values") else { return Some(Vec::new()) };
        let Item::Table(table) = &node.item else { return None };
        let Some((least, most)) = typed?.integers(bits) else {
            let title = format!("`{}` does not go with `type = \"{}\"`", section.full("values"), section.text("type")?);
            self.findings
                .error(Code::Conflict, &node.key, title)
                .label("only with whole numbers and bits")
                .help("write the integer type that the states are counted in, or remove the line");
            return None;
        };
        let names: Vec<_> = table.iter().map(|(number, name)| self.named(section, number, name, least..=most)).collect();
        let mut names: Vec<_> = names.into_iter().collect::<Option<_>>()?;
        names.sort();
        if names.is_empty() || names.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
            let title = format!("`{}` has to name at least one number, and each once", section.full("values"));
            self.findings.error(Code::BadValue, &node.value, title).help("for example `values = { 0 = \"off\", 1 = \"on\" }`");
            return None;
        }
        Some(names)
    }

    fn named(&mut self, section: &Section, number: &str, name: &Node, range: RangeInclusive<i128>) -> Option<(i128, Box<str>)> {
        let Some(found) = quantity::integer(number).filter(|number| range.contains(number)) else {
            let title = format!("`{}` cannot name {number}: the value is never that", section.full("values"));
            self.findings
                .error(Code::OutOfRange, &name.key, title)
                .label(format!("expected a whole number, {} to {}", range.start(), range.end()))
                .help("write the raw number as the meter sends it, for example `values = { 0 = \"off\", 1 = \"on\" }`");
            return None;
        };
        let Item::Text(text) = &name.item else { return None };
        let is_plain = !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control);
        if is_plain && quantity::integer(text).is_none() {
            return Some((found, text.as_str().into()));
        }
        let title = format!("`{}` cannot call {number} {}", section.full("values"), self.quote(&name.value));
        self.findings
            .error(Code::BadValue, &name.value, title)
            .label(format!("expected 1 to {LONGEST_NAME} bytes that are no number"))
            .help("a number that is not listed goes out as its digits, so no name may look like one");
        None
    }

    /// `Some` where none of the keys is there.
    fn no_scaling(&mut self, section: &Section, beside: &str, why: &str) -> Option<()> {
        let nodes = ["scale", "offset", "scale-register"].iter().filter_map(|key| section.node(key).map(|node| (key, node)));
        let mut none = Some(());
        for (key, node) in nodes {
            none = None;
            self.findings
                .error(Code::Conflict, &node.key, format!("`{}` does not go with {beside}", section.full(key)))
                .label(why)
                .help("remove the line");
        }
        none
    }

    fn decimal(&mut self, section: &Section, key: &str) -> Option<Decimal> {
        let node = section.node(key)?;
        let digits = match &node.item {
            Item::Integer(number) => number.to_string(),
            Item::Float(digits) => digits.clone(),
            _ => return None,
        };
        match quantity::decimal(&digits) {
            Ok(decimal) => Some(decimal),
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
}
