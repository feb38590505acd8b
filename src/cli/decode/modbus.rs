//! Modbus captures of one line or connection, in the order the frames came.

use super::told::{Datum, Found, Record, Told, hex};
use crate::protocol::modbus::dialogue::{Body, Dialogue, Direction, Table, exception_name};
use crate::protocol::modbus::frame::{Adu, Error, Rtu, Tcp};
use crate::protocol::stream::{Capture, Stream};

/// Longest serial frame (Modbus over Serial Line V1.02, 2.3).
const LONGEST_RTU: usize = 256;

/// Frames of a serial line. Where there is none, but the bytes may be a single one, its check sum is told.
pub(super) fn read_rtu(bytes: &[u8]) -> Found {
    let mut found = found(&Stream::read_all(Rtu, bytes));
    if found.telegrams.is_empty()
        && let 4..=LONGEST_RTU = bytes.len()
        && let Err(error) = Rtu::check(bytes)
    {
        found.telegrams.push(Told { meter: Vec::new(), said: Err(format!("no frame; read as one: {error}")) });
    }
    found
}

/// Frames of a TCP connection.
pub(super) fn read_tcp(bytes: &[u8]) -> Found {
    found(&Stream::read_all(Tcp, bytes))
}

fn found(capture: &Capture<Adu, Error>) -> Found {
    let mut dialogue = Dialogue::default();
    let mut told = |adu: &Result<Adu, Error>| match adu {
        Ok(adu) => read(&mut dialogue, adu),
        Err(error) => Told { meter: Vec::new(), said: Err(error.to_string()) },
    };
    Found { telegrams: capture.telegrams.iter().map(&mut told).collect(), noise: capture.noise, remarks: Vec::new() }
}

fn read(dialogue: &mut Dialogue, adu: &Adu) -> Told {
    let telegram = dialogue.read(adu);
    let direction = match telegram.direction {
        Direction::Request => "request",
        Direction::Answer => "answer",
    };
    let mut meter: Vec<_> = adu.transaction.map(|transaction| ("transaction", Datum::number(transaction))).into_iter().collect();
    meter.push(("unit", Datum::number(adu.unit)));
    meter.push(("direction", Datum::text(direction)));
    meter.push(("function", Datum::number(telegram.function)));
    let said = match telegram.body {
        Body::Range { address, count } => {
            meter.push(("address", Datum::number(address)));
            meter.push(("count", Datum::number(count)));
            Ok(Vec::new())
        }
        Body::Bits(table, address, bits) => {
            Ok(records(table, address, bits.into_iter().map(|bit| (Datum::number(u8::from(bit)), hex(&[u8::from(bit)])))))
        }
        Body::Registers(table, address, values) => {
            Ok(records(table, address, values.into_iter().map(|value| (Datum::number(value), hex(&value.to_be_bytes())))))
        }
        Body::Exception(code) => {
            meter.push(("exception", Datum::number(code)));
            Err(format!("the unit refuses: exception {code}, {}", exception_name(code)))
        }
        Body::Other(data) => Ok(other(&data)),
    };
    Told { meter, said }
}

fn records(table: Table, first: Option<u16>, values: impl Iterator<Item = (Datum, String)>) -> Vec<Record> {
    let name = match table {
        Table::Coil => "coil",
        Table::DiscreteInput => "discrete_input",
        Table::HoldingRegister => "holding_register",
        Table::InputRegister => "input_register",
    };
    let record = |(place, (value, raw)): (usize, (Datum, String))| {
        let address = first.and_then(|first| first.checked_add(u16::try_from(place).ok()?));
        Record { name: name.to_owned(), address, value, raw, ..Record::default() }
    };
    values.enumerate().map(record).collect()
}

/// The data of a function that has no registers and no bits.
fn other(data: &[u8]) -> Vec<Record> {
    if data.is_empty() {
        return Vec::new();
    }
    vec![Record { name: "data".to_owned(), value: Datum::Text(hex(data)), raw: hex(data), ..Record::default() }]
}
