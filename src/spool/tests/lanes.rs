//! Live and backlog, sessions, setting aside, wake-ups.

use super::{LONG, Rig, assert_balanced, ids, next_backlog, schema, sweep};
use crate::reading::{Keep, Told};
use crate::spool::face::Content;

#[tokio::test]
async fn what_closes_after_the_connection_is_live_and_the_rest_is_backlog() {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    rig.append(sweep(&meter, 1));
    rig.close_batches();
    rig.append(sweep(&meter, 2));
    let session = rig.session();
    rig.close_batches();
    assert_eq!(session.live().map(|batch| ids(&batch)), Some(vec![2]), "open when the connection was made");
    assert_eq!(session.live(), None);
    assert_eq!(ids(&*next_backlog(&session).await), [1]);
    assert_eq!(session.backlog(), None);
}

#[tokio::test]
async fn what_was_offered_and_not_confirmed_is_offered_to_the_next_session() {
    let rig = Rig::new();
    rig.append(sweep(&schema("g", "m", Keep::Normal), 1));
    rig.close_batches();
    let first = next_backlog(&rig.session()).await;
    let session = rig.session();
    let again = next_backlog(&session).await;
    assert_eq!((first.key, &first.content), (again.key, &again.content));
    assert_eq!(session.backlog(), None, "each once per session");
}

#[tokio::test]
async fn a_batch_in_flight_that_flash_takes_meanwhile_is_not_offered_twice_and_can_be_confirmed() {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    let session = rig.session();
    rig.append(sweep(&meter, 1));
    rig.close_batches();
    let batch = session.live().unwrap();
    rig.until("the late batch is on flash", |status| status.batches_on_flash == 1).await;
    assert_eq!((session.live(), session.backlog()), (None, None));
    session.confirm(batch.key);
    assert_eq!(rig.spool().outlet().depth().batches, 0);
    rig.until("its deletion is done", |status| status.batches_on_flash == 0).await;
    assert_balanced(&rig.status());
}

#[tokio::test]
async fn the_backlog_on_flash_comes_oldest_first_and_whole() {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=100 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    rig.until_on_flash().await;
    let came: Vec<u32> = rig.drain().await.iter().flat_map(|batch| ids(batch)).collect();
    assert_eq!(came, (1..=100).collect::<Vec<u32>>());
}

#[tokio::test]
async fn live_batches_that_wait_long_for_a_slow_forwarder_all_come() {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    let session = rig.session();
    for id in 1..=200 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    rig.until("all are on flash", |status| status.batches_on_flash == 200).await;
    let mut came = Vec::new();
    let take = async {
        while came.len() < 200 {
            match session.live() {
                Some(batch) => came.extend(ids(&batch)),
                None => session.changed().await,
            }
        }
    };
    assert!(tokio::time::timeout(LONG, take).await.is_ok(), "{} of 200 came", came.len());
    came.sort_unstable();
    assert_eq!(came, (1..=200).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_batch_set_aside_is_told_kept_and_out_of_the_way() {
    let mut rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    for id in 1..=2 {
        rig.append(sweep(&meter, id));
        rig.close_batches();
    }
    rig.until_on_flash().await;
    let session = rig.session();
    let poison = next_backlog(&session).await;
    session.set_aside(poison.key, "the encoder panicked");
    assert_eq!(ids(&*next_backlog(&session).await), [2]);
    let told = session.live().unwrap();
    assert!(
        matches!(&told.content, Content::Event(event) if matches!(&event.told, Told::Notice { code, .. } if &**code == "batch-set-aside"))
    );
    drop(session);
    rig.until_on_flash().await;
    assert_eq!(rig.status().set_aside, 1);
    rig.reopen().await;
    rig.until_open().await;
    assert_eq!(rig.status().set_aside, 1);
    let session = rig.session();
    assert_eq!(ids(&*next_backlog(&session).await), [2], "what is set aside stays out of the way after a restart");
    assert_balanced(&rig.status());
}

#[tokio::test]
async fn a_change_between_two_calls_is_not_missed() {
    let rig = Rig::new();
    let meter = schema("g", "m", Keep::Normal);
    let session = rig.session();
    for id in 1..=50 {
        assert_eq!(session.live(), None);
        rig.append(sweep(&meter, id));
        rig.close_batches();
        let woken = tokio::time::timeout(LONG, async {
            loop {
                session.changed().await;
                if let Some(batch) = session.live() {
                    return batch;
                }
            }
        });
        assert_eq!(ids(&woken.await.expect("a wake-up was missed")), [id]);
    }
}
