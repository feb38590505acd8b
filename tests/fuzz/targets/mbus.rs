//! M-Bus: frames in any bytes, and the bytes as the data of an answer, so that the fuzzer need not find lengths and sums.
#![no_main]

use districtd::protocol::mbus::frame::{Frame, Next, Wire, next};
use districtd::protocol::mbus::{Answer, Key, Secrets, decode};
use libfuzzer_sys::fuzz_target;

const KEY: Key = Key([0x2F; 16]);

fn read(frame: &Frame) {
    for key in [None, Some(&KEY)] {
        if let Ok(Answer::Telegram(telegram)) = decode(frame, Secrets { key, identity: None }) {
            for record in &telegram.records {
                assert_eq!([record.dib(), record.vib(), record.data()].concat().len(), record.raw.len());
                let _ = (record.point_name(), record.value.to_string(), record.problem.map(|problem| problem.to_string()));
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    loop {
        let drop = match next(rest, Wire::Silent) {
            Next::Frame { frame, drop, .. } => {
                assert_eq!(Frame::decode(&frame.encode()), Ok(frame));
                read(&frame);
                drop
            }
            Next::Damaged { drop, .. } => drop,
            Next::NeedMore { .. } => break,
        };
        assert!((1..=rest.len()).contains(&drop));
        rest = &rest[drop..];
    }
    if let [ci, data @ ..] = data {
        read(&Frame::Long { control: 0x08, address: 1, ci: *ci, data: &data[..data.len().min(252)] });
    }
});
