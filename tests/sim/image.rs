//! What the registers of a simulated meter hold: a function of unit, table, address and moment.
//!
//! Always true here: the same arguments give the same word, so that whoever published a value can be asked where it is from.

use super::pdu::Table;

/// Registers of a few units.
pub trait Image: Send + Sync {
    /// Whether there is such a unit on the wire.
    fn knows(&self, unit: u8) -> bool;
    /// The register (or bit) at this address when the request number `moment` is answered; `None`: no such address.
    fn word(&self, unit: u8, table: Table, address: u16, moment: u64) -> Option<u16>;
    /// Where the count of answered polls stands, as (table, address, width), if it has one.
    fn count_at(&self, unit: u8) -> Option<(Table, u16, u16)>;
}

/// Units 1 to `units`, the same in holding and input registers: 0..=3 the count as u64, 4..=5 as u32, from 6 on f32 values.
#[derive(Debug, Clone, Copy)]
pub struct Counting {
    /// How many units there are.
    pub units: u8,
}

impl Counting {
    /// The `n`-th float of a unit.
    pub fn float(unit: u8, n: u16, moment: u64) -> f32 {
        f32::from(unit) * 100.0 + f32::from(n) + f32::from(u16::try_from(moment % 64).unwrap()) / 64.0
    }
}

impl Image for Counting {
    fn knows(&self, unit: u8) -> bool {
        (1..=self.units).contains(&unit)
    }

    fn word(&self, unit: u8, table: Table, address: u16, moment: u64) -> Option<u16> {
        match (table, address) {
            (Table::Coil | Table::Discrete, _) => Some(u16::from((moment + u64::from(address)) % 2 == 1)),
            (_, 0..=3) => Some(words64(moment)[usize::from(address)]),
            (_, 4..=5) => Some(words64(moment)[usize::from(address) - 2]),
            (_, 6..=999) => {
                let bits = Self::float(unit, (address - 6) / 2, moment).to_bits();
                Some(words32(bits)[usize::from(address % 2)])
            }
            _ => None,
        }
    }

    fn count_at(&self, _unit: u8) -> Option<(Table, u16, u16)> {
        Some((Table::Holding, 0, 4))
    }
}

/// Every value names unit, address and moment, so that any mix-up shows: u64 at 0..2000 (every 4th), u32 at 2000..2400 (every 2nd).
#[derive(Debug, Clone, Copy)]
pub struct Telltale {
    /// How many units there are, from 1.
    pub units: u8,
}

impl Telltale {
    /// The u64 that stands at `address` (a multiple of 4).
    pub fn wide(unit: u8, table: Table, address: u16, moment: u64) -> u64 {
        u64::from(unit) << 56 | u64::from(address) << 40 | u64::from(table.function()) << 32 | moment & 0xFFFF_FFFF
    }

    /// The u32 that stands at `address` (2000, 2002, ..).
    pub fn narrow(unit: u8, address: u16, moment: u64) -> u32 {
        let place = u32::from((address - 2000) / 2) & 0xFF;
        u32::from(unit) << 24 | place << 16 | u32::try_from(moment & 0xFFFF).unwrap()
    }
}

impl Image for Telltale {
    fn knows(&self, unit: u8) -> bool {
        (1..=self.units).contains(&unit)
    }

    fn word(&self, unit: u8, table: Table, address: u16, moment: u64) -> Option<u16> {
        match address {
            0..2000 => Some(words64(Self::wide(unit, table, address - address % 4, moment))[usize::from(address % 4)]),
            2000..2400 => Some(words32(Self::narrow(unit, address - address % 2, moment))[usize::from(address % 2)]),
            _ => None,
        }
    }

    fn count_at(&self, _unit: u8) -> Option<(Table, u16, u16)> {
        None
    }
}

/// Four registers, high word first.
fn words64(value: u64) -> [u16; 4] {
    [48, 32, 16, 0].map(|shift| u16::try_from(value >> shift & 0xFFFF).unwrap())
}

/// Two registers, high word first.
pub fn words32(value: u32) -> [u16; 2] {
    [16, 0].map(|shift| u16::try_from(value >> shift & 0xFFFF).unwrap())
}
