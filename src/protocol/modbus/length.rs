//! How long a PDU is by its first bytes (Modbus Application Protocol V1.1b3, 6 and 7).
//!
//! Always true here: counts and byte counts outside the limits of the standard are no PDU, which is what tells requests from answers
//! where both have the same length. Deliberately absent: the user-defined functions 65 to 72 and 100 to 110, whose length nobody can
//! know from their bytes.

/// Bytes that are no PDU of this direction, or not enough of it to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// More bytes are needed.
    More,
    /// Whatever follows.
    No,
}

/// Encapsulated interface transport, 6.19; 14 is the reading of the device identification.
const DEVICE_ID: u8 = 14;

fn byte(pdu: &[u8], place: usize) -> Result<u8, Unfit> {
    pdu.get(place).copied().ok_or(Unfit::More)
}

fn word(pdu: &[u8], place: usize) -> Result<u16, Unfit> {
    Ok(u16::from_be_bytes([byte(pdu, place)?, byte(pdu, place + 1)?]))
}

/// `length`, where the rule of the standard holds.
fn only(holds: bool, length: usize) -> Result<usize, Unfit> {
    if holds { Ok(length) } else { Err(Unfit::No) }
}

/// Length of the request that begins here.
pub(super) fn request(pdu: &[u8]) -> Result<usize, Unfit> {
    let function = byte(pdu, 0)?;
    match function {
        1 | 2 => only((1..=2000).contains(&word(pdu, 3)?), 5),
        3 | 4 => only((1..=125).contains(&word(pdu, 3)?), 5),
        5 | 6 | 8 | 15 | 16 => write(pdu, function),
        7 | 11 | 12 | 17 => Ok(1),
        20 => counted(pdu, |bytes| bytes > 0 && bytes % 7 == 0),
        21 => counted(pdu, |bytes| bytes >= 9),
        22 => Ok(7),
        23 => {
            let (read, written, bytes) = (word(pdu, 3)?, word(pdu, 7)?, byte(pdu, 9)?);
            let fits = (1..=125).contains(&read) && (1..=121).contains(&written) && written * 2 == u16::from(bytes);
            only(fits, 10 + usize::from(bytes))
        }
        24 => Ok(3),
        43 => only(byte(pdu, 1)? == DEVICE_ID && (1..=4).contains(&byte(pdu, 2)?), 4),
        _ => Err(Unfit::No),
    }
}

/// What has the same form in both directions, and the requests that write several.
fn write(pdu: &[u8], function: u8) -> Result<usize, Unfit> {
    match function {
        5 => only(matches!(word(pdu, 3)?, 0 | 0xFF00), 5),
        6 => Ok(5),
        8 => only(word(pdu, 1)? <= 21, 5),
        15 => {
            let (count, bytes) = (word(pdu, 3)?, byte(pdu, 5)?);
            only((1..=1968).contains(&count) && count.div_ceil(8) == u16::from(bytes), 6 + usize::from(bytes))
        }
        _ => {
            let (count, bytes) = (word(pdu, 3)?, byte(pdu, 5)?);
            only((1..=123).contains(&count) && count * 2 == u16::from(bytes), 6 + usize::from(bytes))
        }
    }
}

/// Length of the answer that begins here; an exception is one.
pub(super) fn answer(pdu: &[u8]) -> Result<usize, Unfit> {
    let function = byte(pdu, 0)?;
    match function {
        1 | 2 => counted(pdu, |bytes| (1..=250).contains(&bytes)),
        3 | 4 | 23 => counted(pdu, |bytes| (2..=250).contains(&bytes) && bytes % 2 == 0),
        5 | 6 | 8 => write(pdu, function),
        7 => Ok(2),
        11 => Ok(5),
        12 => counted(pdu, |bytes| bytes >= 6),
        15 => only((1..=1968).contains(&word(pdu, 3)?), 5),
        16 => only((1..=123).contains(&word(pdu, 3)?), 5),
        17 => counted(pdu, |bytes| bytes > 0),
        20 => counted(pdu, |bytes| bytes >= 2),
        21 => counted(pdu, |bytes| bytes >= 9),
        22 => Ok(7),
        24 => {
            let (bytes, count) = (word(pdu, 1)?, word(pdu, 3)?);
            only(count <= 31 && bytes == 2 + 2 * count, 3 + usize::from(bytes))
        }
        43 => device_id(pdu),
        129.. => only(byte(pdu, 1)? != 0, 2),
        _ => Err(Unfit::No),
    }
}

fn counted(pdu: &[u8], fits: impl Fn(u8) -> bool) -> Result<usize, Unfit> {
    let bytes = byte(pdu, 1)?;
    only(fits(bytes), 2 + usize::from(bytes))
}

/// Kind, code, conformity, more follow, next id, number of objects; each object has an id, a length and its bytes.
fn device_id(pdu: &[u8]) -> Result<usize, Unfit> {
    let fits = byte(pdu, 1)? == DEVICE_ID && (1..=4).contains(&byte(pdu, 2)?) && matches!(byte(pdu, 4)?, 0 | 0xFF);
    let objects = byte(pdu, 6)?;
    let mut length = only(fits, 7)?;
    for _ in 0..objects {
        length += 2 + usize::from(byte(pdu, length + 1)?);
        if length > super::frame::LONGEST_PDU {
            return Err(Unfit::No);
        }
    }
    Ok(length)
}
