//! The ordinary course of things: birth, schemas, live and backlog, failover, the end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::broker::{Broker, Manner, Received, marks};
use super::rig::{Rig, Shelf, brief, uplink};

fn leaves(received: &[Received]) -> Vec<&str> {
    received.iter().map(|message| message.topic.split('/').nth(3).unwrap()).collect()
}

#[tokio::test]
async fn birth_comes_first_then_the_schema_then_the_sweep() {
    let broker = Broker::start(vec![Manner::Honest]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    rig.take(1, "x");
    rig.until_held(0).await;
    rig.take(2, "x");
    rig.until_held(0).await;
    let received = broker.received();
    assert_eq!(leaves(&received), ["status", "meters", "data", "data"]);
    assert_eq!(received.iter().map(|message| message.retained).collect::<Vec<_>>(), [true, true, false, false]);
    assert!(received[0].text().contains(r#""online":true"#));
    let data: serde_json::Value = serde_json::from_slice(&received[2].payload).unwrap();
    let schema = data["sweeps"][0]["schema"].as_str().unwrap();
    assert_eq!(received[1].topic, format!("districtd/d/g/meters/{schema}"));
}

#[tokio::test]
async fn a_reload_renews_the_birth_message_on_the_same_connection() {
    let broker = Broker::start(vec![Manner::Honest]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    broker.until("the birth", |broker| broker.received().iter().any(|message| message.acked)).await;
    rig.about.send_modify(|about| about.configuration = "renewed".into());
    broker.until("another birth", |broker| broker.received().iter().any(|message| message.text().contains("renewed"))).await;
    assert_eq!((leaves(&broker.received()), broker.connections()), (vec!["status", "status"], 1));
}

#[tokio::test]
async fn every_connection_has_birth_and_schema_of_its_own() {
    let broker = Broker::start(vec![Manner::HalfAck(2), Manner::Honest]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    rig.take(1, "x");
    rig.until_held(0).await;
    let received = broker.received();
    let second: Vec<Received> = received.into_iter().filter(|message| message.connection == 1).collect();
    assert_eq!(leaves(&second), ["status", "meters", "data"]);
}

#[tokio::test]
async fn what_was_closed_before_the_connection_is_marked_as_replay() {
    let shelf = Shelf::new().stock(0..5, "x").await;
    let broker = Broker::start(vec![Manner::Honest]).await;
    let rig = shelf.start(uplink(&[broker.port]), brief());
    rig.until_held(0).await;
    rig.take(5, "x");
    rig.until_held(0).await;
    let (old, new): (Vec<_>, Vec<_>) =
        broker.received().into_iter().filter(|message| message.is("data")).partition(|m| m.text().contains(r#""replay":true"#));
    assert_eq!(marks(&old), (0..5).collect());
    assert_eq!(marks(&new), BTreeSet::from([5]));
}

#[tokio::test]
async fn live_readings_do_not_wait_behind_a_backlog() {
    let large = "x".repeat(20_000);
    let shelf = Shelf::new().stock(0..300, &large).await;
    let slow = Manner::Slow { piece: 20_000, pause: Duration::from_millis(5) };
    let broker = Broker::start(vec![slow]).await;
    let rig = shelf.start(uplink(&[broker.port]), brief());
    broker.until("some backlog", |broker| marks(&broker.received()).len() > 30).await;
    let before = broker.received().len();
    rig.take(1000, "fresh");
    broker.until("the fresh reading", |broker| marks(&broker.received()).contains(&1000)).await;
    let received = broker.received();
    let place = received.iter().position(|message| message.text().contains("fresh")).unwrap();
    assert!(place - before < 40, "{} messages went before it", place - before);
    assert!(marks(&received).len() < 200, "the backlog was not waited for");
}

#[tokio::test]
async fn a_slow_link_is_not_filled_so_far_that_pings_are_missed() {
    let broker = Broker::start(vec![Manner::Slow { piece: 4_000, pause: Duration::from_millis(20) }]).await;
    let mut patient = brief();
    patient.no_progress = Duration::from_secs(10);
    let mut uplink = uplink(&[broker.port]);
    uplink.keep_alive = Duration::from_secs(2);
    let rig = Rig::start(uplink, patient);
    broker.until("the birth", |broker| !broker.received().is_empty()).await;
    let large = "x".repeat(40_000);
    (0..40).for_each(|mark| rig.take(mark, &large));
    rig.until_held(0).await;
    assert_eq!(broker.connections(), 1, "{:?}", rig.board.snapshot().uplink);
}

#[tokio::test]
async fn publishes_of_a_mebibyte_survive_a_task_that_is_woken_all_the_time() {
    let large = "y".repeat(1 << 20);
    let shelf = Shelf::new().stock(0..30, &large).await;
    let broker = Broker::start(vec![Manner::Slow { piece: 1 << 16, pause: Duration::from_micros(200) }]).await;
    let mut settings = brief();
    settings.tick = Duration::from_millis(1);
    settings.no_progress = Duration::from_secs(5);
    let rig = shelf.start(uplink(&[broker.port]), settings);
    for mark in 100..400 {
        rig.take(mark, "x");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.until_held(0).await;
    assert_eq!(broker.connections(), 1);
    let received = broker.received();
    assert_eq!(marks(&received), (0..30).chain(100..400).collect());
    let whole = received.iter().filter(|message| message.text().contains(&large)).count();
    assert_eq!(whole, 30, "each of the large ones arrived whole, and once");
}

#[tokio::test]
async fn the_second_broker_takes_over_when_the_first_does_not_work() {
    let first = Broker::start(vec![Manner::Refuses(3)]).await;
    let second = Broker::start(vec![Manner::Honest]).await;
    let rig = Rig::start(uplink(&[first.port, second.port]), brief());
    rig.take(1, "x");
    rig.until_held(0).await;
    assert!(first.connections() >= 1);
    assert_eq!(marks(&second.received()), BTreeSet::from([1]));
    let status = rig.board.snapshot().uplink;
    assert!(status.up && status.broker.ends_with(&second.port.to_string()), "{status:?}");
    assert_eq!(status.trouble, "");
}

#[tokio::test]
async fn finishing_sends_all_says_goodbye_and_ends() {
    let broker = Broker::start(vec![Manner::Late(Duration::from_millis(2))]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    (0..50).for_each(|mark| rig.take(mark, "x"));
    rig.spool.settle().await;
    rig.finish.cancel();
    tokio::time::timeout(Duration::from_secs(20), rig.task).await.expect("it ends by itself").unwrap();
    broker.until("a DISCONNECT", |broker| broker.partings() == 1).await;
    let received = broker.received();
    assert_eq!(marks(&received), (0..50).collect());
    let last = received.last().unwrap();
    assert!(last.is("status") && last.retained && last.text().contains(r#""online":false"#), "{last:?}");
}

#[tokio::test]
async fn finishing_with_nothing_held_and_no_broker_ends_at_once() {
    let rig = Rig::start(uplink(&[closed_port().await]), brief());
    rig.until_trouble("refuses connections").await;
    rig.finish.cancel();
    tokio::time::timeout(Duration::from_secs(5), rig.task).await.expect("it ends by itself").unwrap();
}

#[tokio::test]
async fn stopping_ends_at_once_whatever_is_held() {
    let broker = Broker::start(vec![Manner::MuteAfterBirth]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    (0..50).for_each(|mark| rig.take(mark, "x"));
    broker.until("a sweep", |broker| !marks(&broker.received()).is_empty()).await;
    rig.stop.cancel();
    tokio::time::timeout(Duration::from_secs(2), rig.task).await.expect("it ends").unwrap();
    assert!(broker.received().iter().any(|message| message.text().contains(r#""online":false"#)), "best effort");
}

#[tokio::test]
async fn the_last_will_and_the_password_stand_in_connect() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "old secret\n").unwrap();
    let broker = Broker::start(vec![Manner::HalfAck(0), Manner::Honest]).await;
    let mut uplink = uplink(&[broker.port]);
    uplink.username = Some("u".into());
    uplink.password_file = Some(password.clone());
    let mut settings = brief();
    (settings.shortest_pause, settings.first_pause) = (Duration::from_millis(200), Duration::from_millis(200));
    let rig = Rig::start(uplink, settings);
    broker.until("a greeting", |broker| !broker.greetings().is_empty()).await;
    std::fs::write(&password, "new secret\r\n").unwrap();
    broker.until("a second greeting", |broker| broker.greetings().len() == 2).await;
    let greetings = broker.greetings();
    assert_eq!(greetings[0].password.as_deref(), Some("old secret"));
    assert_eq!(greetings[1].password.as_deref(), Some("new secret"), "read anew");
    assert_eq!(greetings[0].username.as_deref(), Some("u"));
    let (topic, text) = greetings[0].will.clone().unwrap();
    assert_eq!((topic.as_str(), text.contains(r#""online":false"#)), ("districtd/d/g/status", true));
    assert!(!rig.board.snapshot().uplink.trouble.contains("secret"));
}

#[tokio::test]
async fn an_unreadable_password_is_told_with_its_path() {
    let broker = Broker::start(vec![Manner::Honest]).await;
    let mut uplink = uplink(&[broker.port]);
    uplink.username = Some("u".into());
    uplink.password_file = Some("/nowhere/password".into());
    let rig = Rig::start(uplink, brief());
    rig.until_trouble("/nowhere/password cannot be read").await;
}

#[tokio::test]
async fn the_task_turns_its_loop_while_it_is_down() {
    let rig = Rig::start(uplink(&[closed_port().await]), brief());
    rig.until_trouble("refuses connections").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let stuck = rig.board.stuck(crate::clock::monotonic(), Duration::from_secs(1));
        assert!(!stuck.contains(&"(uplink)".into()), "{stuck:?}");
    }
}

async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}
