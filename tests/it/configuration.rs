//! What becomes of a start with a bad configuration, and of a second daemon on the same spool.

use std::process::Output;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::scene::{SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::Mosquitto;
use crate::sim::daemon::Daemon;
use crate::sim::image::Counting;
use crate::sim::ledger::Ledger;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

struct Plant {
    scene: Scene,
    _broker: Mosquitto,
    relay: Relay,
    _server: ModbusTcp,
    good: String,
}

fn plant() -> Plant {
    let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("line", Counting { units: 1 }, &ledger);
    let bus = tcp_bus("line", server.address());
    let good = scene.head("g-1", relay.address()) + &bus + &counting_meter("m", "line", 1, "200ms");
    scene.write(&good);
    Plant { scene, _broker: broker, relay, _server: server, good }
}

impl Plant {
    /// Two mistakes, as they are made.
    fn spoil(&self) {
        self.scene.write(&self.good.replace("register = \"holding\"\naddress = 0", "regster = \"holding\"\naddress = 70000"));
    }

    /// The latest retained status that the broker acknowledged.
    fn status(&self) -> Option<Json> {
        let delivered = self.relay.delivered(0);
        let status = delivered.iter().rfind(|message| message.topic == "districtd/d/g-1/status" && message.retain)?;
        serde_json::from_slice(&status.payload).ok()
    }

    fn wait_sweeps(&self, daemon: &Daemon) {
        let mut account = Account::default();
        let before = self.relay.delivered(0).len();
        let more = |account: &Account| account.messages() > before && account.arrived.last().is_some_and(|last| !last.replay);
        assert!(follow(&self.relay, &mut account, SOON, more), "{}", daemon.log());
    }
}

fn end(daemon: &Daemon) {
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait_code(SOON), Some(0), "{}", daemon.log());
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn after_a_bad_edit_the_last_good_configuration_runs_and_everybody_is_told() {
    let plant = plant();
    let daemon = plant.scene.start();
    plant.wait_sweeps(&daemon);
    let birth = plant.status().expect("a retained status");
    assert_eq!(birth["online"], true, "{birth}");
    assert!(!birth.to_string().contains("last-good"), "{birth}");
    end(&daemon);

    plant.spoil();
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &["WARN", "last good"]);
    daemon.wait_log(SOON, &["regster"]);
    plant.wait_sweeps(&daemon);
    let birth = plant.status().expect("a retained status");
    assert_eq!(birth["online"], true, "{birth}");
    assert!(birth.to_string().contains("last-good"), "{birth}");
    let told = |from: &[crate::sim::relay::Message]| {
        let event = |message: &crate::sim::relay::Message| message.topic.ends_with("/event");
        from.iter().any(|message| event(message) && String::from_utf8_lossy(&message.payload).contains("last-good"))
    };
    assert!(plant.relay.traffic().wait(SOON, |traffic| told(&traffic.delivered).then_some(())).is_some(), "no event");
    end(&daemon);
}

#[test]
fn without_a_last_good_configuration_the_start_ends_with_78_before_anything_is_opened() {
    let plant = plant();
    plant.spoil();
    let daemon = plant.scene.start_unready();
    assert_eq!(daemon.wait_code(SOON), Some(78), "{}", daemon.log());
    assert!(daemon.log().contains("regster"), "{}", daemon.log());
    assert_eq!(plant.relay.traffic().look(|traffic| traffic.connections), 0);
    assert!(!plant.scene.journal().exists() && !plant.scene.path("spool").exists());
}

#[test]
fn a_strict_start_ends_with_78_though_there_is_a_last_good_configuration() {
    let plant = plant();
    end(&plant.scene.start());
    plant.spoil();
    let mut strict = plant.scene.command("run");
    strict.arg("--strict");
    let daemon = Daemon::start(strict);
    assert_eq!(daemon.wait_code(SOON), Some(78), "{}", daemon.log());
}

#[test]
fn check_names_every_mistake_with_its_place_and_ends_with_78_and_a_good_file_with_0() {
    let plant = plant();
    let output = plant.scene.command("check").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    plant.spoil();
    let output = plant.scene.command("check").output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    let said = text(&output);
    let line = |word: &str| {
        let edited = std::fs::read_to_string(plant.scene.config()).unwrap();
        1 + edited.lines().position(|line| line.contains(word)).unwrap()
    };
    for word in ["regster", "70000"] {
        assert!(said.contains(word) && said.contains(&format!("districtd.toml:{}:", line(word))), "{word}:\n{said}");
    }
}

#[test]
fn a_second_daemon_on_the_same_spool_ends_with_75_and_names_the_first() {
    let plant = plant();
    let first = plant.scene.start();
    plant.wait_sweeps(&first);
    let second = plant.scene.start_unready();
    assert_eq!(second.wait_code(SOON), Some(75), "{}", second.log());
    assert!(second.log().contains(&first.pid().to_string()), "{}", second.log());
    plant.wait_sweeps(&first);
    end(&first);
}
