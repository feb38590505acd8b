use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::reading::{BootId, Gap, Keep, Kind, SchemaContent, ValueType};

const NOW: Stamp = Stamp { wall_ms: 1_763_834_500_000, boot: BootId(7), boot_ms: 900_000, synchronised: true };
const KEY: Key = Key { run: 4_503_599_627_370_495, seq: 345 };
const LARGE: Json = Json { max_payload: 1 << 20 };

fn meter(gateway: &str, meter: &str, points: &[(&str, ValueType)]) -> Arc<MeterSchema> {
    let points = points.iter().map(|(name, value_type)| SchemaPoint {
        name: (*name).into(),
        unit: "V".into(),
        value_type: *value_type,
        kind: Kind::Gauge,
    });
    let content = SchemaContent {
        gateway: gateway.into(),
        district: "ruhrort".into(),
        meter: meter.into(),
        keep: Keep::Normal,
        points: points.collect(),
    };
    Arc::new(MeterSchema::new(content))
}

fn stamp(synchronised: bool) -> Stamp {
    Stamp { wall_ms: 1_763_834_400_123, boot: BootId(7), boot_ms: 800_000, synchronised }
}

fn sweep(schema: &Arc<MeterSchema>, values: Vec<(u16, Value, Quality)>) -> Sweep {
    Sweep { schema: Arc::clone(schema), stamp: stamp(true), values }
}

fn batch(sweeps: Vec<Sweep>) -> Batch {
    Batch { key: KEY, content: Content::Sweeps(sweeps), closed: None, size: 0 }
}

