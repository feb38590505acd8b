//! Crashes, restarts, locks, keys.

use super::{Rig, assert_balanced, id_of, ids, schema, sweep};
use crate::clock::Clock;
use crate::reading::{Append as _, Event, Keep, Told};
use crate::spool::face::{Content, OpenError, Settings, Spool};
use crate::status::Board;

#[tokio::test]
async fn what_was_taken_survives_a_kill_before_its_batch_was_closed() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    (1..=5).for_each(|id| rig.append(sweep(&meter, id)));
    rig.crash(true).await;
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, [1, 2, 3, 4, 5]);
    assert_balanced(&rig.status());
}

#[tokio::test]
async fn a_closed_batch_keeps_key_and_content_through_a_kill() {
    let mut rig = Rig::new();
    let (one, other) = (schema("g", "b", Keep::Normal), schema("g", "a", Keep::Normal));
    rig.append(sweep(&one, 1));
    rig.append(sweep(&other, 2));
    rig.append(sweep(&one, 3));
    rig.close_batches();
    let before = rig.session().backlog().unwrap();
    assert_eq!(ids(&before), [2, 1, 3], "by meter, and stable within it");
    rig.crash(true).await;
    let after = rig.session().backlog().unwrap();
    assert_eq!((after.key, &after.content), (before.key, &before.content));
}

#[tokio::test]
async fn an_acked_batch_does_not_come_back_after_a_kill() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    rig.append(sweep(&meter, 1));
    rig.close_batches();
    rig.append(sweep(&meter, 2));
    rig.close_batches();
    let session = rig.session();
    let first = session.backlog().unwrap();
    session.confirm(first.key);
    drop(session);
    rig.crash(true).await;
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, [2]);
}

#[tokio::test]
async fn an_ack_of_a_batch_on_flash_survives_a_kill_before_its_deletion() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=3 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    rig.until_on_flash().await;
    let session = rig.session();
    let first = super::next_backlog(&session).await;
    session.confirm(first.key);
    drop(session);
    assert_eq!(rig.status().batches_on_flash, 3, "deletions wait for a second");
    rig.crash(true).await;
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, [2, 3]);
    assert_balanced(&rig.status());
}

#[tokio::test]
async fn a_kill_between_the_sync_and_its_note_in_the_journal_doubles_nothing() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=3 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    let noted = rig.journal().with_extension("before");
    super::copy(&rig.journal(), &noted);
    rig.until_on_flash().await;
    rig.crash_with(true, |rig| {
        std::fs::remove_dir_all(rig.journal()).unwrap();
        std::fs::rename(&noted, rig.journal()).unwrap();
    })
    .await;
    rig.until_open().await;
    assert_eq!(rig.status().held, 6);
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, [1, 2, 3]);
    assert_balanced(&rig.status());
}

#[tokio::test]
async fn a_power_cut_takes_nothing_that_is_on_flash() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=20 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    rig.until_on_flash().await;
    rig.crash(false).await;
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, (1..=20).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_renamed_meter_and_gateway_change_nothing_of_what_was_taken_before() {
    let mut rig = Rig::new();
    let old = schema("g", "old", Keep::Normal);
    rig.append(sweep(&old, 1));
    rig.close_batches();
    rig.until_on_flash().await;
    rig.append(sweep(&old, 2));
    rig.crash_with(true, |rig| rig.gateway = "h".into()).await;
    rig.append(sweep(&schema("h", "new", Keep::Normal), 3));
    rig.close_batches();
    rig.until_on_flash().await;
    let mut came = Vec::new();
    for batch in rig.drain().await {
        let Content::Sweeps(sweeps) = &batch.content else { continue };
        came.extend(sweeps.iter().map(|sweep| (id_of(sweep), sweep.schema.gateway.to_string(), sweep.schema.meter.to_string())));
    }
    came.sort();
    let named = |id, gateway: &str, meter: &str| (id, gateway.to_owned(), meter.to_owned());
    assert_eq!(came, [named(1, "g", "old"), named(2, "g", "old"), named(3, "h", "new")]);
}

#[tokio::test]
async fn a_batch_holds_one_gateway_and_one_class() {
    let rig = Rig::new();
    rig.append(sweep(&schema("g", "m", Keep::Normal), 1));
    rig.append(sweep(&schema("g", "billing", Keep::Always), 2));
    rig.append(sweep(&schema("h", "m", Keep::Normal), 3));
    rig.close_batches();
    let mut came: Vec<Vec<u32>> = rig.drain().await.iter().map(|batch| ids(batch)).collect();
    came.sort();
    assert_eq!(came, [vec![1], vec![2], vec![3]]);
}

