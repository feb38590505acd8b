//! A healthy gateway writes nothing to its flash.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::scene::{SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::Mosquitto;
use crate::sim::image::Counting;
use crate::sim::ledger::Ledger;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

#[test]
fn with_a_healthy_broker_nothing_is_written_to_flash_for_a_minute() {
    let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("line", Counting { units: 20 }, &ledger);
    let mut text = scene.head("g-1", relay.address()) + &tcp_bus("line", server.address());
    // Other tests keep the machine busy: an acknowledgement may really take longer than the shortest windows.
    text = text.replace("window = \"1s\"", "window = \"10s\"");
    for unit in 1..=20 {
        text += &counting_meter(&format!("m-{unit}"), "line", unit, "1s");
    }
    scene.write(&text);
    let daemon = scene.start();
    let mut account = Account::default();
    assert!(follow(&relay, &mut account, SOON, |account| account.arrived.len() > 100), "{}", daemon.log());
    // What the start itself wrote has settled once the window is over.
    thread::sleep(Duration::from_secs(11));
    follow(&relay, &mut account, Duration::ZERO, |_| true);
    let (before, arrived) = (daemon.write_bytes(), account.arrived.len());
    thread::sleep(Duration::from_secs(60));
    let after = daemon.write_bytes();
    follow(&relay, &mut account, Duration::ZERO, |_| true);
    let arrived = account.arrived.len() - arrived;
    println!("healthy: {arrived} sweeps in a minute, write_bytes {before} before and {after} after");
    assert!(arrived > 1_000, "{arrived} sweeps\n{}", daemon.log());
    assert_eq!(after - before, 0, "bytes were written\n{}", daemon.log());
    assert_eq!(account.wrongs, Vec::<String>::new());
    assert!(daemon.runs());
}
