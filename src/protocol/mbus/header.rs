//! Who answers and in which state: the headers of EN 13757-3 (clause 6 and 7) before the records, and the refusals of CI 70.
//!
//! Always true here: the identification number is kept digit by digit as sent, also where a meter sends A..F in it; a header that is
//! too short is an error with both lengths. Deliberately absent: what the records say, and keys.

use std::fmt;

use super::AnswerError;

/// In which order the bytes of a field stand: mode 1 or the obsolete mode 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Mode 1 (CI 72, 73, 78, 7A): low byte first.
    LowFirst,
    /// Mode 2 (CI 76, 77): high byte first.
    HighFirst,
}

impl Order {
    /// The four bytes with the low one first.
    fn id(self, bytes: [u8; 4]) -> [u8; 4] {
        match self {
            Self::LowFirst => bytes,
            Self::HighFirst => [bytes[3], bytes[2], bytes[1], bytes[0]],
        }
    }

    /// A 16-bit number.
    fn word(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::LowFirst => u16::from_le_bytes(bytes),
            Self::HighFirst => u16::from_be_bytes(bytes),
        }
    }
}

/// Identification number: eight BCD digits; a nibble of F means "any" in a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

impl fmt::Display for Id {
    /// Eight digits, as printed on the meter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

/// Manufacturer code: three letters of five bits each (EN 62056-21, FLAG association).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Manufacturer(pub u16);

impl Manufacturer {
    /// The code of three letters, in either case.
    pub fn from_letters(letters: &str) -> Option<Self> {
        let [a, b, c] = *letters.as_bytes() else { return None };
        let letter = |byte: u8| byte.is_ascii_alphabetic().then(|| u16::from(byte.to_ascii_uppercase() - b'@'));
        Some(Self(letter(a)? << 10 | letter(b)? << 5 | letter(c)?))
    }
}

impl fmt::Display for Manufacturer {
    /// Three letters. Bit 15 (a hard address in wireless M-Bus) says nothing about them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shift in [10, 5, 0] {
            let letter = u8::try_from(self.0 >> shift & 0x1F).unwrap_or_default();
            write!(f, "{}", char::from(b'@' + letter))?;
        }
        Ok(())
    }
}

/// What is measured: the device type, in the coding of the variable or of the fixed structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Eight bits (EN 13757-3, table "device type").
    Variable(u8),
    /// Four bits of the fixed structure.
    Fixed(u8),
}

impl Medium {
    /// A stable name in the words of the standard; `reserved` for what it does not name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Variable(code) => variable_medium(code),
            Self::Fixed(code) => fixed_medium(code),
        }
    }
}

fn variable_medium(code: u8) -> &'static str {
    match code {
        0x00 => "other",
        0x01 => "oil",
        0x02 => "electricity",
        0x03 => "gas",
        0x04 => "heat",
        0x05 => "steam",
        0x06 => "warm water",
        0x07 => "water",
        0x08 => "heat cost allocator",
        0x09 => "compressed air",
        0x0A => "cooling (outlet)",
        0x0B => "cooling (inlet)",
        0x0C => "heat (inlet)",
        0x0D => "heat and cooling",
        0x0E => "bus",
        0x0F => "unknown",
        0x10 => "irrigation water",
        0x11 => "water data logger",
        0x12 => "gas data logger",
        0x13 => "gas converter",
        0x14 => "calorific value",
        0x15 => "hot water",
        0x16 => "cold water",
        0x17 => "dual water",
        0x18 => "pressure",
        0x19 => "A/D converter",
        0x1A => "smoke detector",
        0x1B => "room sensor",
        0x1C => "gas detector",
        0x1D => "carbon monoxide alarm",
        0x1E => "heat alarm",
        0x1F => "sensor device",
        0x20 => "breaker (electricity)",
        0x21 => "valve",
        0x25 => "customer unit",
        0x28 => "waste water",
        0x29 => "waste",
        0x2A => "carbon dioxide",
        0x30 => "service tool",
        0x31 => "gateway",
        0x32 => "unidirectional repeater",
        0x33 => "bidirectional repeater",
        0x36 => "radio converter (system side)",
        0x37 => "radio converter (meter side)",
        0x38 => "bus converter (meter side)",
        _ => "reserved",
    }
}

fn fixed_medium(code: u8) -> &'static str {
    match code {
        0x0 => "other",
        0x1 => "oil",
        0x2 => "electricity",
        0x3 => "gas",
        0x4 => "heat",
        0x5 => "steam",
        0x6 => "warm water",
        0x7 => "water",
        0x8 => "heat cost allocator",
        0xA => "gas (mode 2)",
        0xB => "heat (mode 2)",
        0xC => "warm water (mode 2)",
        0xD => "water (mode 2)",
        0xE => "heat cost allocator (mode 2)",
        _ => "reserved",
    }
}

/// The meter's own word on its state, bit by bit as sent. In the variable structure bits 0 and 1 are the application's state; in the
/// fixed one they say how the counters are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status(pub u8);

