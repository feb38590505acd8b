//! The four read functions of Modbus (Application Protocol V1.1b3, 6.1 to 6.4), as a server sees them.

/// Exception 1: illegal function.
pub const ILLEGAL_FUNCTION: u8 = 1;
/// Exception 2: illegal data address.
pub const ILLEGAL_ADDRESS: u8 = 2;
/// Exception 3: illegal data value (here: a quantity out of range).
pub const ILLEGAL_VALUE: u8 = 3;
/// Exception 11: gateway target device failed to respond.
pub const TARGET_SILENT: u8 = 11;

/// Which table a function reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Function 1.
    Coil,
    /// Function 2.
    Discrete,
    /// Function 3.
    Holding,
    /// Function 4.
    Input,
}

impl Table {
    /// The function code that reads it.
    pub fn function(self) -> u8 {
        match self {
            Self::Coil => 1,
            Self::Discrete => 2,
            Self::Holding => 3,
            Self::Input => 4,
        }
    }

    fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// A read request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// What is read.
    pub table: Table,
    /// First item, 0-based.
    pub address: u16,
    /// Number of items.
    pub quantity: u16,
}

impl Read {
    /// Reads a request PDU; the error is the exception code to answer with.
    pub fn parse(pdu: &[u8]) -> Result<Self, u8> {
        let [function, a, b, c, d] = *pdu else { return Err(ILLEGAL_FUNCTION) };
        let table = match function {
            1 => Table::Coil,
            2 => Table::Discrete,
            3 => Table::Holding,
            4 => Table::Input,
            _ => return Err(ILLEGAL_FUNCTION),
        };
        let read = Self { table, address: u16::from_be_bytes([a, b]), quantity: u16::from_be_bytes([c, d]) };
        let most = if table.is_bits() { 2000 } else { 125 };
        if read.quantity == 0 || read.quantity > most {
            return Err(ILLEGAL_VALUE);
        }
        if u32::from(read.address) + u32::from(read.quantity) > 65_536 {
            return Err(ILLEGAL_ADDRESS);
        }
        Ok(read)
    }

    /// Whether all of `width` items from `address` of `table` are asked for.
    pub fn covers(self, table: Table, address: u16, width: u16) -> bool {
        let end = u32::from(self.address) + u32::from(self.quantity);
        self.table == table && self.address <= address && u32::from(address) + u32::from(width) <= end
    }

    /// The answer PDU; `item` gives a register, or a bit that is 0 or not. `None` becomes exception 2.
    pub fn answer(self, item: impl Fn(u16) -> Option<u16>) -> Vec<u8> {
        let items: Option<Vec<u16>> = (0..self.quantity).map(|n| item(self.address + n)).collect();
        let Some(items) = items else { return exception(self.table.function(), ILLEGAL_ADDRESS) };
        let data = if self.table.is_bits() { pack(&items) } else { items.iter().flat_map(|word| word.to_be_bytes()).collect() };
        let mut pdu = vec![self.table.function(), u8::try_from(data.len()).unwrap()];
        pdu.extend(data);
        pdu
    }
}

/// An exception answer (clause 7).
pub fn exception(function: u8, code: u8) -> Vec<u8> {
    vec![function | 0x80, code]
}

/// The first item stands in the lowest bit of the first byte (6.1).
fn pack(items: &[u16]) -> Vec<u8> {
    let byte = |bits: &[u16]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit != 0));
    items.chunks(8).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_answered_as_printed_there() {
        // 6.3: read holding registers 108..110 -> 022B 0000 0064
        let read = Read::parse(&[0x03, 0x00, 0x6B, 0x00, 0x03]).unwrap();
        let item = |address| Some([0x022B, 0x0000, 0x0064][usize::from(address - 0x6B)]);
        assert_eq!(read.answer(item), [0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64]);
        // 6.1: read coils 20..38 -> CD 6B 05
        let read = Read::parse(&[0x01, 0x00, 0x13, 0x00, 0x13]).unwrap();
        let bits: u32 = 0x0005_6BCD;
        let item = |address: u16| Some((bits >> (address - 0x13) & 1) as u16);
        assert_eq!(read.answer(item), [0x01, 0x03, 0xCD, 0x6B, 0x05]);
    }

    #[test]
    fn a_quantity_out_of_range_is_exception_3_and_an_unknown_function_exception_1() {
        assert_eq!(Read::parse(&[4, 0, 0, 0, 126]), Err(ILLEGAL_VALUE));
        assert_eq!(Read::parse(&[3, 0, 0, 0, 0]), Err(ILLEGAL_VALUE));
        assert_eq!(Read::parse(&[6, 0, 0, 0, 1]), Err(ILLEGAL_FUNCTION));
        assert_eq!(Read::parse(&[3, 0xFF, 0xFF, 0, 2]), Err(ILLEGAL_ADDRESS));
    }
}
