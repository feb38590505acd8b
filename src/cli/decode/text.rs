//! Captures of the two protocols that are text: IEC 62056-21 and DSMR P1.
//!
//! Always true here: every bracket of a data set is a record of its own, in the order sent, so that a time beside a maximum, or a row
//! of a load profile, is never lost.

use super::told::{Datum, Found, Record, Told};
use crate::protocol::iec62056::{self, DataSet, Identification, Quantity};
use crate::protocol::obis::Medium;
use crate::protocol::p1;
use crate::protocol::stream::{Capture, Stream};

/// Every read-out, in order.
pub(super) fn read_iec62056(bytes: &[u8]) -> Found {
    let options = iec62056::Options { keep_rows: true, ..iec62056::Options::default() };
    found(&iec62056::read_capture(options, bytes), |telegram| {
        let check = match telegram.check {
            iec62056::Check::Good => "good",
            iec62056::Check::NotSent => "not sent",
            iec62056::Check::Missing => "missing",
            iec62056::Check::Wrong { .. } => "wrong",
        };
        let mut meter = ident(telegram.ident.as_ref());
        meter.push(("block_check", Datum::text(check)));
        (meter, records(&telegram.sets, telegram.medium))
    })
}

/// Every telegram, in order.
pub(super) fn read_p1(bytes: &[u8]) -> Found {
    found(&Stream::read_all(p1::Framing::default(), bytes), |telegram| {
        let check = match telegram.check {
            p1::Check::Good => "good",
            p1::Check::NotSent => "not sent",
            p1::Check::Wrong { .. } => "wrong",
        };
        let mut meter = ident(telegram.ident.as_ref());
        meter.extend(telegram.meter_id().map(|id| ("id", Datum::text(id))));
        meter.extend(telegram.version().map(|version| ("p1_version", Datum::text(version))));
        meter.push(("check_sum", Datum::text(check)));
        (meter, records(&telegram.sets, Medium::Electricity))
    })
}

type Meter = Vec<(&'static str, Datum)>;

fn found<T, E: ToString>(capture: &Capture<T, E>, read: impl Fn(&T) -> (Meter, Vec<Record>)) -> Found {
    let told = |telegram: &Result<T, E>| match telegram {
        Ok(telegram) => {
            let (meter, records) = read(telegram);
            Told { meter, said: Ok(records) }
        }
        Err(error) => Told { meter: Vec::new(), said: Err(error.to_string()) },
    };
    Found { telegrams: capture.telegrams.iter().map(told).collect(), noise: capture.noise, remarks: Vec::new() }
}

fn ident(ident: Option<&Identification>) -> Meter {
    let Some(ident) = ident else { return Vec::new() };
    vec![("manufacturer", Datum::text(&ident.manufacturer)), ("model", Datum::text(&ident.model))]
}

fn records(sets: &[DataSet], medium: Medium) -> Vec<Record> {
    let of_set = |set: &DataSet| -> Vec<Record> {
        let items = set.items.iter().flat_map(|item| item.list.iter().map(move |quantity| (&*item.raw, quantity)));
        items.map(|(raw, quantity)| record(set, raw, quantity, medium)).collect()
    };
    sets.iter().flat_map(of_set).collect()
}

fn record(set: &DataSet, raw: &str, quantity: &Quantity, medium: Medium) -> Record {
    Record {
        name: set.code.map_or_else(|| set.address.to_string(), |code| code.point_name(medium)),
        obis: Some(set.address.to_string()),
        value: Datum::from(&quantity.value),
        unit: Some(quantity.unit.as_deref().unwrap_or_default().to_owned()),
        raw: raw.to_owned(),
        problem: match quantity.quality {
            crate::reading::Quality::Good => None,
            crate::reading::Quality::Bad(reason) => Some(reason.to_string()),
        },
        ..Record::default()
    }
}
