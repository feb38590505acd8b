//! `districtd decode` as people and scripts call it: over telegrams written from the standards, and over captures of real meters.
//!
//! `telegrams/NAME.hex` is decoded, and `NAME.json` beside it is what must be printed, digit by digit. The captures are read in place,
//! in `vectors/` of the shared folder; where that is absent, a line says so.

mod captures;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What one call gave.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    /// The objects printed, numbers of values as text, so that no digit is lost in a double.
    fn objects(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(&with_values_as_text(line)).expect(line)).collect()
    }

    /// How many were read and how many were not.
    fn counts(&self) -> (usize, usize) {
        let objects = self.objects();
        let read = objects.iter().filter(|object| object["ok"] == true).count();
        (read, objects.len() - read)
    }
}

/// `"value":-1.50` becomes `"value":"-1.50"`.
fn with_values_as_text(line: &str) -> String {
    let mut parts = line.split("\"value\":");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number = part.find(|c: char| !matches!(c, '0'..='9' | '-' | '.')).unwrap_or(0);
        let (number, rest) = part.split_at(number);
        text += "\"value\":";
        let quote = if number.is_empty() { "" } else { "\"" };
        text += &[quote, number, quote, rest].concat();
    }
    text
}

fn decode(arguments: &[&str], input: &[u8]) -> Told {
    let mut child = Command::new(env!("CARGO_BIN_EXE_districtd"))
        .arg("decode")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A call that fails early does not read its input.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn telegram(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/telegrams").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(telegram(name)).unwrap()
}

/// The bytes that a file of ours spells.
fn bytes(name: &str) -> Vec<u8> {
    let digits: String = read(name).lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
    unhex(&digits)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A key in a file that is gone with the handle.
fn key_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Protocol, name, and how many bytes of noise are in it.
const TELEGRAMS: [(&str, &str, u64); 6] = [
    ("mbus", "mbus", 7),
    ("sml", "sml", 4),
    ("iec62056", "iec62056", 17),
    ("p1", "p1", 12),
    ("modbus-rtu", "modbus_rtu", 3),
    ("modbus-tcp", "modbus_tcp", 4),
];

#[test]
fn every_telegram_says_what_its_standard_says_and_noise_is_counted() {
    for (protocol, name, noise) in TELEGRAMS {
        let told = decode(&["--protocol", protocol, "--json", telegram(&format!("{name}.hex")).to_str().unwrap()], b"");
        assert_eq!(told.out, read(&format!("{name}.json")), "{name}");
        assert!(told.err.contains(&format!("noise: {noise} bytes belong to no telegram")), "{name}: {}", told.err);
        assert_eq!(told.code, Some(0), "{name}");
    }
}

#[test]
fn binary_and_hex_and_standard_input_say_the_same() {
    for (protocol, name, _) in TELEGRAMS {
        let binary = bytes(&format!("{name}.hex"));
        for (arguments, input) in
            [(vec![], &binary[..]), (vec!["-"], &binary[..]), (vec!["-"], read(&format!("{name}.hex")).as_bytes())]
        {
            let told = decode(&[&["--protocol", protocol, "--json"], &arguments[..]].concat(), input);
            assert_eq!(told.out, read(&format!("{name}.json")), "{name}");
        }
    }
}

#[test]
fn noise_before_between_and_behind_changes_no_telegram() {
    // Bytes that begin nothing in any of these protocols.
    let noise = [0x55_u8, 0x2A, 0x0D, 0x0A];
    for (protocol, name, _) in TELEGRAMS.into_iter().filter(|(protocol, ..)| !protocol.starts_with("modbus")) {
        let once = bytes(&format!("{name}.hex"));
        let thrice = [&noise[..], &once, &noise, &once, &noise, &once, &noise].concat();
        let told = decode(&["--protocol", protocol, "--json"], &thrice);
        let read_lines =
            |text: &str| text.lines().filter(|line| line.starts_with(r#"{"ok":true"#)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(read_lines(&told.out), read_lines(&read(&format!("{name}.json")).repeat(3)), "{name}");
    }
}

#[test]
fn the_table_is_for_people() {
    let told = decode(&["--protocol", "mbus", telegram("mbus.hex").to_str().unwrap()], b"");
    assert_eq!((told.out, told.code), (read("mbus.table"), Some(0)));
}

#[test]
fn a_meters_text_does_not_reach_the_terminal_as_a_command() {
    let told = decode(&["--protocol", "iec62056"], b"/ABC5X\r\n96.1.0(\x1b[2Jgone)\r\n!\r\n");
    assert!(told.out.contains("gone") && !told.out.contains('\x1b'), "{:?}", told.out);
}

#[test]
fn kermit_check_sums_are_read_only_on_request_and_the_request_is_suggested() {
    let file = telegram("sml_kermit.hex");
    let with = decode(&["--protocol", "sml", "--kermit", "--json", file.to_str().unwrap()], b"");
    assert_eq!((with.out, with.code), (read("sml_kermit.json"), Some(0)));
    let without = decode(&["--protocol", "sml", "--json", file.to_str().unwrap()], b"");
    assert_eq!((without.counts(), without.code), ((0, 1), Some(1)));
    assert!(without.err.contains("--kermit"), "{}", without.err);
}

const KEY: &str = "0102030405060708090A0B0C0D0E0F11";

#[test]
fn an_enciphered_telegram_is_read_with_its_key_alone_and_no_key_is_ever_printed() {
    let file = telegram("mbus_enciphered.hex");
    let with = |key: &str| {
        let key_file = key_file(key);
        let told =
            decode(&["--protocol", "mbus", "--json", "--key-file", key_file.path().to_str().unwrap(), file.to_str().unwrap()], b"");
        assert!(!told.out.to_uppercase().contains(key.trim()) && !told.err.to_uppercase().contains(key.trim()));
        told
    };
    assert_eq!(with(&format!("{KEY}\n")).out, read("mbus_enciphered.json"));
    let wrong = with("FF02030405060708090A0B0C0D0E0F11");
    assert!(wrong.out.contains("the key does not fit"), "{}", wrong.out);
    assert_eq!((wrong.counts(), wrong.code), ((0, 1), Some(1)));
    let short = with("0102030405");
    assert!(short.err.contains("does not hold a key, expected 32 hex digits"), "{}", short.err);
    assert_eq!((short.out, short.code), (String::new(), Some(1)));
}

#[test]
fn without_a_key_an_enciphered_telegram_says_that_it_needs_one() {
    let told = decode(&["--protocol", "mbus", "--json", telegram("mbus_enciphered.hex").to_str().unwrap()], b"");
    assert!(told.out.contains("enciphered") && told.out.contains("no key"), "{}", told.out);
    assert_eq!(told.code, Some(1));
}

#[test]
fn where_there_is_nothing_to_read_that_is_said() {
    for (protocol, ..) in TELEGRAMS {
        for (input, error) in [
            (&b""[..], "no bytes, expected a telegram"),
            (b"# a comment\n", "no bytes, expected a telegram"),
            (b"\x55\xAA", "no telegram in 2 bytes"),
        ] {
            let told = decode(&["--protocol", protocol, "--json"], input);
            assert_eq!(told.out, format!("{{\"ok\":false,\"error\":\"{error}\"}}\n"), "{protocol}");
            assert_eq!(told.code, Some(1));
        }
    }
}

#[test]
fn trouble_with_files_and_words_is_told_clearly() {
    let missing = decode(&["--protocol", "mbus", "/nonexistent/capture.bin"], b"");
    assert_eq!(missing.err, "cannot open /nonexistent/capture.bin: No such file or directory (os error 2)\n");
    assert_eq!((missing.out, missing.code), (String::new(), Some(1)));
    let no_key = decode(&["--protocol", "mbus", "--key-file", "/nonexistent/key"], b"");
    assert_eq!(no_key.err, "cannot open key file /nonexistent/key: No such file or directory (os error 2)\n");
    let half = decode(&["--protocol", "mbus"], b"68 03\n68 3\n");
    assert_eq!(half.err, "line 2: \"3\" is not made of pairs of hex digits\n");
    let unknown = decode(&["--protocol", "dlms"], b"");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("mbus, sml, iec62056, p1, modbus-rtu, modbus-tcp"), "{}", unknown.err);
}

#[test]
fn a_damaged_mbus_frame_is_told_once_and_what_only_looks_like_a_beginning_is_noise() {
    // 68 L L 68 within a damaged frame, and lengths that differ.
    let told = decode(&["--protocol", "mbus", "--json"], b"68 0A 0A 68 08 05 78 68 03 03 68 2F 2F 2F 00 16  E5  68 11 12 68 00");
    assert_eq!(told.out.lines().collect::<Vec<_>>(), [r#"{"ok":false,"error":"sum 00, expected E8"}"#], "{}", told.err);
    let alone = decode(&["--protocol", "mbus", "--json"], b"68 11 12 68 00");
    assert_eq!(alone.out, "{\"ok\":false,\"error\":\"lengths 17 and 18, expected the same twice\"}\n");
}

#[test]
fn a_single_modbus_frame_with_a_wrong_check_sum_says_so() {
    let told = decode(&["--protocol", "modbus-rtu", "--json"], b"11 03 00 6B 00 03 76 88");
    assert!(told.out.contains("check sum is 8876, expected 8776"), "{}", told.out);
    assert_eq!(told.code, Some(1));
}
