//! When batches close, and when flash is written.

use std::sync::Arc;
use std::time::Duration;

use super::{LONG, Rig, assert_balanced, ids, schema, sweep};
use crate::clock;
use crate::reading::Keep;
use crate::spool::core::Limits;
use crate::spool::face::{Batch, Session};

#[tokio::test]
async fn with_the_uplink_up_a_batch_closes_at_its_age() {
    let age = Duration::from_millis(50);
    let rig = Rig::with(Limits::new(Duration::from_secs(3600), age), 64 << 20);
    let spool = rig.spool().clone();
    let keeper = tokio::spawn(async move { spool.keep_time().await });
    let session = rig.session();
    let began = clock::monotonic();
    rig.append(sweep(&schema("g", "m", Keep::Normal), 1));
    assert_eq!(ids(&*next_live(&session).await), [1]);
    assert!(clock::monotonic() >= began + age, "it closed too early");
    keeper.abort();
}

#[tokio::test]
async fn with_the_uplink_down_a_batch_waits_for_the_end_of_the_window_and_is_synced_then() {
    let window = Duration::from_millis(400);
    let rig = Rig::with(Limits::new(window, Duration::from_millis(1)), 64 << 20);
    let spool = rig.spool().clone();
    let keeper = tokio::spawn(async move { spool.keep_time().await });
    let meter = schema("g", "m", Keep::Normal);
    rig.until_open().await;
    let began = clock::monotonic();
    (1..=10).for_each(|id| rig.append(sweep(&meter, id)));
    rig.until("the batch is on flash", |status| status.batches_on_flash > 0).await;
    let took = clock::monotonic() - began;
    assert_eq!(rig.status().batches_on_flash, 1, "one batch for the whole window");
    assert!(took >= window / 2, "flash was written after {took:?}");
    assert!(took <= window + Duration::from_secs(2), "flash was written after {took:?}");
    keeper.abort();
}

#[tokio::test]
async fn what_is_acked_within_the_window_never_touches_flash() {
    let window = Duration::from_millis(800);
    let rig = Rig::with(Limits::new(window, Duration::from_millis(5)), 64 << 20);
    let spool = rig.spool().clone();
    let keeper = tokio::spawn(async move { spool.keep_time().await });
    let meter = schema("g", "m", Keep::Normal);
    rig.until_open().await;
    let session = rig.session();
    rig.spool().0.desk.while_idle(|| {});
    let before = (rig.status().bytes_written, contents(&rig.path()));
    for id in 1..=40 {
        rig.append(sweep(&meter, id));
        session.confirm(next_live(&session).await.key);
    }
    // Nothing is to happen; there is no event to wait for.
    tokio::time::sleep(window + window / 2).await;
    assert_eq!((rig.status().bytes_written, contents(&rig.path())), before);
    assert_eq!(rig.status().acked, 80);
    keeper.abort();
}

async fn next_live(session: &Session) -> Arc<Batch> {
    let next = async {
        loop {
            if let Some(batch) = session.live() {
                return batch;
            }
            session.changed().await;
        }
    };
    tokio::time::timeout(LONG, next).await.expect("nobody closed the batch")
}

/// Every file below a directory with a sum of its content.
fn contents(directory: &std::path::Path) -> Vec<(std::path::PathBuf, u32)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), crc32c::crc32c(&std::fs::read(&path).unwrap())));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn a_journal_that_turns_up_later_is_taken_and_what_it_holds_comes_once() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=3 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    let journal = rig.journal().with_extension("before");
    super::copy(&rig.journal(), &journal);
    rig.until_on_flash().await;
    rig.append(sweep(&meter, 4));
    // Neither place of the journal can be used at first; the one of before comes back with less than flash has.
    rig.crash_with(true, |rig| {
        std::fs::remove_dir_all(rig.journal()).unwrap();
        std::fs::write(rig.journal(), b"").unwrap();
        std::fs::write(rig.path().join("journal"), b"").unwrap();
    })
    .await;
    rig.until_open().await;
    rig.append(sweep(&meter, 5));
    assert!(rig.status().trouble.contains("journal"), "{:?}", rig.status());
    std::fs::remove_file(rig.journal()).unwrap();
    std::fs::rename(&journal, rig.journal()).unwrap();
    rig.spool().look_for_journal();
    rig.append(sweep(&meter, 6));
    assert_eq!(rig.status().trouble, "");
    rig.until_open().await;
    rig.close_batches();
    rig.until_on_flash().await;
    let mut came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    came.sort_unstable();
    assert_eq!(came, [1, 2, 3, 5, 6], "4 stood only in the journal that was lost");
    assert_balanced(&rig.status());
}
