//! Damaged databases: every start succeeds, nothing wrong comes out, what was lost is told.

use std::fs;

use super::{Rig, ids, schema, sweep};
use crate::reading::{Keep, Told};
use crate::spool::face::Content;

async fn filled() -> Rig {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=200 {
        rig.append(sweep(&meter, id));
        if id % 2 == 0 {
            rig.close_batches();
        }
    }
    rig.until_on_flash().await;
    rig
}

async fn after(damage: impl FnOnce(&mut Vec<u8>)) -> (Vec<u32>, bool) {
    let mut rig = filled().await;
    rig.crash_with(false, |rig| {
        let path = rig.path().join("db/db");
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
    })
    .await;
    rig.until_open().await;
    let all = rig.drain().await;
    let told = all.iter().any(
        |batch| matches!(&batch.content, Content::Event(event) if matches!(&event.told, Told::Gap(gap) if &*gap.why == "damaged")),
    );
    let mut came: Vec<u32> = all.iter().flat_map(|batch| ids(batch)).collect();
    came.sort_unstable();
    (came, told)
}

#[tokio::test]
async fn a_database_that_is_gone_is_told() {
    let mut rig = filled().await;
    rig.crash_with(false, |rig| fs::remove_dir_all(rig.path().join("db")).unwrap()).await;
    rig.until_open().await;
    let all = rig.drain().await;
    assert!(all.iter().any(|batch| matches!(&batch.content, Content::Event(event) if matches!(event.told, Told::Gap(_)))));
}

#[tokio::test]
async fn what_was_acked_does_not_come_back_by_salvage() {
    let mut rig = filled().await;
    let session = rig.session();
    for _ in 0..50 {
        let batch = super::next_backlog(&session).await;
        session.confirm(batch.key);
    }
    drop(session);
    rig.close().await;
    let path = rig.path().join("db/db");
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().take(4096).for_each(|byte| *byte = 0);
    fs::write(&path, bytes).unwrap();
    rig.start();
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert!(came.iter().all(|id| *id > 100), "acked came back: {came:?}");
}

#[tokio::test]
async fn damage_anywhere_costs_little_is_told_and_brings_out_nothing_wrong() {
    for (at, count) in [(0, 1), (0, 4096), (13, 1), (3000, 1), (8000, 100), (8192, 4096), (14_000, 1), (500_000, 40_000)] {
        let (came, told) = after(|bytes| bytes.iter_mut().skip(at).take(count).for_each(|byte| *byte ^= 0x55)).await;
        assert!(came.iter().all(|id| (1..=200).contains(id)), "wrong readings after damage at {at}: {came:?}");
        assert!(told || came.len() == 200, "{} of 200 came and nothing was told, damage at {at}", came.len());
        // A record of two sweeps has about 180 bytes, and stands in the log at least once.
        let spoilt = 2 * (count / 100 + 2);
        assert!(came.len() + spoilt >= 200, "{} of 200 were saved, damage of {count} at {at}", came.len());
    }
}

#[tokio::test]
async fn a_database_cut_short_is_told_and_brings_out_nothing_wrong() {
    for length in [0, 19, 1000, 10_000, 20_000] {
        let (came, told) = after(|bytes| bytes.truncate(length)).await;
        assert!(came.iter().all(|id| (1..=200).contains(id)), "wrong readings after a cut at {length}: {came:?}");
        assert!(told || came.len() == 200, "{} of 200 came and nothing was told, cut at {length}", came.len());
        assert!(length < 10_000 || came.len() > 30, "{} of 200 were saved, cut at {length}", came.len());
    }
}

#[tokio::test]
async fn salvage_brings_back_neither_what_was_given_up_nor_what_was_deleted() {
    let mut index = crate::spool::salvage::Index::default();
    assert!(!index.is_whole(1, 4));
    index.forget(&[1, 2, 3]);
    assert!(index.is_whole(1, 4), "what was deleted is not missing");
}

#[tokio::test]
async fn records_that_cannot_be_read_are_kept_and_are_no_loss() {
    let mut rig = Rig::new();
    let (gone, there) = (schema("g", "gone", Keep::Normal), schema("g", "there", Keep::Normal));
    for id in 1..=20 {
        rig.append(sweep(if id % 2 == 0 { &gone } else { &there }, id));
        rig.close_batches();
    }
    rig.until_on_flash().await;
    rig.close().await;
    // The schema of one meter is lost.
    for entry in fs::read_dir(rig.path().join("schemas")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let left: Vec<&str> = text.lines().filter(|line| !line.contains("\"gone\"")).collect();
        fs::write(&path, left.join("\n")).unwrap();
    }
    rig.start();
    rig.until_open().await;
    let session = rig.session();
    for _ in 0..10 {
        let batch = super::next_backlog(&session).await;
        assert!(ids(&batch).iter().all(|id| id % 2 == 1));
        session.confirm(batch.key);
    }
    rig.until("what was acked is deleted", |status| status.batches_on_flash == 10).await;
    assert_eq!((rig.status().given_up, rig.status().held), (0, 20));
    drop(session);
    // Now there are honest holes between records that cannot be read.
    let session = rig.session();
    rig.spool().0.desk.until_read();
    assert_eq!((session.live(), session.backlog()), (None, None), "a gap was told, or an acked record came back");
    assert_eq!((rig.status().given_up, rig.status().batches_on_flash), (0, 10));
}
