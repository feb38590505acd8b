//! The fixed data structure (CI 73 and 77): two counters of old water and heat meters, with the units of MBDOC48, table "counter units".
//!
//! Always true here: two records; where the second unit says "the same, historic", the second record is storage 1 of the first.
//! Litres stay litres, as the table counts in both litres and cubic metres.

use super::AnswerError;
use super::dif::{Dib, Field, Function};
use super::header::{Header, Order, Status, fixed_identity};
use super::record::{Record, counter};
use super::value::{self, Scale};
use super::vif::{Coding, RESERVED};

/// Identification, access number, status, two units, two counters.
const LENGTH: usize = 16;
/// Unit code: the same as the first counter's, as it was on a fixed day.
const SAME_HISTORIC: u8 = 0x3E;

/// Name, unit and power of ten of a counter.
type Unit = (&'static str, &'static str, i32);

/// Reads header and both counters.
pub(super) fn read(ci: u8, data: &[u8], order: Order) -> Result<(Header, [Record; 2]), AnswerError> {
    let Ok(&[i0, i1, i2, i3, access, status, unit1, unit2, ref counters @ ..]) = <&[u8; LENGTH]>::try_from(data) else {
        return Err(AnswerError::Header { ci, received: data.len(), expected: LENGTH });
    };
    let medium = unit1 >> 6 | (unit2 >> 6) << 2;
    let identity = fixed_identity([i0, i1, i2, i3], medium, order);
    let header = Header { identity: Some(identity), access: Some(access), status: Some(Status(status)), configuration: None };
    let [unit1, unit2] = [unit1 & 0x3F, unit2 & 0x3F];
    let historic = unit2 == SAME_HISTORIC;
    let stored = u64::from(status & 0x02 != 0);
    let (first, second) = counters.split_at(4);
    let records = [
        record(first, unit(unit1), status, stored, order),
        record(second, unit(if historic { unit1 } else { unit2 }), status, stored.max(u64::from(historic)), order),
    ];
    Ok((header, records))
}

/// Status bit 0: binary, else BCD.
fn record(data: &[u8], (name, unit, exponent): Unit, status: u8, storage: u64, order: Order) -> Record {
    let field = if status & 0x01 != 0 { Field::Binary(4) } else { Field::Bcd(4) };
    let dib = Dib { field, function: Function::Instantaneous, storage, tariff: 0, subunit: 0, extensions: 0 };
    let coding = if name == RESERVED { Coding::Maker } else { Coding::Number };
    let decoded = value::decode(field, data, order, coding, Scale { exponent, offsets: &[] });
    counter(data, &dib, name, unit, decoded)
}

/// The 64 counter units. Time and date are digits side by side and stay so.
fn unit(code: u8) -> Unit {
    match code {
        0x00 => ("time", "h,m,s", 0),
        0x01 => ("date", "d,m,y", 0),
        0x02..=0x0A => ("energy", "Wh", i32::from(code) - 0x02),
        0x0B..=0x13 => ("energy", "J", i32::from(code) - 0x0B + 3),
        0x14..=0x1C => ("power", "W", i32::from(code) - 0x14),
        0x1D..=0x25 => ("power", "J/h", i32::from(code) - 0x1D + 3),
        0x26..=0x28 => ("volume", "l", i32::from(code) - 0x26 - 3),
        0x29..=0x2B => ("volume", "l", i32::from(code) - 0x29),
        0x2C..=0x2E => ("volume", "m3", i32::from(code) - 0x2C),
        0x2F..=0x31 => ("volume_flow", "l/h", i32::from(code) - 0x2F - 3),
        0x32..=0x34 => ("volume_flow", "l/h", i32::from(code) - 0x32),
        0x35..=0x37 => ("volume_flow", "m3/h", i32::from(code) - 0x35),
        0x38 => ("temperature", "°C", -3),
        0x39 => ("hca", "", 0),
        0x3F => ("dimensionless", "", 0),
        _ => (RESERVED, "", 0),
    }
}
