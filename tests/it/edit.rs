//! What was taken before an edit is read by what it was taken with, never by today's configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::outage::missing;
use crate::scene::{PATIENCE, SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::{Account, SweepKey, Swept};
use crate::sim::broker::Mosquitto;
use crate::sim::image::Counting;
use crate::sim::ledger::{Ledger, Source};
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::{Message, Relay, Traffic};

fn old_name((_, unit): &Source) -> String {
    if *unit == 1 { "mike".to_owned() } else { "zulu".to_owned() }
}

#[test]
fn sweeps_from_before_an_edit_arrive_under_their_old_names_units_and_keys() {
    let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("line", Counting { units: 3 }, &ledger);
    let bus = tcp_bus("line", server.address());

    let before = bus.clone() + &counting_meter("mike", "line", 1, "100ms") + &counting_meter("zulu", "line", 2, "100ms");
    scene.write(&(scene.head("g-old", relay.address()) + &before));
    let daemon = scene.start();
    let mut account = Account::default();
    assert!(follow(&relay, &mut account, SOON, |account| account.arrived.len() > 10), "{}", daemon.log());

    // Then some that are sent and never acknowledged, and more with the broker out of reach.
    relay.swallow_acks(true);
    let unacknowledged = |traffic: &Traffic| {
        let data = |messages: &[Message]| messages.iter().filter(|message| message.topic.ends_with("/data")).count();
        (data(&traffic.published) > data(&traffic.delivered) + 1).then_some(())
    };
    assert!(relay.traffic().wait(SOON, unacknowledged).is_some(), "{}", daemon.log());
    relay.refuse(true);
    assert!(ledger.wait_total(SOON, ledger.total() + 40));
    daemon.kill();
    let handed_out = ledger.handed_out();
    follow(&relay, &mut account, Duration::ZERO, |_| true);
    let live = account.arrived.len();
    let keys = sweeps_by_key(&Account::of(&relay.traffic().look(|traffic| traffic.published.clone())));
    assert!(!keys.is_empty());

    // A meter before the others, another name for one, another for the gateway, another unit.
    let after = bus + &counting_meter("alpha", "line", 3, "100ms") + &counting_meter("november", "line", 1, "100ms");
    let after = after + &counting_meter("zulu", "line", 2, "100ms").replace("\"Wh\"", "\"kWh\"");
    scene.write(&(scene.head("g-new", relay.address()) + &after));
    relay.swallow_acks(false);
    relay.refuse(false);
    let daemon = scene.start();
    let done = |account: &Account| {
        let new = account.arrived.iter().any(|arrived| arrived.gateway == "g-new");
        new && missing(&handed_out, account, old_name).is_empty()
    };
    let complete = follow(&relay, &mut account, PATIENCE, done);
    assert!(complete, "lost: {:?}\n{}", missing(&handed_out, &account, old_name), daemon.log());
    assert_eq!(account.wrongs, Vec::<String>::new());
    judge_names(&account, live);
    judge_keys(&account, &keys);
    judge_schemas(&relay, &account);
}

fn sweeps_by_key(account: &Account) -> BTreeMap<SweepKey, Swept> {
    account.arrived.iter().map(|arrived| (arrived.key, arrived.sweep.clone())).collect()
}

/// Old meters under the old gateway, as backlog but for the first `live`; new ones under the new.
fn judge_names(account: &Account, live: usize) {
    for (place, arrived) in account.arrived.iter().enumerate() {
        match arrived.gateway.as_str() {
            "g-old" => {
                assert!(["mike", "zulu"].contains(&arrived.sweep.meter.as_str()), "{arrived:?}");
                assert_eq!(arrived.replay, place >= live, "{arrived:?}");
            }
            "g-new" => assert!(["alpha", "november", "zulu"].contains(&arrived.sweep.meter.as_str()), "{arrived:?}"),
            other => panic!("whose is {other}?"),
        }
    }
}

fn judge_keys(account: &Account, keys: &BTreeMap<SweepKey, Swept>) {
    let arrived = sweeps_by_key(account);
    for (key, sweep) in keys {
        assert_eq!(arrived.get(key), Some(sweep), "sent as {key:?} before the kill");
    }
}

/// On its connection and under its gateway, each sweep's schema came first, retained, with the unit of its time.
fn judge_schemas(relay: &Relay, account: &Account) {
    let delivered = relay.delivered(0);
    let mut units = BTreeMap::new();
    for arrived in &account.arrived {
        let (gateway, schema, meter) = (&arrived.gateway, &arrived.sweep.schema, &arrived.sweep.meter);
        let topic = format!("districtd/d/{gateway}/meters/{schema}");
        let first = relay.traffic().look(|traffic| traffic.first_sent.get(&(arrived.connection, topic.clone())).copied());
        let data = &delivered[arrived.message];
        assert!(first.is_some_and(|first| first < data.sent), "{topic} was not sent before {arrived:?}");
        let message = delivered.iter().find(|message| message.topic == topic).expect("a schema is acknowledged");
        assert!(message.retain, "{topic}");
        let payload: Json = serde_json::from_slice(&message.payload).unwrap();
        let points = payload["points"].as_array().expect("points");
        let count = points.iter().find(|point| point["name"] == "count").expect("count");
        units.insert((gateway.clone(), meter.clone()), count["unit"].as_str().unwrap().to_owned());
    }
    let unit = |gateway: &str| units.get(&(gateway.to_owned(), "zulu".to_owned())).map(String::as_str);
    assert_eq!((unit("g-old"), unit("g-new")), (Some("Wh"), Some("kWh")));
}