/// How one value of one point of this type appears in `values`.
fn shown(value_type: ValueType, value: Value) -> String {
    let schema = meter("g", "m", &[("p", value_type)]);
    let text = encoded(&batch(vec![sweep(&schema, vec![(0, value, Quality::Good)])]));
    let (_, rest) = text.split_once(r#""values":{"p":"#).expect("the value is there");
    rest.strip_suffix("}}]}").expect("nothing follows the value").to_owned()
}

fn encoded(batch: &Batch) -> String {
    let messages = LARGE.batch(batch, false, &NOW).unwrap();
    assert_eq!(messages.len(), 1);
    String::from_utf8(messages[0].payload.clone()).unwrap()
}

#[test]
fn a_batch_reads_as_the_contract_says() {
    let schema = meter("ruhrort-017", "feeder-1", &[("voltage_l1", ValueType::F32), ("current_l1", ValueType::F32)]);
    let values = vec![(0, Value::F32(229.8), Quality::Good), (1, Value::Missing, Quality::Bad(Reason::Timeout))];
    let batch = batch(vec![sweep(&schema, values)]);
    let messages = LARGE.batch(&batch, false, &NOW).unwrap();
    let expected = format!(
        r#"{{"v":1,"gateway":"ruhrort-017","district":"ruhrort","run":4503599627370495,"seq":345,"first":0,"of":1,"replay":false,"sweeps":[{{"meter":"feeder-1","schema":"{}","ts":1763834400123,"values":{{"voltage_l1":229.8}},"quality":{{"current_l1":"timeout"}}}}]}}"#,
        schema.id()
    );
    assert_eq!(std::str::from_utf8(&messages[0].payload).unwrap(), expected);
    assert_eq!(messages[0].topic, "districtd/ruhrort/ruhrort-017/data");
    assert!(!messages[0].retained);
}

#[test]
fn quality_is_absent_when_all_is_good_and_present_beside_a_doubtful_value() {
    let schema = meter("g", "m", &[("p", ValueType::U16)]);
    let good = encoded(&batch(vec![sweep(&schema, vec![(0, Value::UInt(1), Quality::Good)])]));
    assert!(!good.contains("quality"), "{good}");
    let doubtful = encoded(&batch(vec![sweep(&schema, vec![(0, Value::UInt(1), Quality::Bad(Reason::Silent))])]));
    assert!(doubtful.contains(r#""values":{"p":1},"quality":{"p":"silent"}"#), "{doubtful}");
}

#[test]
fn a_point_of_a_64_bit_type_is_a_string_also_when_scaled() {
    assert_eq!(shown(ValueType::U64, Value::UInt(u64::MAX)), r#""18446744073709551615""#);
    assert_eq!(shown(ValueType::I64, Value::Int(i64::MIN)), r#""-9223372036854775808""#);
    assert_eq!(shown(ValueType::U64, Value::Decimal { mantissa: 12345, exponent: -1 }), r#""1234.5""#);
    assert_eq!(shown(ValueType::U64, Value::UInt(3)), r#""3""#);
    assert_eq!(shown(ValueType::U32, Value::UInt(3)), "3");
}

#[test]
fn digits_stay_as_the_meter_sent_them() {
    let decimal = |mantissa, exponent| shown(ValueType::Decimal, Value::Decimal { mantissa, exponent });
    assert_eq!(decimal(2298, -1), "229.8");
    assert_eq!(decimal(22980, -2), "229.80");
    assert_eq!(decimal(-5, -3), "-0.005");
    assert_eq!(decimal(0, -2), "0.00");
    assert_eq!(decimal(12, 3), "12000");
    assert_eq!(decimal(0, 3), "0");
    assert_eq!(decimal(12, 100), "12e100");
    assert_eq!(decimal(-12, -128), "-12e-128");
    assert_eq!(decimal(i64::MIN, 0), "-9223372036854775808");
    assert_eq!(decimal(i64::MIN, -19), "-0.9223372036854775808");
}

#[test]
fn a_float_has_the_fewest_digits_that_give_it_back() {
    assert_eq!(shown(ValueType::F32, Value::F32(229.8)), "229.8");
    assert_eq!(shown(ValueType::F64, Value::F64(229.8)), "229.8");
    assert_eq!(shown(ValueType::F64, Value::F64(f64::from(229.8f32))), "229.8000030517578");
    assert_eq!(shown(ValueType::F32, Value::F32(230.0)), "230.0");
}

#[test]
fn a_float_that_json_cannot_hold_is_missing_with_a_reason() {
    let schema = meter("g", "m", &[("p", ValueType::F32)]);
    let text = encoded(&batch(vec![sweep(&schema, vec![(0, Value::F32(f32::NAN), Quality::Good)])]));
    assert!(text.contains(r#""values":{},"quality":{"p":"nan"}"#), "{text}");
}

#[test]
fn bits_and_text_are_what_they_are() {
    assert_eq!(shown(ValueType::Bool, Value::Bool(true)), "true");
    assert_eq!(shown(ValueType::String, Value::Text("a\"b\u{1}".into())), r#""a\"b\u0001""#);
}

#[test]
fn a_sweep_from_before_the_sync_is_marked_until_its_time_is_known() {
    let schema = meter("g", "m", &[("p", ValueType::Bool)]);
    let mut early = sweep(&schema, vec![(0, Value::Bool(true), Quality::Good)]);
    early.stamp = Stamp { wall_ms: 5, ..stamp(false) };
    let batch = batch(vec![early]);
    let unsynced = Stamp { synchronised: false, ..NOW };
    let before = LARGE.batch(&batch, false, &unsynced).unwrap();
    assert!(String::from_utf8_lossy(&before[0].payload).contains(r#""ts":5,"tq":"unsynced","values""#));
    assert!(encoded(&batch).contains(r#""ts":1763834400000,"values""#));
}

#[test]
fn a_batch_from_before_a_rename_keeps_its_old_names() {
    let old = meter("old-name", "m", &[("p", ValueType::Bool)]);
    let new = meter("new-name", "m", &[("p", ValueType::Bool)]);
    let value = || vec![(0, Value::Bool(true), Quality::Good)];
    let batch = batch(vec![sweep(&old, value()), sweep(&new, value())]);
    let messages = LARGE.batch(&batch, true, &NOW).unwrap();
    let topics: Vec<&str> = messages.iter().map(|message| message.topic.as_str()).collect();
    assert_eq!(topics, ["districtd/ruhrort/old-name/data", "districtd/ruhrort/new-name/data"]);
    assert!(String::from_utf8_lossy(&messages[1].payload).contains(r#""first":1,"of":2,"replay":true"#));
}

#[test]
fn a_batch_that_can_never_be_encoded_says_why() {
    assert_eq!(LARGE.batch(&batch(vec![]), false, &NOW), Err(Unfit::Empty));
    let good = meter("g", "m", &[("p", ValueType::Bool)]);
    let stray = batch(vec![sweep(&good, vec![(1, Value::Bool(true), Quality::Good)])]);
    assert_eq!(LARGE.batch(&stray, false, &NOW), Err(Unfit::UnknownPoint { place: 1, schema: good.id(), points: 1 }));
    let wild = meter("g/#", "m", &[("p", ValueType::Bool)]);
    let wild = batch(vec![sweep(&wild, vec![(0, Value::Bool(true), Quality::Good)])]);
    assert!(matches!(LARGE.batch(&wild, false, &NOW), Err(Unfit::Name { .. })));
}

#[test]
fn gaps_and_notices_carry_run_and_seq_like_data() {
    let gap = Gap { from_ms: 1, to_ms: 2, meters: vec!["m".into()], readings: None, why: "max-size".into() };
    let event = |told| {
        let event = Event { gateway: "g.1".into(), district: "d".into(), stamp: stamp(true), told };
        Batch { key: KEY, content: Content::Event(event), closed: None, size: 0 }
    };
    let messages = LARGE.batch(&event(Told::Gap(gap)), false, &NOW).unwrap();
    assert_eq!(messages[0].topic, "districtd/d/g.1/event");
    assert_eq!(
        String::from_utf8_lossy(&messages[0].payload),
        r#"{"v":1,"gateway":"g.1","district":"d","run":4503599627370495,"seq":345,"ts":1763834400123,"kind":"gap","from":1,"to":2,"meters":["m"],"readings":null,"why":"max-size"}"#
    );
    let notice = Told::Notice { code: "configuration-last-good".into(), text: "see \"check\"".into() };
    let text = encoded(&event(notice));
    assert!(text.ends_with(r#""kind":"notice","code":"configuration-last-good","text":"see \"check\""}"#), "{text}");
}

#[test]
fn a_schema_message_names_points_units_types_and_kinds() {
    let described = meter("g", "m", &[("p", ValueType::U64)]);
    let message = schema(&described).unwrap();
    assert!(message.retained);
    assert_eq!(message.topic, format!("districtd/ruhrort/g/meters/{}", described.id()));
    let expected = format!(
        r#"{{"v":1,"gateway":"g","district":"ruhrort","meter":"m","schema":"{}","points":[{{"name":"p","unit":"V","type":"u64","kind":"gauge"}}]}}"#,
        described.id()
    );
    assert_eq!(String::from_utf8_lossy(&message.payload), expected);
}

#[test]
fn birth_and_last_will_stand_in_one_retained_place() {
    let gateway = model::Gateway { name: "g".into(), district: "d".into(), state: "/x".into() };
    let about = About { version: "0.1.0", run: 9, started: stamp(true), configuration: "c0ffee".into(), degraded: true };
    let birth = birth(&gateway, &about, &NOW).unwrap();
    let offline = offline(&gateway, &about).unwrap();
    assert_eq!((birth.topic.as_str(), birth.retained), ("districtd/d/g/status", true));
    assert_eq!((offline.topic.as_str(), offline.retained), ("districtd/d/g/status", true));
    assert_eq!(
        String::from_utf8_lossy(&birth.payload),
        r#"{"v":1,"online":true,"version":"0.1.0","run":9,"started":1763834400123,"configuration":{"hash":"c0ffee","state":"last-good"}}"#
    );
    assert_eq!(String::from_utf8_lossy(&offline.payload), r#"{"v":1,"online":false,"run":9}"#);
}

fn any_value() -> impl Strategy<Value = (Value, Quality)> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (any::<i64>(), any::<i8>()).prop_map(|(mantissa, exponent)| Value::Decimal { mantissa, exponent }),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        any::<String>().prop_map(|text| Value::Text(text.into())),
        Just(Value::Missing),
    ];
    let quality = prop_oneof![Just(Quality::Good), Just(Quality::Bad(Reason::Exception(2)))];
    (value, quality)
}

proptest! {
    /// Whatever the split, every message is JSON, and `first` and the lengths of the parts cover the batch without a seam.
    #[test]
    fn the_parts_of_a_batch_cover_it_without_gap_or_overlap(
        sweeps in prop::collection::vec(prop::collection::vec(any_value(), 0..6), 1..20),
        max_payload in 0usize..2000,
    ) {
        let names = ["a", "b", "c", "d", "e", "f"];
        let schema = meter("g", "m", &names.map(|name| (name, ValueType::F32)));
        let sweeps: Vec<Sweep> = sweeps.into_iter().map(|values| {
            sweep(&schema, (0u16..).zip(values).map(|(place, (value, quality))| (place, value, quality)).collect())
        }).collect();
        let of = sweeps.len();
        let messages = Json { max_payload }.batch(&batch(sweeps.clone()), true, &NOW).unwrap();
        let mut next = 0;
        for message in messages {
            let text = serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap();
            let held = text["sweeps"].as_array().unwrap();
            prop_assert_eq!(usize::try_from(text["first"].as_u64().unwrap()).unwrap(), next);
            prop_assert_eq!(usize::try_from(text["of"].as_u64().unwrap()).unwrap(), of);
            prop_assert!(!held.is_empty());
            prop_assert!(held.len() == 1 || message.payload.len() <= max_payload);
            for (shown, sweep) in held.iter().zip(&sweeps[next..]) {
                let (values, quality) = (&shown["values"], &shown["quality"]);
                for (place, _, _) in &sweep.values {
                    let name = names[usize::from(*place)];
                    prop_assert!(!values[name].is_null() || !quality[name].is_null(), "{} is nowhere in {}", name, shown);
                }
            }
            next += held.len();
        }
        prop_assert_eq!(next, of);
    }

    /// A decimal means mantissa * 10^exponent, and keeps every digit.
    #[test]
    fn a_decimal_can_be_read_back_digit_by_digit(mantissa in any::<i64>(), exponent in any::<i8>()) {
        let text = shown(ValueType::Decimal, Value::Decimal { mantissa, exponent });
        let (digits, tail) = text.split_once('e').unwrap_or((&text, "0"));
        let behind = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
        let whole: i128 = digits.replace('.', "").parse().unwrap();
        let power = tail.parse::<i32>().unwrap() - i32::try_from(behind).unwrap();
        if mantissa == 0 {
            prop_assert_eq!(whole, 0);
        } else {
            let zeros = u32::try_from(i32::from(exponent).max(power) - power).unwrap();
            prop_assert_eq!(power.min(i32::from(exponent)), power);
            prop_assert_eq!(whole, i128::from(mantissa) * 10i128.pow(zeros));
        }
    }

    /// The shortest form of a float is that float.
    #[test]
    fn a_float_can_be_read_back(value in any::<f32>().prop_filter("finite", |value| value.is_finite())) {
        let text = shown(ValueType::F32, Value::F32(value));
        prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), value.to_bits());
    }
}
