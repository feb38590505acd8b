//! SML: both check sums, with and without those of the messages, and every quirk; the bytes also as the data of a good frame.
#![no_main]

mod pieces;

use districtd::protocol::checksum::crc16_x25;
use districtd::protocol::sml::{CrcKind, Framing, Options, Quirks};
use libfuzzer_sys::fuzz_target;

/// A frame around the data: escaped, filled up, with its check sum.
fn framed(data: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1];
    for part in data.chunks(4) {
        frame.extend(part);
        if part == [0x1B; 4] {
            frame.extend([0x1B; 4]);
        }
    }
    let fill = (4 - data.len() % 4) % 4;
    frame.extend(std::iter::repeat_n(0, fill));
    frame.extend([0x1B, 0x1B, 0x1B, 0x1B, 0x1A, u8::try_from(fill).unwrap_or_default()]);
    frame.extend(crc16_x25(&frame).to_le_bytes());
    frame
}

fuzz_target!(|data: &[u8]| {
    for crc in [CrcKind::X25, CrcKind::Kermit] {
        pieces::agree(Framing::new(Options { crc, message_crc: true, ..Options::default() }), data);
    }
    let mut input = vec![u8::MAX];
    input.extend(framed(data));
    for mut telegram in pieces::agree(Framing::default(), &input).telegrams.into_iter().flatten() {
        let _ = Quirks::suggested(&telegram);
        Quirks { short_unsigned: true, sign_from_status: true }.apply(&mut telegram);
        for entry in telegram.lists.iter().flat_map(|list| &list.entries) {
            let _ = (entry.value.to_string(), entry.unit_name());
        }
    }
});
