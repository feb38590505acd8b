//! Frames in a stream of bytes: noise, pieces, pairs, damage.

use super::frame::{FrameError, MAX_FRAME, Next, Wire, next};
use super::*;

/// Values of a water meter: a long frame with 0x16, 0x68 and 0xE5 among its data.
const TELEGRAM: &str = "68 15 15 68 08 01 72 78563412 2423 16 07 68 E5 0000 0C 13 27048502 11 16";

fn whole() -> Vec<u8> {
    let frame = bytes(TELEGRAM);
    assert_eq!(Frame::decode(&frame).map(|_| ()), Ok(()));
    frame
}

/// Everything found in a buffer to which no more will come: frames as sent, and the bytes that belong to none.
pub(super) fn drained(buffer: &[u8]) -> (Vec<Vec<u8>>, usize) {
    let (mut rest, mut frames, mut noise) = (buffer, Vec::new(), 0);
    loop {
        match next(rest, Wire::Silent) {
            Next::Frame { frame, noise: before, drop } => {
                frames.push(frame.encode());
                noise += before;
                rest = &rest[drop..];
            }
            Next::Damaged { drop, .. } => {
                assert!(drop > 0);
                noise += drop;
                rest = &rest[drop..];
            }
            Next::NeedMore { drop, .. } => return (frames, noise + drop),
        }
    }
}

#[test]
fn each_kind_of_frame_is_read_as_it_was_written() {
    let frames = [
        (Frame::Ack, "E5"),
        (Frame::Short { control: 0x7B, address: 1 }, "10 7B 01 7C 16"),
        (Frame::Long { control: 0x53, address: 1, ci: 0xBB, data: &[] }, "68 03 03 68 53 01 BB 0F 16"),
        (Frame::Long { control: 0x08, address: 2, ci: 0x78, data: &[0x2F] }, "68 04 04 68 08 02 78 2F B1 16"),
    ];
    for (frame, hex) in frames {
        assert_eq!(frame.encode(), bytes(hex));
        assert_eq!(Frame::decode(&bytes(hex)), Ok(frame));
    }
}

#[test]
fn a_frame_that_is_wrong_says_what_came_and_what_was_expected() {
    let cases = [
        ("", FrameError::Empty, "no bytes, expected a frame"),
        ("42", FrameError::Start { received: 0x42 }, "first byte 42, expected 68, 10 or E5"),
        ("10 7B 01 7D 16", FrameError::Sum { received: 0x7D, expected: 0x7C }, "sum 7D, expected 7C"),
        ("10 7B 01 7C 17", FrameError::Stop { received: 0x17 }, "last byte 17, expected 16"),
        ("10 7B 01", FrameError::Truncated { received: 3, expected: 5 }, "3 bytes, expected 5"),
        ("68 04 05 68", FrameError::Lengths { first: 4, second: 5 }, "lengths 4 and 5, expected the same twice"),
        ("68 02 02 68", FrameError::LengthTooSmall { received: 2 }, "length 2, expected 3 to 255"),
        ("68 03 03 86", FrameError::SecondStart { received: 0x86 }, "byte 86 behind the lengths, expected 68"),
        ("68 03 03 68 53 01", FrameError::Truncated { received: 6, expected: 9 }, "6 bytes, expected 9"),
        ("E5 E5", FrameError::Trailing { extra: 1 }, "1 bytes behind the frame, expected none"),
    ];
    for (hex, error, words) in cases {
        assert_eq!(Frame::decode(&bytes(hex)), Err(error), "{hex}");
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_there_with_its_last_byte_and_not_before() {
    let frame = whole();
    for length in 0..frame.len() {
        let Next::NeedMore { drop: 0, missing } = next(&frame[..length], Wire::Open) else { panic!("at {length}") };
        assert!(missing >= 1 && length + missing <= frame.len(), "at {length}: {missing} missing");
    }
    assert!(matches!(next(&frame, Wire::Open), Next::Frame { noise: 0, drop, .. } if drop == frame.len()));
}

#[test]
fn noise_before_a_frame_is_dropped_and_counted() {
    for noise in
        ["00", "FF 00", "68", "68 68", "10", "16 16", "68 15 16 68", "E6 68 15 15", "10 7B 01", "68 FF FF 68 08", "42 E5 42"]
    {
        let mut buffer = bytes(noise);
        let length = buffer.len();
        buffer.extend(whole());
        assert_eq!(drained(&buffer), (vec![whole()], length), "{noise}");
    }
}

#[test]
fn two_frames_back_to_back_are_both_found() {
    let mut buffer = whole();
    buffer.extend(whole());
    assert_eq!(drained(&buffer), (vec![whole(), whole()], 0));
}

#[test]
fn a_listener_that_starts_amid_a_frame_finds_the_next_one() {
    for start in 1..whole().len() {
        let mut buffer = whole()[start..].to_vec();
        buffer.extend(whole());
        assert!(drained(&buffer).0.ends_with(&[whole()]), "from {start}");
    }
}

#[test]
fn a_damaged_frame_is_told_and_does_not_hide_the_next_one() {
    let mut damaged = whole();
    damaged[20] ^= 0x04;
    damaged.extend(whole());
    assert!(matches!(next(&damaged, Wire::Open), Next::Damaged { error: FrameError::Sum { .. }, .. }));
    assert_eq!(drained(&damaged).0, vec![whole()]);
}

#[test]
fn a_frame_cut_short_waits_while_the_wire_is_open_and_hides_nothing_once_it_is_silent() {
    let mut buffer = bytes("68 F0 F0 68 08 01 72");
    buffer.extend(whole());
    assert!(matches!(next(&buffer, Wire::Open), Next::NeedMore { drop: 0, .. }));
    assert_eq!(drained(&buffer), (vec![whole()], 7));
}

#[test]
fn a_single_character_counts_behind_a_turned_line_and_not_inside_of_noise() {
    assert!(matches!(next(&bytes("00 E5"), Wire::Open), Next::Frame { frame: Frame::Ack, noise: 1, drop: 2 }));
    assert_eq!(drained(&bytes("68 04 04 68 E5 E5 E5 00 16")).0, Vec::<Vec<u8>>::new());
    assert_eq!(drained(&bytes("68 E5 E5 68 01 02 16")).0, Vec::<Vec<u8>>::new());
    assert_eq!(drained(&bytes("42 E5")).0, Vec::<Vec<u8>>::new());
}

#[test]
fn the_largest_frame_fits_and_more_is_not_sent() {
    let data = [0xA5; 300];
    let frame = Frame::Long { control: 8, address: 1, ci: 0x78, data: &data }.encode();
    assert_eq!(frame.len(), MAX_FRAME);
    assert!(matches!(Frame::decode(&frame), Ok(Frame::Long { data, .. }) if data.len() == 252));
}
