//! Secondary addresses (EN 13757-3, 11): which meter, by what is printed on it, with wildcards.
//!
//! Written `12345678-KAM-52-4`: identification, manufacturer, version and medium, decimal or `0x..`; `*` is any, also for single
//! digits of the identification (`123456**`); parts left out on the right are any. A fifth part is the fabrication number.
//! Sixteen hex digits, as libmbus writes addresses, are understood too. Always true here: what is written and read again is the same.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::header::{Id, Identity, Manufacturer, Medium};

/// An address or a mask. Nibbles of F in the numbers are wildcards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Secondary {
    /// Eight digits, F for any.
    pub id: Id,
    /// `None`: any.
    pub manufacturer: Option<Manufacturer>,
    /// `None`: any.
    pub version: Option<u8>,
    /// `None`: any.
    pub medium: Option<u8>,
    /// `None`: not part of the selection. Some meters need it to be told apart (enhanced selection).
    pub fabrication: Option<Id>,
}

/// Why text is no secondary address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// More parts than an address has.
    #[error("{0} parts, expected at most 5: id-manufacturer-version-medium-fabrication")]
    Parts(usize),
    /// Not eight digits or `*`.
    #[error("number {0:?}, expected 8 digits, or * for any")]
    Number(String),
    /// Not three letters.
    #[error("manufacturer {0:?}, expected 3 letters, or * for any")]
    Manufacturer(String),
    /// Not a byte.
    #[error("{0:?} for version or medium, expected 0 to 254, or * for any")]
    Byte(String),
}

impl Secondary {
    /// Matches every meter.
    pub const ANY: Self = Self { id: Id(u32::MAX), manufacturer: None, version: None, medium: None, fabrication: None };

    /// The address of a meter that has told who it is; what it did not tell is any.
    pub fn of(identity: &Identity) -> Self {
        let medium = match identity.medium {
            Medium::Variable(code) => Some(code),
            Medium::Fixed(_) => None,
        };
        Self { id: identity.id, manufacturer: identity.manufacturer, version: identity.version, medium, fabrication: None }
    }

    /// Whether a meter is one of those meant; what it does not tell speaks not against it.
    pub fn matches(&self, identity: &Identity) -> bool {
        let meter = Self::of(identity);
        let same = |wanted: Option<u8>, told: Option<u8>| wanted.is_none() || told.is_none() || wanted == told;
        let maker = self.manufacturer.is_none() || meter.manufacturer.is_none() || self.manufacturer == meter.manufacturer;
        id_matches(self.id, meter.id) && maker && same(self.version, meter.version) && same(self.medium, meter.medium)
    }

    /// The data behind CI 52: eight bytes, and the fabrication number as a record.
    pub fn encode(&self) -> Vec<u8> {
        let maker = self.manufacturer.map_or(u16::MAX, |maker| maker.0);
        let mut data = self.id.0.to_le_bytes().to_vec();
        data.extend(maker.to_le_bytes());
        data.extend([self.version.unwrap_or(u8::MAX), self.medium.unwrap_or(u8::MAX)]);
        if let Some(number) = self.fabrication {
            data.extend([0x0C, 0x78]);
            data.extend(number.0.to_le_bytes());
        }
        data
    }

    /// Place of the lowest wildcard digit of the identification in bits; `None` if there is none.
    pub(super) fn lowest_wildcard(&self) -> Option<u32> {
        (0..8).map(|digit| 4 * digit).find(|shift| self.id.0 >> shift & 0xF == 0xF)
    }

    /// The mask with one digit in that place.
    pub(super) fn with_digit(self, shift: u32, digit: u32) -> Self {
        Self { id: Id(self.id.0 & !(0xF << shift) | digit << shift), ..self }
    }
}

fn id_matches(mask: Id, id: Id) -> bool {
    (0..8).map(|digit| 4 * digit).all(|shift| {
        let wanted = mask.0 >> shift & 0xF;
        wanted == 0xF || wanted == id.0 >> shift & 0xF
    })
}

impl FromStr for Secondary {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(address) = sixteen_digits(text) {
            return Ok(address);
        }
        let parts: Vec<_> = text.split('-').collect();
        if parts.len() > 5 {
            return Err(AddressError::Parts(parts.len()));
        }
        let part = |at: usize| parts.get(at).map_or("*", |part| part.trim());
        Ok(Self {
            id: number(part(0))?,
            manufacturer: manufacturer(part(1))?,
            version: byte(part(2))?,
            medium: byte(part(3))?,
            fabrication: parts.get(4).map(|part| number(part.trim())).transpose()?,
        })
    }
}

/// The form of libmbus: identification, then manufacturer low byte first, version, medium.
fn sixteen_digits(text: &str) -> Option<Secondary> {
    if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let all = u64::from_str_radix(text, 16).ok()?;
    let [i3, i2, i1, i0, m0, m1, version, medium] = all.to_be_bytes();
    let maker = u16::from_le_bytes([m0, m1]);
    Some(Secondary {
        id: Id(u32::from_be_bytes([i3, i2, i1, i0])),
        manufacturer: (maker != u16::MAX).then_some(Manufacturer(maker)),
        version: (version != u8::MAX).then_some(version),
        medium: (medium != u8::MAX).then_some(medium),
        fabrication: None,
    })
}

/// Eight digits; some meters have A to E among them.
fn number(text: &str) -> Result<Id, AddressError> {
    let bad = || AddressError::Number(text.to_owned());
    if text == "*" {
        return Ok(Id(u32::MAX));
    }
    if text.len() != 8 || !text.bytes().all(|byte| byte == b'*' || byte.is_ascii_hexdigit()) {
        return Err(bad());
    }
    u32::from_str_radix(&text.replace('*', "F"), 16).map(Id).map_err(|_| bad())
}

fn manufacturer(text: &str) -> Result<Option<Manufacturer>, AddressError> {
    match text {
        "*" => Ok(None),
        letters => Manufacturer::from_letters(letters).map(Some).ok_or_else(|| AddressError::Manufacturer(letters.to_owned())),
    }
}

fn byte(text: &str) -> Result<Option<u8>, AddressError> {
    let number = match text {
        "*" => return Ok(None),
        hex if hex.starts_with("0x") => u8::from_str_radix(hex.trim_start_matches("0x"), 16).ok(),
        decimal => decimal.parse().ok(),
    };
    number.filter(|number| *number != u8::MAX).map(Some).ok_or_else(|| AddressError::Byte(text.to_owned()))
}

impl fmt::Display for Secondary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = || "*".to_owned();
        write!(f, "{}", digits(self.id))?;
        write!(f, "-{}", self.manufacturer.map_or_else(any, |maker| maker.to_string()))?;
        write!(f, "-{}", self.version.map_or_else(any, |version| version.to_string()))?;
        write!(f, "-{}", self.medium.map_or_else(any, |medium| medium.to_string()))?;
        self.fabrication.map_or(Ok(()), |number| write!(f, "-{}", digits(number)))
    }
}

fn digits(id: Id) -> String {
    if id.0 == u32::MAX { "*".to_owned() } else { id.to_string().replace('F', "*") }
}
