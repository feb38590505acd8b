//! Frames and records: what is read is what was written, or nothing.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;

use super::{schema, sweep};
use crate::reading::{
    BootId, Event, Gap, Keep, Key, Kind, MeterSchema, Quality, Reason, SchemaContent, SchemaId, SchemaPoint, Stamp, Sweep, Told,
    Value, ValueType,
};
use crate::spool::codec::{self, Bad, Input};
use crate::spool::face::{Batch, Content};
use crate::spool::journal::Journal;
use crate::spool::record;

fn stamps() -> impl Strategy<Value = Stamp> {
    (any::<i64>(), any::<u128>(), any::<u64>(), any::<bool>()).prop_map(|(wall_ms, boot, boot_ms, synchronised)| Stamp {
        wall_ms,
        boot: BootId(boot),
        boot_ms,
        synchronised,
    })
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        (any::<i64>(), any::<i8>()).prop_map(|(mantissa, exponent)| Value::Decimal { mantissa, exponent }),
        any::<f32>().prop_filter("compares", |number| !number.is_nan()).prop_map(Value::F32),
        any::<f64>().prop_filter("compares", |number| !number.is_nan()).prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        ".{0,20}".prop_map(|text| Value::Text(text.into())),
        Just(Value::Missing),
    ]
}

fn qualities() -> impl Strategy<Value = Quality> {
    use Reason::{Exception, Garbled, Invalid, LineDown, Malformed, NotANumber, Overflow, Silent, Timeout};
    let plain = [Timeout, Garbled, LineDown, Invalid, NotANumber, Malformed, Overflow, Silent];
    prop_oneof![
        Just(Quality::Good),
        proptest::sample::select(plain.to_vec()).prop_map(Quality::Bad),
        any::<u8>().prop_map(|code| Quality::Bad(Exception(code)))
    ]
}

fn schemas() -> impl Strategy<Value = MeterSchema> {
    use ValueType::{Bool, Decimal, F32, F64, I16, I32, I64, String, U16, U32, U64};
    let types = proptest::sample::select(vec![Bool, U16, I16, U32, I32, U64, I64, F32, F64, Decimal, String]);
    let kinds = proptest::sample::select(vec![Kind::Gauge, Kind::Counter, Kind::State]);
    let keeps = proptest::sample::select(vec![Keep::Normal, Keep::Always]);
    let points = proptest::collection::vec(("[a-z_]{1,8}", ".{0,4}", types, kinds), 0..6);
    (("[a-z]{1,8}", "[a-z]{1,8}", "[a-z]{1,8}"), keeps, points).prop_map(|((gateway, district, meter), keep, points)| {
        let points = points.into_iter().map(|(name, unit, value_type, kind)| SchemaPoint {
            name: name.into(),
            unit: unit.into(),
            value_type,
            kind,
        });
        let points = points.collect();
        MeterSchema::new(SchemaContent { gateway: gateway.into(), district: district.into(), meter: meter.into(), keep, points })
    })
}

fn sweeps() -> impl Strategy<Value = Sweep> {
    let points = proptest::collection::btree_map(any::<u16>(), (values(), qualities()), 0..12);
    (schemas(), stamps(), points).prop_map(|(schema, stamp, points)| {
        let values = points.into_iter().map(|(place, (value, quality))| (place, value, quality)).collect();
        Sweep { schema: Arc::new(schema), stamp, values }
    })
}

proptest! {
    #[test]
    fn every_schema_is_read_back_as_it_was(schema in schemas()) {
        let mut bytes = Vec::new();
        codec::put_schema(&mut bytes, &schema);
        prop_assert_eq!(codec::schema(&mut Input::new(&bytes)), Ok(schema));
    }

    #[test]
    fn every_batch_is_read_back_as_it_was(sweeps in proptest::collection::vec(sweeps(), 0..5), run: u64, seq: u64) {
        let content = Content::Sweeps(sweeps.clone());
        let mut bytes = Vec::new();
        let batch = Batch { key: Key { run, seq }, content, closed: None, size: 0 };
        record::put(&mut bytes, 1, 2, Keep::Always, &batch);
        let known = |id: SchemaId| sweeps.iter().map(|sweep| &sweep.schema).find(|schema| schema.id() == id).cloned();
        let frame = record::parse(&bytes).unwrap();
        prop_assert_eq!((frame.store, frame.position, frame.length), (1, 2, bytes.len()));
        let back = frame.batch(&known).unwrap();
        prop_assert_eq!(back, Batch { size: bytes.len(), ..batch });
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let none = |_| None;
        let _ = codec::sweep(&mut Input::new(&bytes), &none);
        let _ = codec::schema(&mut Input::new(&bytes));
        let _ = codec::event(&mut Input::new(&bytes));
        let _ = record::parse(&bytes);
    }
}

fn gap() -> Event {
    let told =
        Told::Gap(Gap { from_ms: -1, to_ms: 5, meters: vec!["a".into(), "b".into()], readings: Some(0), why: "max-size".into() });
    Event { gateway: "g".into(), district: "d".into(), stamp: sweep(&schema("g", "m", Keep::Normal), 1).stamp, told }
}

#[test]
fn events_and_gaps_are_read_back_as_they_were() {
    let notice = Event { told: Told::Notice { code: "c".into(), text: "t".into() }, ..gap() };
    for event in [gap(), notice] {
        let mut bytes = Vec::new();
        codec::put_event(&mut bytes, &event);
        assert_eq!(codec::event(&mut Input::new(&bytes)), Ok(event));
    }
}

