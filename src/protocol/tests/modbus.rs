//! Modbus frames in captures: the examples of the standard, frames between noise, captured TCP connections.

use std::fs;

use serde_json::Value as Json;

use super::{Tally, captures};
use crate::protocol::modbus::dialogue::{Body, Dialogue, Direction, Table, Telegram};
use crate::protocol::modbus::frame::{Adu, Error, Rtu, Tcp};
use crate::protocol::stream::{Capture, Framing, Stream};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn serial(hex: &str) -> (Vec<Adu>, u64) {
    let Capture { telegrams, noise } = Stream::read_all(Rtu, &bytes(hex));
    (telegrams.into_iter().map(Result::unwrap).collect(), noise)
}

fn understood(adus: &[Adu]) -> Vec<Telegram> {
    let mut dialogue = Dialogue::default();
    adus.iter().map(|adu| dialogue.read(adu)).collect()
}

#[test]
fn an_answer_gets_its_address_from_the_request_before_it() {
    // Modbus Application Protocol V1.1b3, 6.3: registers 108 to 110.
    let (adus, noise) = serial("11 03 006B 0003 7687  11 03 06 022B 0000 0064 C8BA");
    let [request, answer] = <[Telegram; 2]>::try_from(understood(&adus)).unwrap();
    assert_eq!(noise, 0);
    assert_eq!((request.direction, request.body), (Direction::Request, Body::Range { address: 107, count: 3 }));
    let registers = Body::Registers(Table::HoldingRegister, Some(107), vec![555, 0, 100]);
    assert_eq!((answer.direction, answer.body), (Direction::Answer, registers));
}

#[test]
fn an_answer_without_its_request_has_no_address() {
    let (adus, _) = serial("11 03 06 022B 0000 0064 C8BA");
    assert_eq!(understood(&adus)[0].body, Body::Registers(Table::HoldingRegister, None, vec![555, 0, 100]));
}

#[test]
fn only_as_many_coils_as_were_asked_for_are_told() {
    let (adus, _) = serial("11 01 0013 0013 8E92  11 01 03 CD6B05 4012");
    let Body::Bits(Table::Coil, Some(19), coils) = &understood(&adus)[1].body else { panic!("{adus:?}") };
    assert_eq!(coils.len(), 19);
    assert_eq!(coils[..8], [true, false, true, true, false, false, true, true]);
}

#[test]
fn the_echo_of_a_write_is_an_answer_and_an_exception_is_never_a_value() {
    let (adus, _) = serial("11 06 0001 0003 9A9B  11 06 0001 0003 9A9B  11 81 02 C054");
    let told = understood(&adus);
    assert_eq!([0, 1, 2].map(|place: usize| told[place].direction), [Direction::Request, Direction::Answer, Direction::Answer]);
    assert_eq!(told[2], Telegram { direction: Direction::Answer, function: 1, body: Body::Exception(2) });
}

#[test]
fn a_damaged_frame_is_noise_and_the_next_one_is_found() {
    let (adus, noise) = serial("11 03 06 022B 0001 0064 C8BA  FF00  11 04 02 000A F8F4  11 03");
    assert_eq!((adus.len(), noise), (1, 11 + 2 + 2));
    let sum = Error::Crc { received: 0xBAC8, calculated: 0x7A99 };
    assert_eq!(Rtu::check(&bytes("11 03 06 022B 0001 0064 C8BA")), Err(sum));
}

#[test]
fn a_tcp_frame_that_the_capture_cuts_is_told_and_a_damaged_head_is_passed_over() {
    let found = Stream::read_all(Tcp, &bytes("1501 0000 0006 11 03 006B 0003  0001 1234 0006  1502 0000 0009 11 03 06"));
    assert_eq!(found.noise, 6);
    assert!(matches!(found.telegrams[..], [Ok(_), Err(Error::Truncated { received: 9, expected: 15 })]), "{found:?}");
}

#[test]
fn frames_are_found_however_the_bytes_are_cut() {
    let capture = bytes("86 110103CD6B054012 6CD222 110BFFFF0108A6E9 9379F6 110500ACFF004E8B 11");
    let whole = Stream::read_all(Rtu, &capture);
    assert_eq!(whole.telegrams.len(), 3);
    for size in 1..capture.len() {
        assert_eq!(in_pieces(Rtu, &capture, size), whole);
    }
}

fn in_pieces<F: Framing>(framing: F, capture: &[u8], size: usize) -> Capture<F::Telegram, F::Error> {
    let mut stream = Stream::new(framing);
    let mut telegrams = Vec::new();
    for chunk in capture.chunks(size) {
        stream.push(chunk);
        telegrams.extend(std::iter::from_fn(|| stream.next_telegram()));
    }
    telegrams.extend(std::iter::from_fn(|| stream.finish()));
    Capture { telegrams, noise: stream.noise() }
}

fn json(kind: &str, name: &str) -> Option<Json> {
    Some(serde_json::from_slice(&fs::read(captures(kind)?.join(name)).unwrap()).unwrap())
}

