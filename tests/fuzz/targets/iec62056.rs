//! IEC 62056-21: read-outs with and without their frame.
#![no_main]

mod pieces;

use districtd::protocol::iec62056::{BccRule, Framing, Options, read_capture};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for bcc in [BccRule::Strict, BccRule::WhenSent, BccRule::Ignore] {
        let options = Options { bcc, keep_rows: bcc == BccRule::Ignore, ..Options::default() };
        pieces::agree(Framing::new(options), data);
        for telegram in read_capture(options, data).telegrams.into_iter().flatten() {
            for set in &telegram.sets {
                let _ = (set.code.map(|code| code.point_name(telegram.medium)), set.first().map(|first| first.value.to_string()));
            }
        }
    }
});
