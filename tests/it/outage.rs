//! The main promise end to end: meters that count, a real broker, an oracle between, and misfortune at random moments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::scene::{PATIENCE, SOON, Scene, counting_meter, follow, seed, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::Mosquitto;
use crate::sim::daemon::Daemon;
use crate::sim::image::Counting;
use crate::sim::ledger::{Ledger, Source};
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;

const LINES: u8 = 4;
const UNITS: u8 = 5;

struct Plant {
    scene: Scene,
    ledger: Arc<Ledger>,
    _meters: Vec<ModbusTcp>,
    broker: Mosquitto,
    relay: Relay,
    daemon: Daemon,
    chance: fastrand::Rng,
}

impl Plant {
    fn start(chance: fastrand::Rng) -> Self {
        let (scene, ledger, broker) = (Scene::new(), Arc::new(Ledger::default()), Mosquitto::start());
        let relay = Relay::start(broker.address());
        let mut text = scene.head("g-1", relay.address());
        let mut meters = Vec::new();
        for line in 1..=LINES {
            let name = format!("line-{line}");
            let server = ModbusTcp::start(&name, Counting { units: UNITS }, &ledger);
            text += &tcp_bus(&name, server.address());
            meters.push(server);
            for unit in 1..=UNITS {
                text += &counting_meter(&meter(&(name.clone(), unit)), &name, unit, "200ms");
            }
        }
        scene.write(&text);
        let daemon = scene.start();
        Self { scene, ledger, _meters: meters, broker, relay, daemon, chance }
    }

    /// One kill, one restart of the broker and one trouble with the link, in any order, at random moments.
    fn round(&mut self) {
        let mut misfortunes = [Self::kill_the_daemon, Self::restart_the_broker, Self::trouble_the_link];
        self.chance.shuffle(&mut misfortunes);
        for misfortune in misfortunes {
            self.pause(1_200);
            misfortune(self);
        }
    }

    fn kill_the_daemon(&mut self) {
        self.daemon.kill();
        self.pause(300);
        // Killed before it was ready, now and then.
        self.daemon = if self.chance.u8(..4) == 0 { self.scene.start_unready() } else { self.scene.start() };
    }

    fn restart_the_broker(&mut self) {
        self.broker.kill();
        self.pause(1_500);
        if self.chance.u8(..3) == 0 {
            self.kill_the_daemon();
        }
        self.broker.restart();
    }

    fn trouble_the_link(&mut self) {
        match self.chance.u8(..5) {
            0 => self.relay.cut(),
            1 => {
                self.relay.refuse(true);
                self.pause(1_500);
                self.relay.refuse(false);
            }
            2 => {
                self.relay.close();
                self.pause(1_500);
                self.relay.open();
            }
            3 => {
                self.relay.stall(true);
                self.pause(1_500);
                self.relay.cut();
                self.relay.stall(false);
            }
            _ => {
                self.relay.swallow_acks(true);
                self.pause(500);
                self.relay.cut();
                self.relay.swallow_acks(false);
            }
        }
    }

    fn pause(&mut self, at_most_ms: u64) {
        thread::sleep(Duration::from_millis(self.chance.u64(..at_most_ms)));
    }
}

fn meter((line, unit): &Source) -> String {
    format!("{line}-{unit}")
}

/// What was handed out and has not arrived, by meter.
pub fn missing(
    handed_out: &BTreeMap<Source, BTreeSet<u64>>,
    account: &Account,
    name: impl Fn(&Source) -> String,
) -> BTreeMap<String, BTreeSet<u64>> {
    let arrived = account.counts("count");
    let mut missing: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (source, counts) in handed_out {
        let meter = name(source);
        let here = arrived.get(&meter).cloned().unwrap_or_default();
        let absent: BTreeSet<u64> = counts.difference(&here).copied().collect();
        if !absent.is_empty() {
            missing.insert(meter, absent);
        }
    }
    missing
}

#[test]
fn every_count_handed_out_arrives_through_kills_restarts_and_cuts() {
    let rounds = std::env::var("DISTRICTD_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    let mut plant = Plant::start(fastrand::Rng::with_seed(seed("outage")));
    for _ in 0..rounds {
        plant.round();
    }
    let handed_out = plant.ledger.handed_out();
    let mut account = Account::default();
    let complete = follow(&plant.relay, &mut account, PATIENCE, |account| missing(&handed_out, account, meter).is_empty());
    assert!(complete, "lost: {:?}\n{}", missing(&handed_out, &account, meter), plant.daemon.log());

    plant.daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(plant.daemon.wait_code(SOON), Some(0));
    let handed_out = plant.ledger.handed_out();
    follow(&plant.relay, &mut account, Duration::ZERO, |_| true);
    let lost = missing(&handed_out, &account, meter);
    assert!(lost.is_empty(), "lost at the end: {lost:?}\n{}", plant.daemon.log());
    let total = plant.ledger.total();
    println!("outage: {total} handed out, {} arrived, {} duplicates", account.arrived.len(), account.duplicates);
    assert!(total > 20 * rounds, "hardly anything was polled: {total}");
    judge(&plant.relay, &account);
}

/// One key, one content, also of what was sent and never acknowledged; no hole in any sequence; all values true to their count.
fn judge(relay: &Relay, account: &Account) {
    let published = relay.traffic().look(|traffic| traffic.published.clone());
    let sent = Account::of(&published);
    assert_eq!(sent.wrongs, Vec::<String>::new());
    assert_eq!(account.wrongs, Vec::<String>::new());
    assert_eq!(account.holes(), Vec::<String>::new());
    assert_eq!(account.counted_twice("count"), Vec::<String>::new());
    assert_eq!(relay.traffic().look(|traffic| traffic.violations.clone()), Vec::<String>::new());
    for arrived in &sent.arrived {
        let sweep = &arrived.sweep;
        let Some(count) = sweep.values.get("count") else { continue };
        let count: u64 = count.as_str().expect("a u64 is a string").parse().unwrap();
        let unit: u8 = sweep.meter.rsplit('-').next().unwrap().parse().unwrap();
        let level = sweep.values["level"].to_string().parse::<f32>().unwrap();
        assert!((level - Counting::float(unit, 0, count)).abs() < f32::EPSILON, "{sweep:?}");
    }
}