fn record_bytes() -> Vec<u8> {
    let meter = schema("g", "m", Keep::Normal);
    let content = Content::Sweeps((1..4).map(|id| sweep(&meter, id)).collect());
    let mut bytes = Vec::new();
    record::put(&mut bytes, 3, 4, Keep::Normal, &Batch { key: Key { run: 1, seq: 2 }, content, closed: None, size: 0 });
    bytes
}

#[test]
fn a_record_damaged_at_any_byte_is_no_record() {
    let sound = record_bytes();
    for at in 0..sound.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = sound.clone();
            bytes[at] ^= flip;
            assert!(record::parse(&bytes).is_err(), "byte {at} flipped with {flip:02x}");
        }
        assert!(record::parse(&sound[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn a_record_has_the_size_that_its_batch_was_closed_with() {
    let meter = schema("g", "m", Keep::Normal);
    let mut sweep_bytes = Vec::new();
    (1..4).for_each(|id| codec::put_sweep(&mut sweep_bytes, &sweep(&meter, id)));
    assert_eq!(record::size_of_batch(sweep_bytes.len()), record_bytes().len());
}

#[test]
fn a_record_of_another_release_is_known_as_one_and_kept_as_it_is() {
    let mut bytes = record_bytes();
    bytes[4] = 9; // version
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..record::HEAD - 4]), &bytes[record::HEAD..]);
    bytes[record::HEAD - 4..record::HEAD].copy_from_slice(&sum.to_le_bytes());
    let frame = record::parse(&bytes).unwrap();
    assert_eq!(frame.label(), Err(Bad::Unknown { version: 9, kind: 1 }));
    let mut again = Vec::new();
    record::put_again(&mut again, 3, &frame);
    assert_eq!(again, bytes);
}

/// A journal with a batch, an ack and a loose sweep, and its only file.
fn journal() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    let meter = schema("g", "m", Keep::Normal);
    for number in 1..=3 {
        journal.sweep(number, &sweep(&meter, u32::try_from(number).unwrap())).unwrap();
    }
    journal.boundary(Key { run: 1, seq: 1 }, Keep::Normal, &[2, 1]).unwrap();
    journal.event(Key { run: 1, seq: 2 }, &gap()).unwrap();
    journal.acked(Key { run: 1, seq: 1 }, 0, false).unwrap();
    let path = folder.path().join("0000000001.journal");
    (folder, path)
}

#[test]
fn a_journal_torn_at_any_byte_gives_all_that_stands_before_the_tear() {
    let (folder, path) = journal();
    let whole = fs::read(&path).unwrap();
    let mut before = (0, 0, 0);
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (_, replayed) = Journal::open(folder.path()).unwrap();
        assert_eq!(replayed.unusable + replayed.incomplete, 0, "a torn tail is no damage, cut at {length}");
        for found in &replayed.found {
            assert!(matches!(&found.content, Content::Event(event) if *event == gap()) || found.key.seq == 1);
        }
        let now = (replayed.loose.len(), replayed.found.len(), replayed.gone.len());
        assert!(now.0 + 2 * now.1 + 2 * now.2 >= before.0, "less after more bytes: {before:?} then {now:?} at {length}");
        before = now;
    }
    assert_eq!(before, (1, 1, 1), "one loose sweep, one event, one ack");
}

#[test]
fn a_journal_damaged_at_any_byte_never_gives_a_sweep_that_was_not_taken() {
    let (folder, path) = journal();
    let whole = fs::read(&path).unwrap();
    let meter = schema("g", "m", Keep::Normal);
    let taken: Vec<Sweep> = (1..=3).map(|id| sweep(&meter, id)).collect();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let (_, replayed) = Journal::open(folder.path()).unwrap();
        assert!(replayed.loose.iter().all(|loose| taken.contains(&loose.sweep)), "byte {at}");
        for found in &replayed.found {
            if let Content::Sweeps(sweeps) = &found.content {
                assert_eq!(
                    sweeps,
                    &[taken[1].clone(), taken[0].clone()],
                    "a batch comes whole and in order or not at all, byte {at}"
                );
            }
        }
    }
}

#[test]
fn a_refused_frame_leaves_nothing_of_itself_in_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    let meter = schema("g", "m", Keep::Normal);
    journal.sweep(1, &sweep(&meter, 1)).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), b"no directory").unwrap();
    journal.end();
    assert!(journal.sweep(2, &sweep(&meter, 2)).is_err());
    fs::remove_file(folder.path()).unwrap();
    journal.sweep(3, &sweep(&meter, 3)).unwrap();
    let (_, replayed) = Journal::open(folder.path()).unwrap();
    assert_eq!(replayed.loose.iter().map(|loose| loose.number).collect::<Vec<u64>>(), [3]);
}

#[test]
fn a_journal_file_goes_when_nothing_in_it_is_owed_and_never_before_an_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path()).unwrap();
    journal.end_files_at(1);
    let meter = schema("g", "m", Keep::Normal);
    let receipts: Vec<u64> = (1..=3).map(|number| journal.sweep(number, &sweep(&meter, 1)).unwrap().file).collect();
    assert_eq!(receipts, [1, 2, 3], "one file each");
    let files = || fs::read_dir(folder.path()).unwrap().count();
    journal.settle(&[(2, 1)]);
    assert_eq!(files(), 3, "the older one is still owed");
    journal.settle(&[(1, 1)]);
    assert_eq!(files(), 1, "the one in use stays");
}

#[test]
fn a_journal_file_whose_replay_fails_twice_is_moved_aside() {
    let (folder, path) = journal();
    fs::write(path.with_extension("tried"), b"").unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let (_, replayed) = Journal::open(folder.path()).unwrap();
    assert!(replayed.loose.is_empty());
    assert!(!path.exists() && path.with_extension("damaged").exists());
}
