//! After an outage: fresh readings at once, and the backlog marked as such.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::outage::missing;
use crate::scene::{PATIENCE, SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::{Account, Arrived};
use crate::sim::broker::Mosquitto;
use crate::sim::image::Counting;
use crate::sim::ledger::Ledger;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn after_a_minute_without_broker_all_backlog_arrives_marked_and_live_readings_do_not_wait_for_it() {
    let (scene, ledger, mut broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("line", Counting { units: 20 }, &ledger);
    let mut text = scene.head("g-1", relay.address()) + &tcp_bus("line", server.address());
    for unit in 1..=20 {
        text += &counting_meter(&format!("m-{unit}"), "line", unit, "250ms");
    }
    scene.write(&text);
    let daemon = scene.start();
    let mut account = Account::default();
    assert!(follow(&relay, &mut account, SOON, |account| account.arrived.len() > 100), "{}", daemon.log());

    let gone = now_ms();
    broker.kill();
    thread::sleep(Duration::from_secs(60));
    let connections = relay.traffic().look(|traffic| traffic.connections);
    // A link on which the backlog takes a while: otherwise there would be no meanwhile.
    relay.slow(Duration::from_millis(40));
    broker.restart();
    assert!(relay.wait_connection(PATIENCE, connections), "{}", daemon.log());
    let back = now_ms();
    let handed_out = ledger.handed_out();
    let name = |source: &(String, u8)| format!("m-{}", source.1);
    let complete = follow(&relay, &mut account, PATIENCE, |account| missing(&handed_out, account, name).is_empty());
    assert!(complete, "lost: {:?}\n{}", missing(&handed_out, &account, name), daemon.log());

    assert_eq!(account.wrongs, Vec::<String>::new());
    let taken = |from: i64, to: i64| account.arrived.iter().filter(move |arrived| (from..to).contains(&arrived.sweep.ts));
    // The edges are blurred by the age of a batch.
    let outage: Vec<&Arrived> = taken(gone + 2_000, back - 3_000).collect();
    assert!(outage.len() > 2_000, "{} sweeps in the outage", outage.len());
    assert!(outage.iter().all(|arrived| arrived.replay), "{:?}", outage.iter().find(|arrived| !arrived.replay));
    assert!(taken(0, gone - 1_000).all(|arrived| !arrived.replay), "live before the outage");
    let mut fresh = taken(back + 1_500, i64::MAX).peekable();
    assert!(fresh.peek().is_some_and(|arrived| !arrived.replay), "{:?}", fresh.peek());
    assert!(fresh.all(|arrived| !arrived.replay), "live after the outage");
    live_first(&account, back);
}

/// Something live arrived before the last of the backlog did.
fn live_first(account: &Account, back: i64) {
    let live = account.arrived.iter().position(|arrived| !arrived.replay && arrived.sweep.ts > back).expect("something live");
    let last = account.arrived.iter().rposition(|arrived| arrived.replay).expect("some backlog");
    println!("backlog: {} sweeps, the first live one as number {live}, the last of the backlog as {last}", account.backlog());
    assert!(live < last, "the first live sweep came as number {live}, the last of the backlog as {last}");
}
