//! Data information block (EN 13757-3, 6.3): how long a record's data is, which kind of value it is, and to which storage, tariff
//! and subunit it belongs.
//!
//! Always true here: any number of extension bytes is read, so the length of the record stays known; beyond ten of them nothing is
//! taken from them. Deliberately absent: what is measured.

/// What kind of value a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// As it is now.
    Instantaneous,
    /// The greatest of a period.
    Maximum,
    /// The least of a period.
    Minimum,
    /// As it was during an error state.
    Error,
}

impl Function {
    /// A stable word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instantaneous => "instantaneous",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Error => "error",
        }
    }
}

/// How the data is coded: the low nibble of the DIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// No data.
    None,
    /// "Selection for readout": a request, in an answer without data.
    Selection,
    /// Binary of so many bytes.
    Binary(usize),
    /// Single precision float.
    Real,
    /// So many bytes of two digits each.
    Bcd(usize),
    /// The first byte of the data says (LVAR).
    Variable,
}

/// Extension bytes that may follow a DIF or VIF.
pub(super) const MAX_EXTENSIONS: usize = 10;

/// One data information block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dib {
    pub(super) field: Field,
    pub(super) function: Function,
    pub(super) storage: u64,
    pub(super) tariff: u32,
    pub(super) subunit: u16,
    /// Number of extension bytes, which may be more than are allowed.
    pub(super) extensions: usize,
}

/// Reads the block at the beginning of `bytes`, whose first byte is no special function.
///
/// `None`: the bytes end within it.
pub(super) fn read(bytes: &[u8]) -> Option<Dib> {
    let dif = *bytes.first()?;
    let mut dib =
        Dib { field: field(dif), function: function(dif), storage: u64::from(dif >> 6 & 1), tariff: 0, subunit: 0, extensions: 0 };
    let mut more = dif & 0x80 != 0;
    while more {
        let dife = *bytes.get(dib.extensions + 1)?;
        extend(&mut dib, dife);
        more = dife & 0x80 != 0;
    }
    Some(dib)
}

/// Each extension adds four bits of storage, two of tariff, one of subunit, the first ones lowest.
fn extend(dib: &mut Dib, dife: u8) {
    let place = dib.extensions;
    dib.extensions += 1;
    if place < MAX_EXTENSIONS {
        dib.storage |= u64::from(dife & 0x0F) << (1 + 4 * place);
        dib.tariff |= u32::from(dife >> 4 & 0x03) << (2 * place);
        dib.subunit |= u16::from(dife >> 6 & 0x01) << place;
    }
}

fn function(dif: u8) -> Function {
    match dif >> 4 & 0x03 {
        0 => Function::Instantaneous,
        1 => Function::Maximum,
        2 => Function::Minimum,
        _ => Function::Error,
    }
}

/// The special functions (low nibble F) are not asked for here.
fn field(dif: u8) -> Field {
    match dif & 0x0F {
        length @ 0x1..=0x4 => Field::Binary(usize::from(length)),
        0x5 => Field::Real,
        0x6 => Field::Binary(6),
        0x7 => Field::Binary(8),
        0x8 => Field::Selection,
        digits @ 0x9..=0xC => Field::Bcd(usize::from(digits - 8)),
        0xD => Field::Variable,
        0xE => Field::Bcd(6),
        _ => Field::None,
    }
}
