//! What `type` says: what the registers of a point hold.

use crate::config::model::{ByteOrder, Encoding, Layout};
use crate::config::schema;
use crate::reading::ValueType;

/// 125 registers of two bytes.
const LONGEST_STRING: u16 = 250;

/// A type as typed: an encoding, or half of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type {
    pub(super) encoding: Encoding,
    /// Whether it is one byte of the register.
    is_half: bool,
    /// Where its bits begin within the encoding.
    pub(super) lowest_bit: u8,
}

impl Type {
    const fn whole(encoding: Encoding) -> Self {
        Self { encoding, is_half: false, lowest_bit: 0 }
    }

    const fn half_from(lowest_bit: u8) -> Self {
        Self { encoding: Encoding::U16, is_half: true, lowest_bit }
    }

    /// The type of that name.
    ///
    /// # Errors
    /// What was probably meant.
    pub(super) fn find(text: &str) -> Result<Self, String> {
        if let Some(bytes) = text.strip_prefix("string:") {
            let bytes = bytes.parse::<u16>().ok().filter(|bytes| (1..=LONGEST_STRING).contains(bytes));
            let text = bytes.map(|bytes| Self::whole(Encoding::Text { bytes }));
            return text.ok_or(format!("N is the length in bytes, 1 to {LONGEST_STRING}"));
        }
        TYPES.iter().find(|(word, _)| *word == text).map(|(_, typed)| *typed).ok_or_else(|| remedy(text))
    }

    /// Registers it takes, or bits of a bit table.
    pub(super) fn width(self) -> u16 {
        Layout { encoding: self.encoding, order: ByteOrder::Abcd, bits: None }.width()
    }

    /// The bits of half a register.
    pub(super) fn half(self) -> Option<(u8, u8)> {
        self.is_half.then_some((self.lowest_bit, self.lowest_bit + 7))
    }

    /// Bits of an unsigned integer.
    pub(super) fn unsigned_width(self) -> Option<u8> {
        match self.encoding {
            Encoding::U16 if self.is_half => Some(8),
            Encoding::U16 => Some(16),
            Encoding::U32 => Some(32),
            Encoding::U64 => Some(64),
            _ => None,
        }
    }

    /// Integers that mark "no value" in registers of this type: unsigned ones as numbers, others as numbers or as the bits they are.
    pub(super) fn marks(self) -> Option<(i128, i128)> {
        let range = |bits: u32, signed: bool| (if signed { -(1_i128 << (bits - 1)) } else { 0 }, (1_i128 << bits) - 1);
        match self.encoding {
            Encoding::Bool | Encoding::Text { .. } => None,
            Encoding::U16 | Encoding::Bcd16 => Some(range(16, false)),
            Encoding::I16 => Some(range(16, true)),
            Encoding::U32 | Encoding::Bcd32 => Some(range(32, false)),
            Encoding::I32 | Encoding::F32 => Some(range(32, true)),
            Encoding::U64 => Some(range(64, false)),
            Encoding::I64 | Encoding::F64 => Some(range(64, true)),
        }
    }

    /// Integers that a raw value of this type, cut to these bits, can be. Nothing for what is no integer.
    pub(super) fn integers(self, bits: Option<(u8, u8)>) -> Option<(i128, i128)> {
        if let Some((first, last)) = bits {
            return Some((0, (1 << (last - first + 1)) - 1));
        }
        let (least, most) = match self.encoding {
            Encoding::Bool => (0, 1),
            Encoding::U16 => (0, i128::from(u16::MAX)),
            Encoding::U32 => (0, i128::from(u32::MAX)),
            Encoding::U64 => (0, i128::from(u64::MAX)),
            Encoding::I16 => (i128::from(i16::MIN), i128::from(i16::MAX)),
            Encoding::I32 => (i128::from(i32::MIN), i128::from(i32::MAX)),
            Encoding::I64 => (i128::from(i64::MIN), i128::from(i64::MAX)),
            Encoding::Bcd16 => (0, 9_999),
            Encoding::Bcd32 => (0, 99_999_999),
            Encoding::F32 | Encoding::F64 | Encoding::Text { .. } => return None,
        };
        Some((least, most))
    }
}

const TYPES: [(&str, Type); 13] = [
    ("bool", Type::whole(Encoding::Bool)),
    ("u16", Type::whole(Encoding::U16)),
    ("i16", Type::whole(Encoding::I16)),
    ("u32", Type::whole(Encoding::U32)),
    ("i32", Type::whole(Encoding::I32)),
    ("u64", Type::whole(Encoding::U64)),
    ("i64", Type::whole(Encoding::I64)),
    ("f32", Type::whole(Encoding::F32)),
    ("f64", Type::whole(Encoding::F64)),
    ("u8-high", Type::half_from(8)),
    ("u8-low", Type::half_from(0)),
    ("bcd16", Type::whole(Encoding::Bcd16)),
    ("bcd32", Type::whole(Encoding::Bcd32)),
];

/// What data sheets and other programs call our types.
const OTHER_NAMES: [(&str, &str); 21] = [
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
    ("uint8h", "u8-high"),
    ("uint8l", "u8-low"),
];

fn remedy(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.as_str(), "string" | "text" | "ascii") {
        return "say how many bytes: `type = \"string:16\"`".to_owned();
    }
    if matches!(lower.as_str(), "u8" | "uint8" | "byte") {
        return "say which half of the register: `type = \"u8-high\"` or `type = \"u8-low\"`".to_owned();
    }
    let other = OTHER_NAMES.iter().find(|(word, _)| *word == lower).map(|(_, ours)| *ours);
    match other.or_else(|| schema::closest(text, TYPES.iter().map(|(word, _)| *word))) {
        Some(ours) => format!("did you mean `type = \"{ours}\"`?"),
        None => "for example `type = \"f32\"`".to_owned(),
    }
}

/// The type a consumer is told: what is on the wire; of a bit field the narrowest unsigned type that holds it.
pub(super) fn value_type(layout: Layout) -> ValueType {
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
