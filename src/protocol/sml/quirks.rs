//! What some meters send differently from what they mean.
//!
//! Always true here: nothing is changed that was not asked for; what cannot be decided becomes missing, not a guess; [`Entry::raw`]
//! keeps what was sent.

use super::message::{Entry, GetList, Raw, Telegram, value};
use crate::reading::{Quality, Reason, Value};

/// Bit of the status word that EMH meters set while they feed in.
const FEEDING: u64 = 0x20;
/// DZG firmware with this serial number or a later one sends its power right.
const DZG_FIXED_FROM: u32 = 60_000_000;

/// Corrections for one meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// 15.7.0 is sent without a sign; bit 5 of the status word of 1.8.0 says whether the meter feeds in (EMH eHZ, ED300L).
    pub sign_from_status: bool,
    /// 16.7.0 is sent with its leading zero byte cut off, so that it reads negative though it is not (DZG DVS74 before serial number
    /// 60000000). A real negative power cannot be told from that, so such a meter must not be one that feeds in.
    pub short_unsigned: bool,
}

impl Quirks {
    /// What the serial number of the meter speaks for. A hint for whoever writes a configuration; nothing applies it by itself.
    #[must_use]
    pub fn suggested(telegram: &Telegram) -> Self {
        let ids = std::iter::once(&telegram.server_id).chain(telegram.lists.iter().map(|list| &list.server_id));
        let old_dzg = ids.map(|id| dzg_number(id)).any(|number| number.is_some_and(|number| number < DZG_FIXED_FROM));
        Self { sign_from_status: false, short_unsigned: old_dzg }
    }

    /// Corrects the values of a telegram.
    pub fn apply(self, telegram: &mut Telegram) {
        for list in &mut telegram.lists {
            if self.sign_from_status {
                sign_from_status(list);
            }
            if self.short_unsigned {
                list.entries.iter_mut().filter(|entry| entry.code.is(16, 7, 0)).for_each(short_unsigned);
            }
        }
    }
}

/// Server id of a DZG meter: 0A 01, "DZG", 00, and the serial number in four bytes (DIN 43863-5).
fn dzg_number(id: &[u8]) -> Option<u32> {
    match id {
        [0x0A, 0x01, b'D', b'Z', b'G', _, number @ ..] => number.try_into().ok().map(u32::from_be_bytes),
        _ => None,
    }
}

fn sign_from_status(list: &mut GetList) {
    let status = list.entries.iter().find(|entry| entry.code.is(1, 8, 0)).and_then(|entry| entry.status);
    for entry in list.entries.iter_mut().filter(|entry| entry.code.is(15, 7, 0)) {
        match status {
            None => missing(entry),
            Some(status) if status & FEEDING != 0 => negate(entry),
            Some(_) => {}
        }
    }
}

fn missing(entry: &mut Entry) {
    entry.value = Value::Missing;
    entry.quality = Quality::Bad(Reason::Malformed);
}

fn negate(entry: &mut Entry) {
    match &mut entry.value {
        Value::Int(number) | Value::Decimal { mantissa: number, .. } if *number > 0 => *number = -*number,
        Value::UInt(number) => match i64::try_from(*number) {
            Ok(number) => entry.value = Value::Int(-number),
            Err(_) => missing(entry),
        },
        _ => {}
    }
}

/// Reads up to three bytes, the width of a cut integer of four, without a sign.
fn short_unsigned(entry: &mut Entry) {
    if let Raw::Int(number @ ..0, width @ 1..=3) = entry.raw {
        let meant = Raw::Int(number + (1 << (8 * width)), width);
        (entry.value, entry.quality) = value(&meant, entry.scaler);
    }
}
