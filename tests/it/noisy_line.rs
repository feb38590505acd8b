//! Slaves that answer late, twice, cut, as another, at the wrong length and after noise: none of it ever becomes a value.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::scene::{SOON, Scene, follow, full, point, seed};
use crate::sim::account::{Account, Arrived, number};
use crate::sim::broker::Mosquitto;
use crate::sim::daemon::Daemon;
use crate::sim::hostile::{Hostile, Temper};
use crate::sim::image::Telltale;
use crate::sim::line;
use crate::sim::pdu::Table;
use crate::sim::relay::Relay;
use crate::sim::rtu::{Record, Slaves};
use crate::sim::watched::Watched;

const TIMEOUT: Duration = Duration::from_millis(5);
const SERIAL_LINES: u64 = 3;

/// Addresses of the points of units 1 to 3: merged ones, some of two lengths, some of the same length far apart.
const POINTS: [&[u16]; 3] = [&[0, 4], &[8, 2000], &[100, 300, 500]];

struct Noise {
    name: String,
    record: Arc<Watched<Record>>,
}

impl Noise {
    fn requests(&self) -> usize {
        self.record.look(|record| record.asked.len())
    }
}

/// A serial line or a device server, with its slaves, and its configuration.
fn noisy(number: u64, seed: u64) -> (Noise, String) {
    let name = format!("noise-{number}");
    let temper = Temper::Hostile(Hostile::new(seed.wrapping_add(number), TIMEOUT));
    let (line, place) = if number <= SERIAL_LINES {
        let (line, path) = line::pty();
        (line, format!("serial = '{}'\nbaud = 115200\nparity = \"none\"\n", path.display()))
    } else {
        let (line, address) = line::device_server();
        (line, format!("tcp = \"{address}\"\nframing = \"rtu\"\n"))
    };
    let record = Slaves::start(line, &name, Telltale { units: 3 }, temper, &Arc::default());
    let mut text = format!("[bus.{name}]\n{place}timeout = \"5ms\"\nquarantine = \"15ms\"\noverload = \"allow\"\n\n");
    for (unit, addresses) in (1..).zip(POINTS) {
        let meter = format!("{name}-{unit}");
        write!(text, "[meter.{meter}]\nbus = \"{name}\"\nunit = {unit}\nevery = \"20ms\"\n\n").unwrap();
        for address in addresses {
            text += &point(&meter, &format!("at-{address}"), *address, if *address < 2000 { "u64" } else { "u32" }, "");
        }
    }
    (Noise { name, record }, text)
}

#[test]
fn twenty_thousand_answers_of_hostile_slaves_give_no_wrong_value_and_no_bus_restarts() {
    let (scene, broker) = (Scene::new(), Mosquitto::start());
    let relay = Relay::start(broker.address());
    let seed = seed("noisy line");
    let (lines, texts): (Vec<Noise>, Vec<String>) = (1..=SERIAL_LINES + 1).map(|number| noisy(number, seed)).unzip();
    scene.write(&(scene.head("g-1", relay.address()) + &texts.concat()));
    let daemon = scene.start();

    let limit = Duration::from_secs(if full() { 1_200 } else { 420 });
    let mut account = Account::default();
    assert!(follow(&relay, &mut account, limit, |_| enough(&lines)), "not enough requests in {limit:?}\n{}", daemon.log());

    no_restarts(&scene, &daemon);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.wait_code(SOON), Some(0), "{}", daemon.log());
    follow(&relay, &mut account, Duration::ZERO, |_| true);
    assert_eq!(account.wrongs, Vec::<String>::new());
    for noise in &lines {
        judge(noise, &account);
    }
}

/// 20,000 requests: in the quick tier by all lines together, in the full one by each serial line.
fn enough(lines: &[Noise]) -> bool {
    const WANTED: usize = 20_000;
    let requests = lines.iter().map(Noise::requests);
    if full() { requests.filter(|requests| *requests >= WANTED).count() >= 3 } else { requests.sum::<usize>() >= WANTED }
}

/// The status of the running daemon says so, and its log holds no panic.
fn no_restarts(scene: &Scene, daemon: &Daemon) {
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    let output = scene.command("status").arg("--json").output().unwrap();
    let status: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let mut found = BTreeMap::new();
    restarts(&status, "", &mut found);
    assert!(found.len() > usize::try_from(SERIAL_LINES).unwrap(), "{status}");
    assert!(found.values().all(|restarts| *restarts == 0), "{found:?}");
}

