//! Hostile bytes for every codec: no panic, no hang, no growth, and nothing lost that came whole.
//!
//! `DISTRICTD_ROUNDS` sets the number of inputs, `DISTRICTD_SEED` repeats a run.

use std::fmt::Debug;
use std::time::Duration;

use fastrand::Rng;

use crate::clock;
use crate::protocol::checksum::crc16_modbus;
use crate::protocol::modbus::frame::{Rtu, Tcp};
use crate::protocol::stream::{Capture, Framing, Stream};
use crate::protocol::{iec62056, p1, sml};

const ROUNDS: u64 = 200_000;
/// A slow machine does fewer rounds, and says so.
const LONGEST: Duration = Duration::from_secs(60);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn rng(what: &str) -> Rng {
    let seed = number("DISTRICTD_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{what}: DISTRICTD_SEED={seed}");
    Rng::with_seed(seed)
}

fn noise(rng: &mut Rng, longest: usize) -> Vec<u8> {
    let len = rng.usize(..longest);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

/// Changes bytes as lines, adapters and adversaries do: bits, losses, repetitions, foreign bytes, cuts.
fn mutate(rng: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    if rng.u8(..10) == 0 {
        return noise(rng, 200);
    }
    let mut bytes = rng.choice(samples).cloned().unwrap();
    for _ in 0..rng.usize(1..8) {
        let place = rng.usize(..=bytes.len());
        let span = rng.usize(..=(bytes.len() - place).min(16));
        match rng.u8(..6) {
            0 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 1 << rng.u8(..8)),
            1 => drop(bytes.drain(place..place + span)),
            2 => bytes.iter_mut().skip(place).take(1).for_each(|byte| *byte = rng.u8(..)),
            3 => drop(bytes.splice(place..place, noise(rng, 5))),
            4 => bytes.extend_from_within(place..place + span),
            _ => bytes.truncate(bytes.len().max(40) - 1),
        }
    }
    bytes
}

fn collect<F: Framing>(stream: &mut Stream<F>, chunks: &[&[u8]]) -> Vec<Result<F::Telegram, F::Error>> {
    let mut found = Vec::new();
    for chunk in chunks {
        stream.push(chunk);
        found.extend(std::iter::from_fn(|| stream.next_telegram()));
    }
    found
}

fn cut<'a>(rng: &mut Rng, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        let (chunk, rest) = bytes.split_at(rng.usize(1..=bytes.len().min(48)));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks
}

/// Each input goes into one stream that lives on, and into a fresh one both whole and in pieces, which must agree.
fn survives<F>(name: &str, framing: F, samples: &[Vec<u8>])
where
    F: Framing<Telegram: PartialEq + Debug, Error: PartialEq + Debug> + Copy,
{
    let mut rng = rng(name);
    let rounds = number("DISTRICTD_ROUNDS").unwrap_or(ROUNDS);
    let begun = clock::monotonic();
    let mut lives_on = Stream::new(framing);
    let mut done = 0;
    while done < rounds && (done % 256 != 0 || begun.elapsed() < LONGEST || rounds > ROUNDS) {
        let input = mutate(&mut rng, samples);
        collect(&mut lives_on, &[&input]);
        assert!(lives_on.pending().len() < framing.longest(), "{} bytes held", lives_on.pending().len());
        if done % 16 == 0 {
            let whole = Stream::read_all(framing, &input);
            let mut stream = Stream::new(framing);
            let mut pieces = collect(&mut stream, &cut(&mut rng, &input));
            pieces.extend(std::iter::from_fn(|| stream.finish()));
            assert_eq!(Capture { telegrams: pieces, noise: stream.noise() }, whole, "{input:02x?}");
            assert!(stream.pending().is_empty());
        }
        done += 1;
    }
    println!("{name}: {done} inputs in {:?}", begun.elapsed());
}

