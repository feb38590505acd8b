//! What people ask of a running daemon, and a reload.

use std::fs;
use std::process::{Command, Output};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;

use crate::scene::{SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::Mosquitto;
use crate::sim::daemon::Daemon;
use crate::sim::image::Counting;
use crate::sim::ledger::Ledger;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

/// Two wires with a meter each; the second meter is polled once an hour.
struct Plant {
    scene: Scene,
    servers: [ModbusTcp; 2],
    _broker: Mosquitto,
    relay: Relay,
}

impl Plant {
    fn new() -> Self {
        let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
        let relay = Relay::start(broker.address());
        let servers = ["one", "two"].map(|line| ModbusTcp::start(line, Counting { units: 1 }, &ledger));
        let plant = Self { scene, servers, _broker: broker, relay };
        plant.write("1h");
        plant
    }

    fn write(&self, every: &str) {
        let [one, two] = &self.servers;
        let buses = tcp_bus("one", one.address()) + &tcp_bus("two", two.address());
        let meters = counting_meter("quick", "one", 1, "100ms") + &counting_meter("slow", "two", 1, every);
        self.scene.write(&(self.scene.head("g-1", self.relay.address()) + &buses + &meters));
    }

    /// Starts the daemon and waits until both meters have been heard of.
    fn start(&self) -> Daemon {
        let daemon = self.scene.start();
        let mut account = Account::default();
        let heard = |account: &Account, name: &str| account.arrived.iter().any(|arrived| arrived.sweep.meter == name);
        let both = follow(&self.relay, &mut account, SOON, |account| heard(account, "quick") && heard(account, "slow"));
        assert!(both, "{}", daemon.log());
        daemon
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_districtd"));
        command.args(arguments).arg("--config").arg(self.scene.config()).output().unwrap()
    }

    fn status(&self) -> Value {
        let answer = self.ask(&["status", "--json"]);
        let value: Value = serde_json::from_slice(&answer.stdout).unwrap();
        value["status"].clone()
    }
}

#[test]
fn the_status_of_a_running_daemon_names_every_bus_and_meter() {
    let plant = Plant::new();
    let _daemon = plant.start();
    let status = plant.status();
    assert_eq!(status["uplink"]["up"], true, "{status}");
    assert_eq!(status["buses"]["one"]["meters"]["quick"]["alive"], true, "{status}");
    assert_eq!(status["buses"]["two"]["meters"]["slow"]["alive"], true, "{status}");
    let table = String::from_utf8(plant.ask(&["status"]).stdout).unwrap();
    assert!(table.contains("meter   slow: answers, 1 good polls, 0 failed"), "{table}");
}

#[test]
fn a_meter_that_is_polled_once_an_hour_is_read_when_somebody_asks() {
    let plant = Plant::new();
    let _daemon = plant.start();
    let answer = plant.ask(&["read", "slow"]);
    let table = String::from_utf8(answer.stdout).unwrap();
    assert!(answer.status.success() && table.lines().count() == 3, "{table}");
    assert!(table.lines().any(|line| line.starts_with("count") && line.ends_with("good")), "{table}");
    assert_eq!(plant.status()["buses"]["two"]["meters"]["slow"]["good"], 2);
}

#[test]
fn a_question_that_cannot_be_answered_says_why() {
    let plant = Plant::new();
    let before = plant.ask(&["status"]);
    assert!(!before.status.success() && String::from_utf8_lossy(&before.stderr).contains("is districtd running?"), "{before:?}");
    let _daemon = plant.start();
    let unknown = plant.ask(&["read", "nobody"]);
    assert!(!unknown.status.success() && String::from_utf8_lossy(&unknown.stderr).contains("nobody"), "{unknown:?}");
}

#[test]
fn a_reload_touches_only_the_bus_that_changed() {
    let plant = Plant::new();
    let daemon = plant.start();
    let mut account = Account::default();
    let sweeps = |account: &Account, name: &str| account.arrived.iter().filter(|arrived| arrived.sweep.meter == name).count();
    assert!(follow(&plant.relay, &mut account, SOON, |account| sweeps(account, "quick") > 40), "{}", daemon.log());
    plant.write("200ms");
    daemon.signal(Signal::HUP);
    assert!(follow(&plant.relay, &mut account, SOON, |account| sweeps(account, "slow") > 4), "{}", daemon.log());
    let status = plant.status();
    // A bus that was started again has counted from zero since.
    assert!(status["buses"]["one"]["requests"].as_u64() > Some(40), "{status}");
    assert_eq!(status["uplink"]["connections"], 1, "{status}");
}

#[test]
fn a_reload_of_a_broken_edit_changes_nothing_and_is_told() {
    let plant = Plant::new();
    let daemon = plant.start();
    let good = fs::read_to_string(plant.scene.config()).unwrap();
    fs::write(plant.scene.config(), good.replace("unit = 1\n", "unit = 400\n")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_log(SOON, &["the running one stays"]);
    assert_eq!(plant.ask(&["check"]).status.code(), Some(78));
    fs::write(plant.scene.config(), good).unwrap();
    assert_eq!(plant.status()["buses"]["one"]["opened"], 1);
}