/// Every `restarts` anywhere in the status.
fn restarts(status: &Json, place: &str, found: &mut BTreeMap<String, u64>) {
    for (key, value) in status.as_object().into_iter().flatten() {
        match value.as_u64() {
            Some(restarts) if key == "restarts" => _ = found.insert(place.to_owned(), restarts),
            _ => restarts_below(value, &format!("{place}/{key}"), found),
        }
    }
}

fn restarts_below(value: &Json, place: &str, found: &mut BTreeMap<String, u64>) {
    restarts(value, place, found);
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        restarts(item, &format!("{place}/{index}"), found);
    }
}

fn judge(noise: &Noise, account: &Account) {
    let meters: Vec<String> = (1..=POINTS.len()).map(|unit| format!("{}-{unit}", noise.name)).collect();
    let mut good = 0;
    noise.record.look(|record| {
        println!(
            "{}: {} requests, {} withheld, {} strays, {} of {} silences too short, {:?}",
            noise.name,
            record.asked.len(),
            record.withheld,
            record.strays,
            record.hasty,
            record.silences,
            record.mischief
        );
        let truths = truths(record);
        let mut wrong = Vec::new();
        for arrived in account.arrived.iter().filter(|arrived| meters.contains(&arrived.sweep.meter)) {
            for (name, value) in &arrived.sweep.values {
                match true_value(&truths, arrived, name, number(value)) {
                    Ok(()) => good += 1,
                    Err(why) => wrong.push(format!("{} {name} {value}: {why}", arrived.sweep.meter)),
                }
            }
        }
        assert!(wrong.is_empty(), "{} wrong values, the first: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
        assert!(record.mischief.len() == 7, "{:?}", record.mischief);
        assert!(good * 4 > record.asked.len(), "only {good} good values from {} requests", record.asked.len());
    });
    etiquette(noise);
}

/// By unit and address: the moments at which that point was asked for, and when that was in Unix milliseconds; in order.
type Truths = BTreeMap<(u8, u16), Vec<(u64, u128)>>;

fn truths(record: &Record) -> Truths {
    let mut truths = Truths::new();
    for (unit, addresses) in (1..).zip(POINTS) {
        for address in addresses {
            let moments = record.moments_of(unit, Table::Holding, *address, width(*address));
            truths.insert((unit, *address), moments.map(|(moment, asked)| (moment, asked.at_us / 1_000)).collect());
        }
    }
    truths
}

fn width(address: u16) -> u16 {
    if address < 2000 { 4 } else { 2 }
}

/// A master leaves t3.5 of silence between an answer and its next request (V1.02, 2.5.1.1).
fn etiquette(noise: &Noise) {
    let (strays, hasty, silences) = noise.record.look(|record| (record.strays, record.hasty, record.silences));
    assert_eq!(strays, 0, "bytes that are no request");
    assert!(hasty * 100 < silences, "{hasty} of {silences} requests came too early");
}

/// Whether the value is the answer to the latest request for its registers when the sweep was taken.
fn true_value(truths: &Truths, arrived: &Arrived, name: &str, value: Option<u64>) -> Result<(), String> {
    let value = value.ok_or("not an integer")?;
    let unit: u8 = arrived.sweep.meter.rsplit('-').next().unwrap().parse().unwrap();
    let address: u16 = name.trim_start_matches("at-").parse().unwrap();
    let expected = |moment| match width(address) {
        4 => Telltale::wide(unit, Table::Holding, address, moment),
        _ => u64::from(Telltale::narrow(unit, address, moment)),
    };
    let ts = u128::try_from(arrived.sweep.ts).map_err(|_| "before 1970")?;
    let asked = &truths[&(unit, address)];
    // Within the millisecond of the stamp the next poll may have begun already.
    let (before, until) = (asked.partition_point(|(_, at)| *at < ts), asked.partition_point(|(_, at)| *at <= ts));
    let candidates = &asked[before.saturating_sub(1)..until];
    if candidates.iter().any(|(moment, _)| expected(*moment) == value) {
        return Ok(());
    }
    let told: Vec<String> = candidates.iter().map(|(moment, at)| format!("{:x} asked at {at}", expected(*moment))).collect();
    Err(format!("{value:x} at {ts}, expected {told:?}"))
}
