//! Whatever it finds at its start, it says so clearly, runs, and tries again.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::outage::missing;
use crate::scene::{PATIENCE, SOON, Scene, counting_meter, follow, tcp_bus};
use crate::sim::account::Account;
use crate::sim::broker::{Mosquitto, free_address};
use crate::sim::daemon::Daemon;
use crate::sim::hostile::Temper;
use crate::sim::image::Counting;
use crate::sim::ledger::{Ledger, Source};
use crate::sim::line;
use crate::sim::modbus_tcp::ModbusTcp;
use crate::sim::relay::Relay;
use crate::sim::rtu::Slaves;

struct Plant {
    scene: Scene,
    ledger: Arc<Ledger>,
    broker: Mosquitto,
    relay: Relay,
    server: ModbusTcp,
}

fn plant() -> Plant {
    let (ledger, broker) = (Arc::new(Ledger::default()), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let server = ModbusTcp::start("good", Counting { units: 1 }, &ledger);
    Plant { scene: Scene::new(), ledger, broker, relay, server }
}

impl Plant {
    /// The head, and one meter that is well.
    fn text(&self) -> String {
        let bus = tcp_bus("good", self.server.address());
        self.scene.head("g-1", self.relay.address()) + &bus + &counting_meter("well", "good", 1, "200ms")
    }

    /// Waits for good values of a meter.
    fn wait_values(&self, daemon: &Daemon, meter: &str) {
        let mut account = Account::default();
        let good = |account: &Account| account.counts("count").get(meter).is_some_and(|counts| counts.len() > 2);
        assert!(follow(&self.relay, &mut account, PATIENCE, good), "nothing of {meter}\n{}", daemon.log());
    }
}

#[test]
fn a_serial_port_that_is_not_there_is_named_and_polled_when_it_comes() {
    let plant = plant();
    let port = plant.scene.path("ttyUSB7");
    let bus = format!("[bus.cabinet]\nserial = '{}'\nparity = \"none\"\n\n", port.display());
    plant.scene.write(&(plant.text() + &bus + &counting_meter("late", "cabinet", 1, "200ms")));
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &["ttyUSB7"]);
    plant.wait_values(&daemon, "well");
    let (line, path) = line::pty();
    Slaves::start(line, "cabinet", Counting { units: 1 }, Temper::Honest, &plant.ledger);
    symlink(path, port).unwrap();
    plant.wait_values(&daemon, "late");
}

#[test]
fn a_meter_that_refuses_the_connection_is_named_and_polled_when_it_comes() {
    let plant = plant();
    let address = free_address();
    let text = plant.text() + &tcp_bus("pump", address) + &counting_meter("late", "pump", 1, "200ms");
    plant.scene.write(&text);
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &["pump", "refused"]);
    plant.wait_values(&daemon, "well");
    let _server = ModbusTcp::start_at(address, "pump", Counting { units: 1 }, &plant.ledger);
    plant.wait_values(&daemon, "late");
}

#[test]
fn a_broker_out_of_reach_is_named_and_gets_everything_when_it_comes() {
    let plant = plant();
    let address = free_address();
    plant.scene.write(&plant.text().replace(&plant.relay.address().to_string(), &address.to_string()));
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &["WARN", &address.to_string(), "refuses connections"]);
    assert!(plant.ledger.wait_total(SOON, 10), "{}", daemon.log());
    let handed_out = plant.ledger.handed_out();
    let relay = Relay::start_at(address, plant.broker.address());
    let mut account = Account::default();
    let name = |_: &Source| "well".to_owned();
    let complete = follow(&relay, &mut account, PATIENCE, |account| missing(&handed_out, account, name).is_empty());
    assert!(complete, "{:?}\n{}", missing(&handed_out, &account, name), daemon.log());
    assert!(account.backlog() > 0);
}

#[test]
fn a_journal_that_is_not_on_tmpfs_is_warned_of_and_used() {
    let plant = plant();
    let journal = plant.scene.path("journal");
    if rustix::fs::statfs(env!("CARGO_TARGET_TMPDIR")).unwrap().f_type == 0x0102_1994 {
        return println!("skipped: the target folder is on tmpfs itself");
    }
    let text = plant.text().replace(plant.scene.journal().to_str().unwrap(), journal.to_str().unwrap());
    plant.scene.write(&text);
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &["WARN", "tmpfs"]);
    plant.wait_values(&daemon, "well");
    assert!(journal.is_dir());
}

