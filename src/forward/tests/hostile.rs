//! Brokers that break the protocol, the link, or their word: nothing is deleted without an acknowledgement, nothing wedges.

use std::collections::BTreeSet;
use std::time::Duration;

use super::broker::{Broker, Manner, marks};
use super::rig::{Rig, Shelf, brief, uplink};
use crate::clock::monotonic;
use crate::forward::settings::Settings;

const ALL: u64 = 60;

/// Runs `manners`, the last of which behaves, until everything is delivered; no sweep may leave the spool unacknowledged.
async fn everything_arrives(manners: Vec<Manner>) -> Broker {
    let broker = Broker::start(manners).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    for mark in 0..ALL {
        rig.take(mark, "x");
        if mark % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    rig.until_held(0).await;
    assert_eq!(marks(broker.received().iter().filter(|message| message.acked)), (0..ALL).collect::<BTreeSet<_>>());
    rig.held().await;
    broker
}

/// Runs one manner for a while; what was not acknowledged must still be held, and offered again.
async fn nothing_is_lost(manner: Manner, run: Duration) -> Broker {
    let broker = Broker::start(vec![manner]).await;
    let forgiving = Settings { patience: u8::MAX, ..brief() };
    let rig = Rig::start(uplink(&[broker.port]), forgiving);
    // Large enough that batches of several sweeps go out in several messages.
    let text = "x".repeat(700);
    (0..ALL).for_each(|mark| rig.take(mark, &text));
    let end = monotonic() + run;
    broker.until("two connections", |broker| broker.connections() >= 2 || monotonic() > end).await;
    tokio::time::sleep(end.saturating_duration_since(monotonic())).await;
    let held = rig.held().await;
    let acked = marks(broker.received().iter().filter(|message| message.acked));
    let lost: Vec<u64> = (0..ALL).filter(|mark| !held.contains(mark) && !acked.contains(mark)).collect();
    assert!(lost.is_empty(), "deleted without an acknowledgement: {lost:?}");
    broker
}

#[tokio::test]
async fn late_acknowledgements_confirm_everything() {
    let broker = everything_arrives(vec![Manner::Late(Duration::from_millis(3))]).await;
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn acknowledgements_out_of_order_confirm_everything_on_one_connection() {
    let broker = everything_arrives(vec![Manner::Reversed(7)]).await;
    assert_eq!(broker.connections(), 1);
}

#[tokio::test]
async fn a_broker_that_acknowledges_twice_loses_nothing_and_is_left_each_time() {
    let broker = nothing_is_lost(Manner::Twice, Duration::from_millis(300)).await;
    assert!(broker.connections() >= 2);
    everything_arrives(vec![Manner::Twice, Manner::Twice, Manner::Honest]).await;
}

#[tokio::test]
async fn a_second_acknowledgement_that_comes_late_confirms_no_other_batch() {
    nothing_is_lost(Manner::TwiceLate, Duration::from_millis(500)).await;
    everything_arrives(vec![Manner::TwiceLate, Manner::TwiceLate, Manner::Honest]).await;
}

#[tokio::test]
async fn an_invented_acknowledgement_confirms_nothing() {
    for packet in [0, 2, 7, 255, 256, 257, 60_000] {
        let broker = nothing_is_lost(Manner::Invents(packet), Duration::from_millis(200)).await;
        assert!(broker.connections() >= 2, "packet {packet} was believed");
    }
}

#[tokio::test]
async fn a_broker_that_answers_pings_and_acknowledges_nothing_is_left() {
    let broker = nothing_is_lost(Manner::Mute, Duration::from_secs(2)).await;
    assert!(marks(&broker.received()).is_empty(), "nothing goes out before the birth is acknowledged");
    everything_arrives(vec![Manner::Mute, Manner::MuteAfterBirth, Manner::Honest]).await;
}

#[tokio::test]
async fn a_broker_that_closes_in_the_middle_of_a_packet_loses_nothing() {
    for after in [0, 1, 5, 20] {
        nothing_is_lost(Manner::HalfAck(after), Duration::from_millis(300)).await;
    }
    everything_arrives(vec![Manner::HalfAck(0), Manner::HalfAck(9), Manner::HalfRead(40), Manner::HalfRead(1), Manner::Honest])
        .await;
}

#[tokio::test]
async fn an_acknowledgement_that_comes_together_with_the_end_counts() {
    let broker = Broker::start(vec![Manner::LastWord]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    for mark in 0..10 {
        rig.take(mark, "x");
        rig.until_held(0).await;
    }
    let sent = broker.received().iter().filter(|message| message.is("data")).count();
    assert_eq!(sent, 10, "none was sent twice");
}

#[tokio::test]
async fn a_session_that_cannot_be_present_changes_nothing() {
    let broker = everything_arrives(vec![Manner::HalfAck(5), Manner::LiesAboutSession]).await;
    assert!(broker.greetings().iter().all(|greeting| greeting.clean));
}

#[tokio::test]
async fn a_refused_connect_is_told_and_tried_again() {
    let sentences = [
        (1, "refuses MQTT 3.1.1"),
        (2, "refuses the client-id"),
        (3, "unavailable"),
        (4, "username or password"),
        (5, "does not allow this client"),
        (77, "does not speak MQTT"),
    ];
    for (code, sentence) in sentences {
        let broker = Broker::start(vec![Manner::Refuses(code)]).await;
        let rig = Rig::start(uplink(&[broker.port]), brief());
        rig.take(1, "x");
        rig.until_trouble(sentence).await;
        broker.until("a second attempt", |broker| broker.connections() >= 2).await;
        assert_eq!(rig.held().await, BTreeSet::from([1]));
    }
}

#[tokio::test]
async fn what_does_not_speak_mqtt_is_called_so() {
    let broker = Broker::start(vec![Manner::Http]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    rig.until_trouble("does not speak MQTT").await;
}

#[tokio::test]
async fn a_host_that_accepts_and_says_nothing_is_left_after_the_connect_time_out() {
    let broker = Broker::start(vec![Manner::Silent, Manner::Honest]).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    rig.take(1, "x");
    rig.until_held(0).await;
    assert_eq!(broker.connections(), 2);
}

#[tokio::test]
async fn a_half_open_link_with_a_full_send_buffer_is_left_in_time() {
    let large = "x".repeat(1 << 20);
    let shelf = Shelf::new().stock(0..40, &large).await;
    let broker = Broker::start(vec![Manner::Deaf, Manner::Honest]).await;
    let start = monotonic();
    let rig = shelf.start(uplink(&[broker.port]), brief());
    broker.until("a second connection", |broker| broker.connections() >= 2).await;
    assert!(start.elapsed() < Duration::from_secs(4), "left after {:?}", start.elapsed());
    rig.until_held(0).await;
    assert_eq!(marks(broker.received().iter().filter(|message| message.acked)).len(), 40);
}

#[tokio::test]
async fn a_batch_that_ends_three_connections_is_set_aside_and_the_others_arrive() {
    // Long enough to be a batch each.
    let long = "x".repeat(5000);
    let poison = format!("{long} poison");
    let shelf = Shelf::new().stock(0..3, &long).await.stock(3..4, &poison).await.stock(4..20, &long).await;
    let broker = Broker::start(vec![Manner::Chokes("poison")]).await;
    let rig = shelf.start(uplink(&[broker.port]), brief());
    let wholesome: BTreeSet<u64> = (0..20).filter(|mark| *mark != 3).collect();
    broker.until("all but the poison", |broker| marks(broker.received().iter().filter(|m| m.acked)) == wholesome).await;
    rig.until_held(1).await;
    let (ends, attempts) = (broker.connections() - 1, broker.received().iter().filter(|m| m.text().contains("poison")).count());
    assert!((3..=6).contains(&ends), "{ends} connections ended");
    assert_eq!(attempts, ends);
}

#[tokio::test]
async fn a_broker_that_refuses_every_batch_for_a_while_sets_none_aside() {
    let mut manners = vec![Manner::Chokes("sweeps"); 15];
    manners.push(Manner::Honest);
    let broker = Broker::start(manners).await;
    let rig = Rig::start(uplink(&[broker.port]), brief());
    (0..2).for_each(|mark| rig.take(mark, &"x".repeat(5000)));
    rig.until_held(0).await;
    assert_eq!(broker.connections(), 16);
}

/// One bad manner at random; what it does with the time and the identifiers is random, too.
fn any_manner(random: &mut fastrand::Rng) -> Manner {
    match random.u8(0..11) {
        0 => Manner::Late(Duration::from_millis(random.u64(0..20))),
        1 => Manner::Reversed(random.usize(2..25)),
        2 => Manner::Twice,
        3 => Manner::TwiceLate,
        4 => Manner::Invents(random.u16(..)),
        5 => Manner::Mute,
        6 => Manner::MuteAfterBirth,
        7 => Manner::HalfAck(random.usize(0..30)),
        8 => Manner::HalfRead(random.usize(0..2000)),
        9 => Manner::Refuses(random.u8(1..=255)),
        _ => Manner::Slow { piece: random.usize(1..100), pause: Duration::from_millis(1) },
    }
}

#[tokio::test]
async fn whatever_brokers_do_in_whatever_order_everything_arrives_in_the_end() {
    let seed = std::env::var("DISTRICTD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed} (DISTRICTD_SEED={seed} repeats it)");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..6 {
        let mut manners: Vec<Manner> = (0..6).map(|_| any_manner(&mut random)).collect();
        manners.push(Manner::Honest);
        println!("{manners:?}");
        everything_arrives(manners).await;
    }
}

#[tokio::test]
async fn a_link_that_fails_before_anything_is_acknowledged_is_not_blamed_on_a_batch() {
    let mut manners = vec![Manner::HalfRead(30); 8];
    manners.push(Manner::Honest);
    everything_arrives(manners).await;
}
