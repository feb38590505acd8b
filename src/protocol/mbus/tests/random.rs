//! No input panics, hangs or grows: mutated telegrams, random records, random streams. The seed is printed and can be given again
//! with `DISTRICTD_SEED`.

use fastrand::Rng;

use super::frame::{MAX_FRAME, Next, Wire, next};
use super::*;
use crate::reading::Quality;

/// Inputs of each kind, of which there are four with the mutated telegrams counting twice; together 250,000 unless
/// `DISTRICTD_ROUNDS` says otherwise.
fn rounds() -> usize {
    std::env::var("DISTRICTD_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(50_000)
}

/// Records that together use every kind of data and block.
const SAMPLES: [&str; 6] = [
    "2F 04 06 E7910000 0C 13 27048502 3B 3B BDEBDD 0A 5A 45F6 8C9040 06 11220000 42 6C BF1C 0F 0102",
    "0D FD11 04 74E75241 0D 13 C3563412 0D 13 E2FEFF 0D 5B F89A9999999999B93F 0D FD19 F0 000102030405060708090A0B0C0D0E0F",
    "02 FC 03 485225 74 3412 02 FC 74 03 485225 3412 01 DB 78 05 02 BB 4E BF15 01 FDC9FF01 05",
    "04 6D 32371F15 06 6D 1E32371F1500 03 6D 1E3217 05 5B 1ED82442 07 2B FFFFFFFFFFFFFF7F 1F 00",
    "C1 FFFFFFFFFFFFFFFFFF7F 2B 05 01 93 F7F7F7F7F7F7F7F7F777 05 00 13 08 13 01 FD7C 05",
    "3F 01 02 0D 13 FB 01",
];

fn rng() -> Rng {
    let given = std::env::var("DISTRICTD_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("DISTRICTD_SEED={seed}");
    Rng::with_seed(seed)
}

/// What must hold of any telegram: the records are its bytes in order, and a value that is missing says why.
fn check(ci: u8, data: &[u8]) {
    let frame = Frame::Long { control: 0x08, address: 1, ci, data };
    let key = Key([7; 16]);
    let Ok(Answer::Telegram(telegram)) = decode(&frame, Secrets { key: Some(&key), identity: None }) else { return };
    assert!(telegram.records.len() <= data.len());
    let held: usize = telegram.records.iter().map(|record| record.raw.len()).sum();
    assert!(held <= data.len(), "{held} bytes in records of {}", data.len());
    for record in &telegram.records {
        assert_eq!(record.value == Value::Missing, record.quality != Quality::Good && record.moment.is_none(), "{record:?}");
        assert!(record.quality == Quality::Good || record.problem.is_some(), "{record:?}");
        assert_eq!([record.dib(), record.vib(), record.data()].concat(), record.raw.to_vec());
        let text = if let Value::Text(text) = &record.value { text.len() } else { 0 };
        assert!(text <= 3 * data.len() + 20 && record.point_name().len() <= 500, "{record:?}");
        let _ = record.problem.map(|problem| problem.to_string());
    }
}

#[test]
fn mutated_telegrams_never_break_the_reader() {
    let mut rng = rng();
    for _ in 0..2 * rounds() {
        let mut data = bytes("72 78563412 2D2C 34 04 2A 00 0000").split_off(1);
        data.extend(bytes(SAMPLES[rng.usize(..SAMPLES.len())]));
        for _ in 0..rng.usize(1..6) {
            mutate(&mut data, &mut rng);
        }
        data.truncate(252);
        check(*rng.choice(&[0x72, 0x76, 0x78, 0x7A]).unwrap(), &data);
    }
}

fn mutate(data: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(..data.len().max(1));
    match rng.u8(..6) {
        0 => data.truncate(at),
        1 => data.insert(at.min(data.len()), rng.u8(..)),
        2 => drop((at < data.len()).then(|| data.remove(at))),
        3 => data.extend_from_within(at.min(data.len())..),
        _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(..8)),
    }
    data.truncate(400);
}

#[test]
fn random_records_never_break_the_reader() {
    let mut rng = rng();
    for _ in 0..rounds() {
        let data: Vec<u8> = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect();
        check(rng.u8(0x70..0x7C), &data);
    }
}

#[test]
fn a_whole_frame_is_found_in_any_noise() {
    let mut rng = rng();
    let frame = answer("72 78563412 2D2C 34 04 2A 00 0000 04 06 E7910000");
    for _ in 0..rounds() {
        // Bytes that frames begin and end with come often.
        let noise = |rng: &mut Rng| if rng.bool() { rng.u8(..) } else { *rng.choice(&[0x68, 0x10, 0x16, 0xE5, 0x03]).unwrap() };
        let before = rng.usize(..24);
        let mut buffer: Vec<u8> = (0..before).map(|_| noise(&mut rng)).collect();
        buffer.extend(&frame);
        buffer.extend((0..rng.usize(..24)).map(|_| noise(&mut rng)));
        assert!(contains(&buffer, &frame), "{buffer:02X?}");
    }
}

/// Whether the frame is found before the buffer is used up; each step takes at least one byte.
fn contains(buffer: &[u8], wanted: &[u8]) -> bool {
    let mut rest = buffer;
    loop {
        let (found, drop) = match next(rest, Wire::Silent) {
            Next::Frame { frame, drop, .. } => (frame.encode() == wanted, drop),
            Next::Damaged { drop, .. } => (false, drop),
            Next::NeedMore { .. } => return false,
        };
        assert!(drop > 0 && drop <= rest.len());
        rest = &rest[drop..];
        if found {
            return true;
        }
    }
}

#[test]
fn a_stream_without_end_keeps_no_more_than_a_frame() {
    let mut rng = rng();
    let mut buffer = Vec::new();
    for _ in 0..rounds() {
        buffer.push(if rng.u8(..4) == 0 { 0x68 } else { rng.u8(..) });
        loop {
            let drop = match next(&buffer, Wire::Open) {
                Next::Frame { drop, .. } | Next::Damaged { drop, .. } => drop,
                Next::NeedMore { drop, .. } => {
                    buffer.drain(..drop);
                    break;
                }
            };
            buffer.drain(..drop);
        }
        assert!(buffer.len() < MAX_FRAME, "{} bytes kept", buffer.len());
    }
}
