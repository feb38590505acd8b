//! Bounds: by size on flash, and of journal and memory.

use std::path::Path;
use std::time::Duration;

use super::{LONG, Rig, assert_balanced, ids, schema, sweep};
use crate::reading::{Gap, Keep, Told};
use crate::spool::core::Limits;
use crate::spool::face::{Batch, Content};

fn gap(batch: &Batch) -> Option<&Gap> {
    match &batch.content {
        Content::Event(event) => match &event.told {
            Told::Gap(gap) => Some(gap),
            Told::Notice { .. } => None,
        },
        Content::Sweeps(_) => None,
    }
}

fn size_of(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn above_max_size_the_oldest_go_billing_stays_and_all_of_it_is_told() {
    let rig = Rig::with(Limits::new(Duration::from_millis(10), LONG), 64 << 10);
    let (plain, billing) = (schema("g", "plain", Keep::Normal), schema("g", "billing", Keep::Always));
    let mut id = 0;
    for _ in 0..40 {
        for _ in 0..20 {
            id += 1;
            rig.append(sweep(&plain, id));
        }
        id += 1;
        rig.append(sweep(&billing, id));
        rig.close_batches();
        rig.until_on_flash().await;
        assert_balanced(&rig.status());
    }
    let before = rig.status();
    assert!(before.given_up > 0, "the bound was not reached: {before:?}");
    let all = rig.drain().await;
    let told: u64 = all.iter().filter_map(|batch| gap(batch)?.readings).sum();
    assert_eq!(told, before.given_up);
    let gaps = all.iter().filter(|batch| gap(batch).is_some()).count();
    assert_eq!(gaps, 1, "a gap that nobody has seen grows");
    let came: Vec<u32> = all.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came.len() as u64 * 2 + told, rig.status().taken);
    assert!((1..=40).all(|round| came.contains(&(round * 21))), "billing is given up last");
    assert!(came.contains(&(id - 1)), "the youngest stays");
}

#[tokio::test]
async fn a_full_memory_without_flash_gives_up_the_oldest_and_tells() {
    let mut limits = Limits::new(Duration::from_millis(40), LONG);
    limits.memory = 1 << 20;
    let mut rig = Rig::with(limits, 64 << 20);
    rig.crash_with(true, |rig| {
        std::fs::remove_dir_all(rig.path()).unwrap();
        std::fs::write(rig.path(), b"no directory").unwrap();
    })
    .await;
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=20_000 {
        rig.append(sweep(&meter, id));
        if id % 20 == 0 {
            rig.close_batches();
        }
        assert_balanced(&rig.status());
        let journal = size_of(&rig.journal());
        assert!(journal <= 1 << 20, "the journal has {journal} bytes after sweep {id}");
    }
    let before = rig.status();
    assert!(before.given_up > 0, "the bound was not reached: {before:?}");
    assert!(before.held > 1000, "more was given up than had to be: {before:?}");
    let all = rig.drain().await;
    let told: u64 = all.iter().filter_map(|batch| gap(batch)?.readings).sum();
    assert_eq!(told, before.given_up);
    let mut came: Vec<u32> = all.iter().flat_map(|batch| ids(batch)).collect();
    came.sort_unstable();
    assert_eq!(came.len() as u64 * 2, 40_000 - told);
    assert_eq!(came.last(), Some(&20_000));
}