#[test]
fn every_example_of_the_standard_is_read_in_both_directions() {
    let Some(examples) = json("modbus-rtu", "spec_worked_examples.json") else { return };
    let mut tally = Tally::new("modbus-rtu");
    for case in examples["cases"].as_array().unwrap() {
        let hex = |key: &str| case[key].as_str().unwrap();
        let mut wrong = Vec::new();
        let (adus, noise) = serial(&[hex("rtu_request_unit17"), hex("rtu_response_unit17")].concat());
        let pdus: Vec<Vec<u8>> = adus.iter().map(|adu| adu.pdu.to_vec()).collect();
        let expected = ["request_pdu", "response_pdu"].map(|key| bytes(hex(key)));
        let directions: Vec<Direction> = understood(&adus).iter().map(|told| told.direction).collect();
        if (&pdus[..], noise) != (&expected[..], 0) || directions != [Direction::Request, Direction::Answer] {
            wrong.push(format!("{adus:?} {directions:?}"));
        }
        let both = ["tcp_request_unit17_tid1501", "tcp_response_unit17_tid1501"].map(|key| bytes(hex(key))).concat();
        let tcp: Vec<Vec<u8>> = Stream::read_all(Tcp, &both).telegrams.into_iter().map(|adu| adu.unwrap().pdu.to_vec()).collect();
        wrong.extend((tcp != expected).then(|| format!("TCP: {tcp:?}")));
        tally.count(hex("name"), &wrong);
    }
    tally.judge();
}

#[test]
fn known_frames_are_read_one_by_one() {
    let Some(known) = json("modbus-rtu", "known_frames.json") else { return };
    let mut tally = Tally::new("modbus-rtu known frames");
    for known in known["frames"].as_array().unwrap() {
        let hex = known["frame"].as_str().unwrap();
        assert_eq!(Rtu::check(&bytes(hex)).is_ok(), known["crc_ok"].as_bool().unwrap(), "{hex}");
        let (adus, _) = serial(hex);
        let told = understood(&adus).pop();
        let ours = told.map(|told| match told.body {
            Body::Exception(code) => (adus[0].unit, told.function, Some(u64::from(code))),
            _ => (adus[0].unit, told.function, None),
        });
        let number = |key: &str| known[key].as_u64();
        let theirs = (number("unit").unwrap(), number("function").unwrap(), number("exception"));
        let same = ours.is_some_and(|(unit, function, exception)| (unit.into(), function.into(), exception) == theirs);
        tally.count(hex, &if same { Vec::new() } else { vec![format!("{ours:?}, expected {theirs:?}")] });
    }
    tally.judge();
}

#[test]
fn every_frame_between_noise_is_among_those_found() {
    let Some(noisy) = json("modbus-rtu", "noisy_streams.json") else { return };
    let mut tally = Tally::new("modbus-rtu noisy streams");
    for (place, stream) in noisy["streams"].as_array().unwrap().iter().enumerate() {
        let (adus, _) = serial(stream["bytes"].as_str().unwrap());
        let found: Vec<Vec<u8>> = adus.iter().map(|adu| adu.pdu.to_vec()).collect();
        let pdu = |frame: &Json| {
            let frame = bytes(frame["frame"].as_str().unwrap());
            frame[1..frame.len() - 2].to_vec()
        };
        let lost = stream["frames"].as_array().unwrap().iter().filter(|frame| !found.contains(&pdu(frame)));
        tally.count(&place.to_string(), &lost.map(|frame| format!("lost {frame}")).collect::<Vec<_>>());
    }
    tally.judge();
}

#[test]
fn captured_connections_give_the_frames_that_others_see_in_them() {
    let Some(folder) = captures("modbus-tcp") else { return };
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let mut tally = Tally::new("modbus-tcp segments");
    for name in names {
        for line in fs::read_to_string(&name).unwrap().lines() {
            let segment: Json = serde_json::from_str(line).unwrap();
            let adus = segment["adus"].as_array().unwrap();
            let payload: Vec<u8> = adus.iter().flat_map(|adu| bytes(adu["adu"].as_str().unwrap())).collect();
            let found = Stream::read_all(Tcp, &payload);
            let same = found.noise == 0
                && found.telegrams.len() == adus.len()
                && found.telegrams.iter().zip(adus).all(|(ours, theirs)| tcp_fits(ours.as_ref().unwrap(), theirs));
            let wrong = if same { Vec::new() } else { vec![format!("{found:?}, expected {line}")] };
            tally.count(&name.file_stem().unwrap().to_string_lossy(), &wrong);
        }
    }
    tally.judge();
}

fn tcp_fits(ours: &Adu, theirs: &Json) -> bool {
    let number = |key: &str| theirs[key].as_u64();
    let told = Dialogue::default().read(ours);
    let exception = match told.body {
        Body::Exception(code) => Some(u64::from(code)),
        _ => None,
    };
    ours.transaction.map(u64::from) == number("tid")
        && Some(u64::from(ours.unit)) == number("unit")
        && exception == number("exception")
        && ours.pdu.len() == theirs["adu"].as_str().unwrap().len() / 2 - 7
}
