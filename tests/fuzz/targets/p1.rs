//! DSMR P1: telegrams, their sub-meters and times.
#![no_main]

mod pieces;

use districtd::protocol::p1::{CrcRule, Framing, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for crc in [CrcRule::Strict, CrcRule::WhenSent, CrcRule::Ignore] {
        let framing = Framing::new(Options { crc, ..Options::default() });
        for telegram in pieces::agree(framing, data).telegrams.into_iter().flatten() {
            let _ = (telegram.time(), telegram.meter_id(), telegram.version(), telegram.sub_meters());
        }
    }
});