#[tokio::test]
async fn a_spool_that_is_held_is_refused_and_its_holder_named() {
    let rig = Rig::new();
    let second = Spool::open(&rig.settings(), Clock::system(), Board::new().spool());
    match second {
        Err(OpenError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        Ok(_) => panic!("two spools on one directory"),
    }
}

#[tokio::test]
async fn after_closing_nothing_is_left_in_the_journal_and_all_of_it_is_on_flash() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    (1..=5).for_each(|id| rig.append(sweep(&meter, id)));
    rig.close().await;
    let left = std::fs::read_dir(rig.journal()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().is_some_and(|name| name.ends_with("journal"))
    });
    assert_eq!(left.count(), 0, "a clean end leaves no journal files");
    rig.start();
    rig.until_open().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn an_event_goes_out_once_in_the_sequence_of_the_batches() {
    let mut rig = Rig::new();
    let gateway = rig.settings().gateway;
    let told = Told::Notice { code: "configuration-last-good".into(), text: "x".into() };
    let event = Event { gateway: gateway.name.clone(), district: gateway.district.clone(), stamp: Clock::system().now(), told };
    rig.append(sweep(&schema("g", "m", Keep::Normal), 1));
    rig.close_batches();
    rig.spool().tell(event.clone());
    rig.crash(true).await;
    rig.until_open().await;
    let came = rig.drain().await;
    assert_eq!(came.iter().map(|batch| batch.key.seq).collect::<Vec<u64>>(), [1, 2]);
    assert_eq!(came.last().map(|batch| batch.content.clone()), Some(Content::Event(event)));
}

#[tokio::test]
async fn an_unusable_spool_path_is_trouble_and_no_reason_to_stop() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let board = Board::new();
    let settings = crate::config::model::Spool {
        path: file.join("spool"),
        journal: root.path().join("journal"),
        window: std::time::Duration::from_millis(200),
        max_size: 1 << 20,
    };
    let gateway = crate::config::model::Gateway { name: "g".into(), district: "d".into(), state: root.path().into() };
    let settings = Settings { batch_age: settings.window / 2, spool: settings, gateway };
    let spool = Spool::open(&settings, Clock::system(), board.spool()).unwrap();
    spool.append(sweep(&schema("g", "m", Keep::Normal), 1));
    spool.0.desk.close_now();
    let session = spool.outlet().session();
    assert_eq!(ids(&session.backlog().unwrap()), [1]);
    while board.snapshot().spool.trouble.is_empty() {
        spool.0.desk.while_idle(|| {});
    }
    drop(session);
    spool.close().await;
}

#[tokio::test]
async fn a_batch_whose_boundary_tmpfs_refused_is_not_seen_before_it_has_one() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    rig.until_open().await;
    let session = rig.session();
    rig.append(sweep(&meter, 1));
    rig.spool().0.desk.refuse(true);
    rig.close_batches();
    assert_eq!(session.live(), None, "after a crash its sweep would have another key");
    rig.append(sweep(&meter, 2));
    assert_eq!(session.live().map(|batch| ids(&batch)), Some(vec![2]), "what the journal does not hold at all goes on");
    rig.spool().0.desk.refuse(false);
    rig.append(sweep(&meter, 3));
    let bound = session.live().expect("it has its boundary now");
    assert_eq!(ids(&bound), [1]);
    drop(session);
    rig.crash(true).await;
    rig.until_open().await;
    let again = rig.drain().await;
    let one = again.iter().find(|batch| ids(batch) == [1]).expect("it comes back");
    assert_eq!((one.key, &one.content), (bound.key, &bound.content));
    assert_eq!(again.iter().filter(|batch| ids(batch).contains(&1)).count(), 1);
}

#[tokio::test]
async fn an_ack_that_tmpfs_refused_is_written_later_and_looks_like_no_damage() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    rig.append(sweep(&meter, 1));
    rig.close_batches();
    let session = rig.session();
    let first = session.backlog().unwrap();
    rig.spool().0.desk.refuse(true);
    session.confirm(first.key);
    rig.spool().0.desk.refuse(false);
    rig.append(sweep(&meter, 2));
    drop(session);
    rig.crash(true).await;
    rig.until_open().await;
    let came: Vec<Vec<u32>> = rig.drain().await.iter().map(|batch| ids(batch)).collect();
    assert_eq!(came, [vec![2]], "neither the acked batch nor a gap");
}

#[tokio::test]
async fn what_stands_in_the_journal_below_the_spool_comes_once_the_other_works_again() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=3 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    let session = rig.session();
    let first = session.backlog().unwrap();
    session.confirm(first.key);
    let second = session.backlog().unwrap();
    drop(session);
    rig.append(sweep(&meter, 4));
    rig.crash_with(true, |rig| {
        std::fs::rename(rig.journal(), rig.path().join("journal")).unwrap();
        std::fs::remove_dir_all(rig.path().join("db")).unwrap();
        std::fs::remove_file(rig.path().join("mark.json")).unwrap();
    })
    .await;
    rig.crash(true).await;
    rig.until_open().await;
    let came = rig.drain().await;
    assert_eq!(came.iter().map(|batch| ids(batch)).collect::<Vec<_>>(), [vec![2], vec![3], vec![4]]);
    assert_eq!(came[0].key, second.key);
    let left = std::fs::read_dir(rig.path().join("journal")).unwrap();
    assert_eq!(left.count(), 1, "only the lock file stays below the spool");
}