/// Noise, whole telegrams, telegrams that were cut at either end, in any order and in any pieces: every whole one is found.
fn loses_nothing<F>(name: &str, framing: F, samples: &[Vec<u8>])
where
    F: Framing<Telegram: PartialEq + Debug, Error: PartialEq + Debug> + Copy,
{
    let mut rng = rng(name);
    for _ in 0..number("DISTRICTD_ROUNDS").unwrap_or(5_000) {
        let (mut bytes, mut sent) = (Vec::new(), Vec::new());
        for _ in 0..rng.usize(1..6) {
            let sample = rng.choice(samples).unwrap();
            match rng.u8(..6) {
                0 => bytes.extend(noise(&mut rng, 40)),
                1 => bytes.extend(&sample[rng.usize(1..sample.len())..]),
                2 => bytes.extend(&sample[..rng.usize(1..sample.len())]),
                _ => {
                    bytes.extend(sample);
                    sent.extend(Stream::read_all(framing, sample).telegrams);
                }
            }
        }
        let mut stream = Stream::new(framing);
        let mut found = collect(&mut stream, &cut(&mut rng, &bytes));
        found.extend(std::iter::from_fn(|| stream.finish()));
        let mut left = found.iter();
        for telegram in &sent {
            assert!(telegram.is_ok());
            assert!(
                left.any(|found| found == telegram),
                "lost {telegram:?}\nof {found:?}\nin {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

/// Nothing but beginnings, byte by byte, far beyond the longest telegram.
fn stays_small<F: Framing + Copy>(framing: F, beginning: &[u8]) {
    let mut stream = Stream::new(framing);
    for byte in beginning.iter().cycle().take(4 * framing.longest()) {
        collect(&mut stream, &[std::slice::from_ref(byte)]);
        assert!(stream.pending().len() <= framing.longest());
    }
}

fn samples(texts: &[&[u8]]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.to_vec()).collect()
}

fn read_outs() -> Vec<Vec<u8>> {
    samples(&[iec62056::tests::MODE_C, iec62056::tests::HEAT, iec62056::tests::MODE_D, iec62056::tests::BCC_IS_STX])
}

fn p1_telegrams() -> Vec<Vec<u8>> {
    samples(&[p1::tests::V5, p1::tests::V3, p1::tests::SHORT_CRC])
}

fn sml_telegrams() -> Vec<Vec<u8>> {
    [sml::tests::FULL, sml::tests::ESCAPED, sml::tests::START_AS_DATA, sml::tests::FILL_4]
        .into_iter()
        .map(sml::tests::bytes)
        .collect()
}

/// Unit id and PDU.
fn modbus_frames() -> Vec<Vec<u8>> {
    let pdus = ["03006B0003", "0306022B00000064", "8302", "2B0E01010000010003414243", "100001000204000A0102", "11"];
    pdus.iter().map(|pdu| sml::tests::bytes(&format!("11{pdu}"))).collect()
}

#[test]
fn no_bytes_make_modbus_panic_hang_or_grow() {
    let mut serial = modbus_frames();
    for frame in &mut serial {
        frame.extend(crc16_modbus(frame).to_le_bytes());
    }
    survives("modbus-rtu", Rtu, &serial);
    let with_head = |frame: Vec<u8>| [&[0x15, 0x01, 0, 0, 0, u8::try_from(frame.len()).unwrap()][..], &frame].concat();
    survives("modbus-tcp", Tcp, &modbus_frames().into_iter().map(with_head).collect::<Vec<_>>());
}

#[test]
fn no_bytes_make_a_read_out_panic_hang_or_grow() {
    survives("iec62056", iec62056::Framing::default(), &read_outs());
}

#[test]
fn no_bytes_make_p1_panic_hang_or_grow() {
    survives("p1", p1::Framing::default(), &p1_telegrams());
}

#[test]
fn no_bytes_make_sml_panic_hang_or_grow() {
    survives("sml", sml::Framing::default(), &sml_telegrams());
}

#[test]
fn no_read_out_that_came_whole_is_lost() {
    loses_nothing("iec62056", iec62056::Framing::default(), &read_outs());
}

#[test]
fn no_p1_telegram_that_came_whole_is_lost() {
    loses_nothing("p1", p1::Framing::default(), &p1_telegrams());
}

#[test]
fn no_sml_telegram_that_came_whole_is_lost() {
    loses_nothing("sml", sml::Framing::default(), &sml_telegrams());
}

#[test]
fn beginnings_without_an_end_are_given_up() {
    for beginning in [&b"/"[..], b"/abc", b"/abc5x\r\n", b"\x02", b"\x02(", b"!", b"\x02!\r\n", b"/abc5x\r\n("] {
        stays_small(iec62056::Framing::default(), beginning);
        stays_small(p1::Framing::default(), beginning);
    }
    for beginning in [&[0x1B][..], &[0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1], &[0x1B, 0x1B, 0x1B, 0x1B, 0x1A, 0, 0, 0]] {
        stays_small(sml::Framing::default(), beginning);
        let mut begun = vec![0x1B, 0x1B, 0x1B, 0x1B, 1, 1, 1, 1];
        begun.extend(beginning.repeat(2048));
        stays_small(sml::Framing::default(), &begun);
    }
}