impl Status {
    /// Bits 0 and 1 of the variable structure: 0 no error, 1 busy, 2 any error, 3 abnormal condition.
    pub fn application(self) -> u8 {
        self.0 & 0x03
    }

    /// Battery or supply is low.
    pub fn power_low(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// The meter needs service.
    pub fn permanent_error(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// Goes away by itself.
    pub fn temporary_error(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Bits 5 to 7, as the manufacturer uses them.
    pub fn maker_bits(self) -> u8 {
        self.0 >> 5
    }

    /// The names of the bits that are set, of the variable structure; the maker's bits are not named.
    pub fn words(self) -> Vec<&'static str> {
        let application = ["", "application busy", "application error", "abnormal condition"];
        let mut words: Vec<_> = application.get(usize::from(self.application())).into_iter().copied().collect();
        words.retain(|word| !word.is_empty());
        let flags = [
            (self.power_low(), "power low"),
            (self.permanent_error(), "permanent error"),
            (self.temporary_error(), "temporary error"),
        ];
        words.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word));
        words
    }
}

/// The configuration word: how the records are enciphered. Old meters send a signature of their own here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Configuration(pub u16);

impl Configuration {
    /// Security mode, bits 8 to 12: 0 none, 5 AES-128-CBC (EN 13757-7, 7.6).
    pub fn mode(self) -> u8 {
        u8::try_from(self.0 >> 8 & 0x1F).unwrap_or_default()
    }

    /// Number of enciphered blocks of 16 bytes in mode 5, bits 4 to 7.
    pub fn blocks(self) -> usize {
        usize::from(self.0 >> 4 & 0x0F)
    }
}

/// Which meter speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Identification number.
    pub id: Id,
    /// Absent in the fixed structure.
    pub manufacturer: Option<Manufacturer>,
    /// Absent in the fixed structure.
    pub version: Option<u8>,
    /// What is measured.
    pub medium: Medium,
}

/// What stands before the records. CI 78 has none of it, CI 7A no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Which meter speaks.
    pub identity: Option<Identity>,
    /// Counts answers; parts of one readout have successive numbers.
    pub access: Option<u8>,
    /// State of the meter.
    pub status: Option<Status>,
    /// Absent in the fixed structure.
    pub configuration: Option<Configuration>,
}

/// Reads the long header of 12 bytes (CI 72 and 76).
pub(super) fn long(ci: u8, data: &[u8], order: Order) -> Result<(Header, &[u8]), AnswerError> {
    let Some((&[i0, i1, i2, i3, m0, m1, version, medium, access, status, c0, c1], rest)) = data.split_first_chunk() else {
        return Err(AnswerError::Header { ci, received: data.len(), expected: 12 });
    };
    let identity = Identity {
        id: Id(u32::from_le_bytes(order.id([i0, i1, i2, i3]))),
        manufacturer: Some(Manufacturer(order.word([m0, m1]))),
        version: Some(version),
        medium: Medium::Variable(medium),
    };
    Ok((with_transport(Some(identity), access, status, order.word([c0, c1])), rest))
}

/// Reads the short header of 4 bytes (CI 7A).
pub(super) fn short(ci: u8, data: &[u8], order: Order) -> Result<(Header, &[u8]), AnswerError> {
    let Some((&[access, status, c0, c1], rest)) = data.split_first_chunk() else {
        return Err(AnswerError::Header { ci, received: data.len(), expected: 4 });
    };
    Ok((with_transport(None, access, status, order.word([c0, c1])), rest))
}

fn with_transport(identity: Option<Identity>, access: u8, status: u8, configuration: u16) -> Header {
    Header { identity, access: Some(access), status: Some(Status(status)), configuration: Some(Configuration(configuration)) }
}

/// The identification number and the medium of the fixed structure.
pub(super) fn fixed_identity(id: [u8; 4], medium: u8, order: Order) -> Identity {
    Identity { id: Id(u32::from_le_bytes(order.id(id))), manufacturer: None, version: None, medium: Medium::Fixed(medium) }
}

/// Why a meter refused what it was asked for (CI 70; EN 13757-3, "general application errors").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApplicationError(pub u8);

impl fmt::Display for ApplicationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            0x00 => "unspecified error",
            0x01 => "CI field not implemented",
            0x02 => "buffer too long, truncated",
            0x03 => "too many records",
            0x04 => "premature end of record",
            0x05 => "more than 10 DIFEs",
            0x06 => "more than 10 VIFEs",
            0x08 => "application too busy",
            0x09 => "too many readouts",
            0x10 => "access denied",
            0x11 => "application or block unknown",
            0x12 => "parameter unknown or wrong",
            0x13 => "readout impossible",
            0x14 => "address unknown",
            0x15 => "function not supported",
            0xF0 => "dynamic application error",
            code => return write!(f, "error {code:02X}"),
        };
        f.write_str(words)
    }
}
