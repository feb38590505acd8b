use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

const ORDERS: [ByteOrder; 4] = [ByteOrder::Abcd, ByteOrder::Cdab, ByteOrder::Badc, ByteOrder::Dcba];

fn layout(encoding: Encoding, order: ByteOrder) -> Layout {
    Layout { encoding, order, bits: None }
}

fn standard(encoding: Encoding) -> Layout {
    layout(encoding, ByteOrder::Abcd)
}

/// The registers of a PDU `fc, byte count, data`, given in hex.
fn registers(pdu: &str) -> Vec<u16> {
    let bytes: Vec<u8> = (0..pdu.len()).step_by(2).map(|at| u8::from_str_radix(&pdu[at..at + 2], 16).unwrap()).collect();
    assert_eq!(usize::from(bytes[1]), bytes.len() - 2, "byte count of {pdu}");
    bytes[2..].chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Puts bytes that stand in the order of the standard onto the wire. Written from the names: where do the bytes of ABCD stand?
fn on_the_wire(bytes: &[u8], order: ByteOrder) -> Vec<u16> {
    let mut pairs: Vec<[u8; 2]> = bytes.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
    match order {
        ByteOrder::Abcd => {}
        ByteOrder::Cdab => pairs.reverse(),
        ByteOrder::Badc => pairs.iter_mut().for_each(|pair| pair.reverse()),
        ByteOrder::Dcba => {
            let mut all = bytes.to_vec();
            all.reverse();
            pairs = all.chunks(2).map(|pair| [pair[0], pair[1]]).collect();
        }
    }
    pairs.into_iter().map(u16::from_be_bytes).collect()
}

#[test]
fn the_worked_examples_of_the_standard_decode_to_what_it_says() {
    // Modbus Application Protocol V1.1b3, 6.3: registers 108 to 110 hold 555, 0 and 100; 6.4: input register 9 holds 10.
    let examples = [("0306022b00000064", vec![555, 0, 100]), ("0402000a", vec![10])];
    for (response, expected) in examples {
        let values = registers(response).into_iter().map(|word| decode(standard(Encoding::U16), &[word]).unwrap());
        assert_eq!(values.collect::<Vec<_>>(), expected.into_iter().map(Raw::UInt).collect::<Vec<_>>(), "<< {response}");
    }
}

#[test]
fn an_sdm630_says_230_2_volts() {
    // >> 04 0000 0002   << 04 04 43663334; the maker's document rounds, the nearest single to 230.2 is one step lower.
    let read = decode(standard(Encoding::F32), &registers("040443663334"));
    assert_eq!(read, Ok(Raw::F32(f32::from_bits(0x4366_3334))));
    assert!(matches!(read, Ok(Raw::F32(volts)) if (volts - 230.2).abs() < 0.0001));
}

#[test]
fn every_encoding_reads_what_its_registers_hold() {
    let table = [
        (Encoding::Bool, vec![0x0000], Raw::Bool(false)),
        (Encoding::Bool, vec![0xFF00], Raw::Bool(true)),
        (Encoding::U16, vec![0xFFFF], Raw::UInt(65535)),
        (Encoding::I16, vec![0xFFFF], Raw::Int(-1)),
        (Encoding::I16, vec![0x8000], Raw::Int(-32768)),
        (Encoding::U32, vec![0x0001, 0x0002], Raw::UInt(65538)),
        (Encoding::I32, vec![0xFFFF, 0xFFFE], Raw::Int(-2)),
        (Encoding::U64, vec![0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], Raw::UInt(u64::MAX)),
        (Encoding::I64, vec![0x8000, 0, 0, 0], Raw::Int(i64::MIN)),
        (Encoding::F32, vec![0xC2F6, 0xE979], Raw::F32(-123.456)),
        (Encoding::F64, vec![0x400C, 0, 0, 0], Raw::F64(3.5)),
        (Encoding::Bcd16, vec![0x1234], Raw::Digits(1234)),
        (Encoding::Bcd32, vec![0x9876, 0x5432], Raw::Digits(98_765_432)),
        (Encoding::Text { bytes: 6 }, vec![0x534F, 0x434F, 0x2020], Raw::Text("SOCO".into())),
    ];
    for (encoding, words, expected) in table {
        assert_eq!(decode(standard(encoding), &words), Ok(expected), "{encoding:?} {words:04x?}");
    }
}

#[test]
fn the_orders_say_where_the_bytes_of_abcd_stand() {
    // 0x0A0B0C0D on the wire: ABCD 0A 0B 0C 0D, CDAB 0C 0D 0A 0B, BADC 0B 0A 0D 0C, DCBA 0D 0C 0B 0A.
    let wire = [[0x0A0B, 0x0C0D], [0x0C0D, 0x0A0B], [0x0B0A, 0x0D0C], [0x0D0C, 0x0B0A]];
    for (order, words) in ORDERS.into_iter().zip(wire) {
        assert_eq!(decode(layout(Encoding::U32, order), &words), Ok(Raw::UInt(0x0A0B_0C0D)), "{order:?}");
    }
}

#[test]
fn eight_bytes_follow_the_same_rule_as_four() {
    let wire = [
        [0x0102, 0x0304, 0x0506, 0x0708],
        [0x0708, 0x0506, 0x0304, 0x0102],
        [0x0201, 0x0403, 0x0605, 0x0807],
        [0x0807, 0x0605, 0x0403, 0x0201],
    ];
    for (order, words) in ORDERS.into_iter().zip(wire) {
        assert_eq!(decode(layout(Encoding::U64, order), &words), Ok(Raw::UInt(0x0102_0304_0506_0708)), "{order:?}");
    }
}

#[test]
fn a_single_register_knows_only_the_order_of_its_two_bytes() {
    for (order, word) in ORDERS.into_iter().zip([0x0102, 0x0102, 0x0201, 0x0201]) {
        assert_eq!(decode(layout(Encoding::U16, order), &[word]), Ok(Raw::UInt(0x0102)), "{order:?}");
    }
}

#[test]
fn digits_above_nine_are_no_number() {
    assert_eq!(decode(standard(Encoding::Bcd16), &[0x12A4]), Err(Unreadable::Digits(0x12A4)));
    assert_eq!(decode(standard(Encoding::Bcd32), &[0xFFFF, 0xFFFF]), Err(Unreadable::Digits(0xFFFF_FFFF)));
}

#[test]
fn a_bit_field_is_cut_out_of_the_whole_number() {
    let field = |encoding, first, last| Layout { encoding, order: ByteOrder::Abcd, bits: Some((first, last)) };
    assert_eq!(decode(field(Encoding::U16, 3, 7), &[0b1010_1000]), Ok(Raw::UInt(0b10101)));
    assert_eq!(decode(field(Encoding::U16, 8, 15), &[0xAB12]), Ok(Raw::UInt(0xAB)));
    assert_eq!(decode(field(Encoding::U32, 31, 31), &[0x8000, 0]), Ok(Raw::UInt(1)));
    assert_eq!(decode(field(Encoding::U64, 0, 63), &[0xFFFF; 4]), Ok(Raw::UInt(u64::MAX)));
    assert_eq!(decode(field(Encoding::Bool, 4, 4), &[0x0010]), Ok(Raw::Bool(true)));
    assert_eq!(decode(field(Encoding::Bool, 4, 4), &[0xFFEF]), Ok(Raw::Bool(false)));
}

#[test]
fn text_ends_at_the_first_nul_and_loses_trailing_blanks() {
    let read = |bytes, order, words: &[u16]| decode(layout(Encoding::Text { bytes }, order), words);
    assert_eq!(read(6, ByteOrder::Abcd, &[0x4142, 0x4300, 0x5858]), Ok(Raw::Text("ABC".into())), "what follows a NUL is rubbish");
    assert_eq!(read(5, ByteOrder::Abcd, &[0x2041, 0x4220, 0x2058]), Ok(Raw::Text(" AB".into())), "the sixth byte is not ours");
    assert_eq!(read(4, ByteOrder::Badc, &[0x4241, 0x4443]), Ok(Raw::Text("ABCD".into())));
    assert_eq!(read(4, ByteOrder::Dcba, &[0x4241, 0x4443]), Ok(Raw::Text("ABCD".into())), "registers of text keep their order");
    assert_eq!(read(4, ByteOrder::Abcd, &[0, 0]), Ok(Raw::Text("".into())));
    assert_eq!(read(4, ByteOrder::Abcd, &[0xC39C, 0xC2B0]), Ok(Raw::Text("Ü°".into())));
    assert_eq!(read(4, ByteOrder::Abcd, &[0xFFFF, 0xFFFF]), Err(Unreadable::Text));
}

#[test]
fn another_number_of_registers_is_named_beside_the_expected_one() {
    let error = decode(standard(Encoding::F64), &[1, 2, 3]);
    assert_eq!(error, Err(Unreadable::Width { received: 3, expected: 4 }));
    assert_eq!(error.unwrap_err().to_string(), "3 registers, expected 4");
    assert_eq!(decode(standard(Encoding::Text { bytes: 3 }), &[1, 2, 3]), Err(Unreadable::Width { received: 3, expected: 2 }));
}

fn order() -> impl Strategy<Value = ByteOrder> {
    prop::sample::select(ORDERS.to_vec())
}

proptest! {
    #[test]
    fn what_was_encoded_in_any_order_decodes_to_itself(value: u64, order in order()) {
        let bytes = value.to_be_bytes();
        let (low2, low4) = (on_the_wire(&bytes[6..], order), on_the_wire(&bytes[4..], order));
        let all = on_the_wire(&bytes, order);
        let read = |encoding, words: &[u16]| decode(layout(encoding, order), words).unwrap();
        prop_assert_eq!(read(Encoding::U16, &low2), Raw::UInt(value & 0xFFFF));
        prop_assert_eq!(read(Encoding::I16, &low2), Raw::Int(i16::from_be_bytes([bytes[6], bytes[7]]).into()));
        prop_assert_eq!(read(Encoding::U32, &low4), Raw::UInt(value & 0xFFFF_FFFF));
        prop_assert_eq!(read(Encoding::I32, &low4), Raw::Int(i32::from_be_bytes(bytes[4..].try_into().unwrap()).into()));
        prop_assert_eq!(read(Encoding::U64, &all), Raw::UInt(value));
        prop_assert_eq!(read(Encoding::I64, &all), Raw::Int(i64::from_be_bytes(bytes)));
    }

    #[test]
    fn floats_keep_every_bit_in_any_order(single: u32, double: u64, order in order()) {
        let Ok(Raw::F32(back)) = decode(layout(Encoding::F32, order), &on_the_wire(&single.to_be_bytes(), order)) else {
            panic!("no single")
        };
        prop_assert_eq!(back.to_bits(), single);
        let Ok(Raw::F64(back)) = decode(layout(Encoding::F64, order), &on_the_wire(&double.to_be_bytes(), order)) else {
            panic!("no double")
        };
        prop_assert_eq!(back.to_bits(), double);
    }

    #[test]
    fn decimal_digits_come_back_in_any_order(digits in 0..100_000_000_u32, order in order()) {
        let packed = u32::from_str_radix(&digits.to_string(), 16).unwrap();
        let words = on_the_wire(&packed.to_be_bytes(), order);
        prop_assert_eq!(decode(layout(Encoding::Bcd32, order), &words), Ok(Raw::Digits(digits)));
    }

    #[test]
    fn text_comes_back_with_its_bytes_swapped_or_not(text in "[!-~][ -~]{0,30}[!-~]", swapped: bool) {
        let mut bytes = text.clone().into_bytes();
        let length = u16::try_from(bytes.len()).unwrap();
        bytes.resize(bytes.len().next_multiple_of(2), b'?');
        let order = if swapped { ByteOrder::Badc } else { ByteOrder::Abcd };
        let read = decode(layout(Encoding::Text { bytes: length }, order), &on_the_wire(&bytes, order));
        prop_assert_eq!(read, Ok(Raw::Text(text.into())));
    }

    #[test]
    fn no_registers_and_no_layout_make_it_panic(words in prop::collection::vec(any::<u16>(), 0..6), first: u8, last: u8, order in order()) {
        let bits = Some((first, last));
        let text = Encoding::Text { bytes: 7 };
        for encoding in [Encoding::Bool, Encoding::I16, Encoding::U32, Encoding::U64, Encoding::F64, Encoding::Bcd32, text] {
            let _ = decode(Layout { encoding, order, bits }, &words);
        }
    }
}

fn shared(path: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("DISTRICTD_SHARED").map_or(beside, PathBuf::from);
    let text = std::fs::read_to_string(folder.join(path)).ok();
    if text.is_none() {
        println!("skipped: {path} is not in the shared folder");
    }
    text
}

#[test]
fn captured_frames_decode_to_the_values_printed_beside_them() {
    let Some(text) = shared("vectors/modbus-rtu/known_frames.json") else { return };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let frames = json["frames"].as_array().unwrap().iter().map(|frame| frame["frame"].as_str().unwrap());
    // Unit before, CRC behind.
    let read = |frame: &str, encoding| decode(standard(encoding), &registers(&frame[2..frame.len() - 4])).unwrap();
    let mut seen = 0;
    for frame in frames {
        match frame {
            "010404436633341b38" => assert_eq!(read(frame, Encoding::F32), Raw::F32(230.200_01)),
            "110304008d008efbbd" => assert_eq!(read(frame, Encoding::U32), Raw::UInt(0x008D_008E)),
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 2, "both value frames are there");
}
