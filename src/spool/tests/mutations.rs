//! Random damage to a recorded spool: every start succeeds, nothing wrong comes out, little is lost, and what is lost is told.
//!
//! The seed is printed; `DISTRICTD_SEED` repeats a run, `DISTRICTD_MUTATIONS` asks for more of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Rig, copy, id_of, schema, sweep};
use crate::clock;
use crate::reading::{Keep, Told};
use crate::spool::face::Content;
use crate::spool::log;
use crate::spool::store::SEGMENT;

const RECORDS: u32 = 1000;
const SWEEPS: u32 = 10;

/// A spool with a backlog.
async fn recorded() -> Rig {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for record in 0..RECORDS {
        for number in 1..=SWEEPS {
            rig.append(sweep(&meter, record * SWEEPS + number));
        }
        rig.close_batches();
    }
    rig.until_on_flash().await;
    rig.close().await;
    rig
}

#[tokio::test]
async fn a_sound_log_is_taken_for_sound_and_damage_in_an_old_segment_is_seen_before_sled_opens_it() {
    let rig = recorded().await;
    let database = rig.path().join("db");
    assert_eq!(log::check(&database).unwrap(), None);
    let sound = fs::read(database.join("db")).unwrap();
    assert!(sound.len() as u64 > 2 * SEGMENT, "{} bytes are too few for this test", sound.len());
    for at in [3, 4, 12, 21, 1000, 100_000, 400_000] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(database.join("db"), bytes).unwrap();
        assert!(log::check(&database).unwrap().is_some(), "nobody saw the damage at {at}");
    }
}

struct Damage {
    random: fastrand::Rng,
    directory: PathBuf,
}

impl Damage {
    /// Does one thing to one file; says what, and how many bytes of records it can have spoilt.
    fn strike(&mut self) -> (String, usize) {
        let database = self.directory.join("db");
        let mut files: Vec<PathBuf> = fs::read_dir(&database).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.is_file());
        files.sort();
        // Most damage falls where most bytes are.
        let path = if self.random.u8(..) < 200 { database.join("db") } else { files[self.random.usize(..files.len())].clone() };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut bytes = fs::read(&path).unwrap();
        let (what, spoilt) = self.change(&mut bytes);
        if what == "lost" {
            fs::remove_file(&path).unwrap();
        } else {
            fs::write(&path, &bytes).unwrap();
        }
        let spoilt = if name == "db" { spoilt } else { 0 };
        (format!("{name} {what}"), spoilt)
    }

    fn change(&mut self, bytes: &mut Vec<u8>) -> (&'static str, usize) {
        let at = self.random.usize(..bytes.len().max(1));
        match self.random.u8(..5) {
            0 => {
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << 3);
                ("flipped", 1)
            }
            1 => {
                bytes.iter_mut().skip(at / 4096 * 4096).take(4096).for_each(|byte| *byte = 0);
                ("page zeroed", 4096)
            }
            2 => {
                let length = self.random.usize(1..20_000);
                let random = &mut self.random;
                bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte = random.u8(..));
                ("garbage", length)
            }
            3 => {
                let lost = bytes.len() - at;
                bytes.truncate(at);
                ("truncated", lost)
            }
            _ => ("lost", bytes.len()),
        }
    }
}

#[tokio::test]
async fn a_recorded_spool_survives_random_damage() {
    let seed = std::env::var("DISTRICTD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let count: u32 = std::env::var("DISTRICTD_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(8);
    println!("DISTRICTD_SEED={seed}");
    let rig = recorded().await;
    let image = rig.path().with_extension("image");
    copy(&rig.path(), &image);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..count {
        one(&image, round, random.fork()).await;
    }
}

async fn one(image: &Path, round: u32, random: fastrand::Rng) {
    let mut rig = Rig::new();
    let mut struck = (String::new(), 0);
    rig.crash_with(false, |rig| {
        fs::remove_dir_all(rig.path()).unwrap();
        copy(image, &rig.path());
        struck = Damage { random, directory: rig.path() }.strike();
    })
    .await;
    let began = clock::monotonic();
    rig.until_open().await;
    let took = began.elapsed();
    let (mut came, mut told) = (BTreeSet::new(), false);
    for batch in rig.drain().await {
        match &batch.content {
            Content::Sweeps(sweeps) => {
                for sweep in sweeps {
                    assert!((1..=RECORDS * SWEEPS).contains(&id_of(sweep)), "a sweep that was never taken");
                    assert_eq!(*sweep, super::sweep(&sweep.schema, id_of(sweep)), "a sweep that was not taken so");
                    came.insert(id_of(sweep));
                }
            }
            Content::Event(event) => told |= matches!(event.told, Told::Gap(_)),
        }
    }
    let (what, spoilt) = struck;
    let lost = RECORDS as usize * SWEEPS as usize - came.len();
    println!("round {round}: {what}, {spoilt} bytes spoilt: {lost} sweeps lost, told {told}, open after {took:?}");
    assert!(lost == 0 || told, "{lost} sweeps are lost and nobody was told");
    assert!(took < Duration::from_secs(10));
    // A sweep has about forty bytes, and whole records of ten are spoilt.
    let bearable = if spoilt == 0 { 0 } else { spoilt / 30 + 2 * SWEEPS as usize };
    assert!(lost <= bearable + came.len() / 100, "{lost} sweeps are lost, {bearable} were spoilt");
}
