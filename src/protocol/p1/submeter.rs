//! Meters behind the meter: gas, water, heat and slave electricity meters on its M-Bus, read through P1.
//!
//! Always true here: a sub-meter is known by its id, never by its channel, because channels change when meters are exchanged. A reading
//! whose time says that it was never taken is missing. Deliberately absent: which sub-meter a configuration means.

use super::telegram::hex_text;
use super::time::{LocalTime, TimeError};
use crate::protocol::iec62056::dataset::{DataSet, Item};
use crate::reading::{Quality, Reason, Value};

/// What a sub-meter measures: the device type of EN 13757-3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 2.
    Electricity,
    /// 3.
    Gas,
    /// 4 and 12: heat, by return or flow temperature.
    Heat,
    /// 10 and 11.
    Cooling,
    /// 6 and 7: warm water (6) and water.
    Water,
    /// Any other number.
    Other(u8),
}

/// The last reading of a sub-meter that its master holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The code of its data set, as sent: "0-1:24.2.1".
    pub address: Box<str>,
    /// When it was taken.
    pub time: Result<LocalTime, TimeError>,
    /// The value with its digits, or [`Value::Missing`].
    pub value: Value,
    /// Why the value is missing.
    pub quality: Quality,
    /// As sent; empty where there is none.
    pub unit: Box<str>,
}

/// One meter behind the meter.
#[derive(Debug, Clone, PartialEq)]
pub struct SubMeter {
    /// The channel it happens to be on.
    pub channel: u8,
    /// Its id in plain text; `None` where the meter gives none, and then it cannot be told from its neighbours for certain.
    pub id: Option<Box<str>>,
    /// Device type, where it is given.
    pub kind: Option<Kind>,
    /// Its readings, in the order sent.
    pub readings: Vec<Reading>,
    /// State of its valve or breaker, where it has one.
    pub valve: Option<Box<str>>,
}

impl Kind {
    fn of(text: &str) -> Option<Self> {
        Some(match text.trim().parse::<u8>().ok()? {
            0 => return None,
            2 => Self::Electricity,
            3 => Self::Gas,
            4 | 12 => Self::Heat,
            10 | 11 => Self::Cooling,
            6 | 7 => Self::Water,
            other => Self::Other(other),
        })
    }
}

/// Groups the data sets `0-n:...` by channel, n = 1 and more, and leaves out channels without an id and without a reading.
pub(super) fn sub_meters(sets: &[DataSet]) -> Vec<SubMeter> {
    let mut meters: Vec<SubMeter> = Vec::new();
    for set in sets {
        let Some((channel, code)) = set.code.and_then(|code| Some((code.b.filter(|b| *b > 0 && code.a == Some(0))?, code))) else {
            continue;
        };
        let place = meters.iter().position(|meter| meter.channel == channel).unwrap_or_else(|| {
            meters.push(SubMeter { channel, id: None, kind: None, readings: Vec::new(), valve: None });
            meters.len() - 1
        });
        let Some(meter) = meters.get_mut(place) else { continue };
        let text = set.first().map(|quantity| &*quantity.text).unwrap_or_default();
        match (code.c, code.d, code.e.unwrap_or(0)) {
            (24, Some(1), 0) => meter.kind = Kind::of(text),
            (24, Some(2), _) => meter.readings.extend(reading(set)),
            (24, Some(3), 0) => meter.readings.extend(profile_reading(set)),
            (24, Some(4), 0) => meter.valve = Some(text.into()),
            // 96.1.0 in the Netherlands, 96.1.1 in Belgium; 96.1.2 is the number of the connection, not of the meter.
            (96, Some(1), 0 | 1) => meter.id = meter.id.take().or_else(|| hex_text(text)),
            _ => {}
        }
    }
    meters.retain(|meter| meter.id.is_some() || !meter.readings.is_empty());
    meters
}

/// `(time)(value*unit)`, V4 and later.
fn reading(set: &DataSet) -> Option<Reading> {
    let (time, value) = match set.items.as_slice() {
        [time, value, ..] => (LocalTime::parse(&time.raw), value),
        [value] => (Err(TimeError::Empty), value),
        [] => return None,
    };
    let unit = value.first().and_then(|quantity| quantity.unit.clone()).unwrap_or_default();
    Some(with_time(set, time, value, unit))
}

/// `(time)(status)(period)(channels)(code)(unit)` and `(value)` on the next line, V2 and V3.
fn profile_reading(set: &DataSet) -> Option<Reading> {
    let [time, _, _, _, _, unit, .., value] = set.items.as_slice() else { return None };
    Some(with_time(set, LocalTime::parse(&time.raw), value, unit.raw.clone()))
}

fn with_time(set: &DataSet, time: Result<LocalTime, TimeError>, item: &Item, unit: Box<str>) -> Reading {
    let (value, quality) = match (time, item.first()) {
        (Err(TimeError::NeverRead), _) | (_, None) => (Value::Missing, Quality::Bad(Reason::Invalid)),
        (_, Some(quantity)) => (quantity.value.clone(), quantity.quality),
    };
    Reading { address: set.address.clone(), time, value, quality, unit }
}