#[test]
fn a_spool_path_that_cannot_be_written_is_named_and_tried_again() {
    let plant = plant();
    let spool = plant.scene.path("spool");
    std::fs::write(&spool, "a file where the folder should be").unwrap();
    plant.scene.write(&plant.text());
    let daemon = plant.scene.start();
    daemon.wait_log(SOON, &[spool.to_str().unwrap()]);
    plant.wait_values(&daemon, "well");
    std::fs::remove_file(&spool).unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    while !spool.is_dir() {
        assert!(std::time::Instant::now() < end, "never tried again\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    outlives_an_outage(&plant, &daemon);
}

/// Readings of an outage that outlasts the window arrive after it, through a kill.
fn outlives_an_outage(plant: &Plant, daemon: &Daemon) {
    plant.relay.refuse(true);
    let before = plant.ledger.total();
    assert!(plant.ledger.wait_total(SOON, before + 20));
    daemon.kill();
    let handed_out = plant.ledger.handed_out();
    plant.relay.refuse(false);
    let daemon = plant.scene.start();
    let mut account = Account::default();
    let name = |_: &Source| "well".to_owned();
    let complete = follow(&plant.relay, &mut account, PATIENCE, |account| missing(&handed_out, account, name).is_empty());
    assert!(complete, "{:?}\n{}", missing(&handed_out, &account, name), daemon.log());
}

/// A daemon whose spool stands on a small file system of its own that is full to the last byte; `None` where that is not allowed.
fn start_on_a_full_disk(scene: &Scene) -> Option<Daemon> {
    let flags = ["-m", "-rm"].into_iter().find(|flags| {
        let mounts = Command::new("unshare").args([flags, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
        mounts.is_ok_and(|output| output.status.success())
    })?;
    let spool = scene.path("spool");
    std::fs::create_dir(&spool).unwrap();
    let script = "mount -t tmpfs -o size=48m tmpfs \"$0\" && { cat /dev/zero > \"$0/fill\" 2>/dev/null; exec \"$@\"; }";
    let districtd = scene.command("run");
    let mut command = Command::new("unshare");
    command.args([flags, "sh", "-c", script]).arg(spool).arg(districtd.get_program()).args(districtd.get_args());
    Some(Daemon::start(command))
}

#[test]
fn a_full_disk_at_the_start_is_named_and_used_when_there_is_room() {
    let plant = plant();
    plant.scene.write(&plant.text().replace("64MiB", "16MiB"));
    let Some(daemon) = start_on_a_full_disk(&plant.scene) else {
        return println!("skipped: no file system can be mounted here");
    };
    daemon.wait_ready(SOON);
    daemon.wait_log(SOON, &["WARN", "spool", "full"]);
    plant.wait_values(&daemon, "well");
    // Room again, seen from the process's own view of the mounts.
    let inside = format!("/proc/{}/root{}", daemon.pid(), plant.scene.path("spool").display());
    std::fs::remove_file(format!("{inside}/fill")).unwrap();
    let end = std::time::Instant::now() + PATIENCE;
    while !holds_a_database(&inside) {
        assert!(std::time::Instant::now() < end, "never tried again\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(daemon.runs());
}

/// Whether anything but the lock of the spool stands there.
fn holds_a_database(folder: &str) -> bool {
    let size = |entry: std::fs::DirEntry| entry.metadata().map_or(0, |metadata| metadata.len());
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| entry.path().is_dir() || size(entry) > 4096)
}

#[test]
fn an_address_that_never_answers_keeps_nothing_else_waiting() {
    let plant = plant();
    // Listens and never accepts, so that requests go out and nothing comes back.
    let silent = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let bus = tcp_bus("deaf", silent.local_addr().unwrap());
    plant.scene.write(&(plant.text() + &bus + &counting_meter("dead", "deaf", 1, "200ms")));
    let daemon = plant.scene.start();
    plant.wait_values(&daemon, "well");
    let mut account = Account::default();
    let told = |account: &Account| {
        let dead = |arrived: &&crate::sim::account::Arrived| arrived.sweep.meter == "dead";
        account.arrived.iter().find(dead).is_some_and(|arrived| {
            arrived.sweep.values.is_empty() && arrived.sweep.quality.get("count").map(String::as_str) == Some("timeout")
        })
    };
    assert!(follow(&plant.relay, &mut account, PATIENCE, told), "{}", daemon.log());
}
