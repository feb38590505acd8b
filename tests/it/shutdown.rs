//! How the daemon ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::outage::missing;
use crate::scene::{PATIENCE, SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::Mosquitto;
use crate::sim::image::Counting;
use crate::sim::ledger::{Ledger, Source};
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

struct Plant {
    scene: Scene,
    ledger: Arc<Ledger>,
    _server: ModbusTcp,
    _broker: Mosquitto,
    relay: Relay,
}

fn plant() -> Plant {
    let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("line", Counting { units: 2 }, &ledger);
    let mut text = scene.head("g-1", relay.address()) + &tcp_bus("line", server.address());
    for unit in 1..=2 {
        text += &counting_meter(&format!("m-{unit}"), "line", unit, "100ms");
    }
    scene.write(&text);
    Plant { scene, ledger, _server: server, _broker: broker, relay }
}

fn name((_, unit): &Source) -> String {
    format!("m-{unit}")
}

#[test]
fn a_healthy_daemon_ends_within_five_seconds_and_everything_has_arrived() {
    let plant = plant();
    let daemon = plant.scene.start();
    let mut account = Account::default();
    assert!(follow(&plant.relay, &mut account, SOON, |account| account.arrived.len() > 10), "{}", daemon.log());
    let asked = Instant::now();
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait_code(SOON), Some(0), "{}", daemon.log());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}\n{}", daemon.log());
    assert!(daemon.wait_told(Duration::ZERO, "STOPPING=1").is_some());
    follow(&plant.relay, &mut account, Duration::ZERO, |_| true);
    let lost = missing(&plant.ledger.handed_out(), &account, name);
    assert!(lost.is_empty(), "{lost:?}\n{}", daemon.log());
    goodbye(&plant.relay);
}

/// The last status says that it went on purpose.
fn goodbye(relay: &Relay) {
    let delivered = relay.delivered(0);
    let last = delivered.iter().rfind(|message| message.topic == "districtd/d/g-1/status").expect("a status");
    assert!(last.retain);
    let status: serde_json::Value = serde_json::from_slice(&last.payload).unwrap();
    assert_eq!(status["online"], false, "{status}");
}

#[test]
fn a_second_signal_ends_a_daemon_that_waits_for_acknowledgements_at_once_and_nothing_is_lost() {
    let plant = plant();
    let daemon = plant.scene.start();
    let mut account = Account::default();
    assert!(follow(&plant.relay, &mut account, SOON, |account| account.arrived.len() > 10), "{}", daemon.log());
    plant.relay.stall(true);
    assert!(plant.ledger.wait_total(SOON, plant.ledger.total() + 20));
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_told(SOON, "STOPPING=1").is_some(), "{}", daemon.log());
    let asked = Instant::now();
    daemon.signal(Signal::TERM);
    daemon.wait_exit(SOON);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}\n{}", daemon.log());

    plant.relay.cut();
    plant.relay.stall(false);
    let handed_out = plant.ledger.handed_out();
    let daemon = plant.scene.start();
    let complete = follow(&plant.relay, &mut account, PATIENCE, |account| missing(&handed_out, account, name).is_empty());
    assert!(complete, "{:?}\n{}", missing(&handed_out, &account, name), daemon.log());
}
