//! Modbus: frames of serial lines and of TCP, and what they mean one after the other.
#![no_main]

mod pieces;

use districtd::protocol::modbus::dialogue::Dialogue;
use districtd::protocol::modbus::frame::{Adu, Rtu, Tcp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut dialogue = Dialogue::default();
    for adu in pieces::agree(Rtu, data).telegrams.into_iter().chain(pieces::agree(Tcp, data).telegrams).flatten() {
        let _ = dialogue.read(&adu);
    }
    // Pieces of the input as PDUs, so that the fuzzer need not find check sums.
    for pdu in data.split(|byte| *byte == b'|') {
        let _ = dialogue.read(&Adu { transaction: None, unit: 1, pdu: pdu.into() });
    }
});
