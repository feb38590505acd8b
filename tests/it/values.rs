//! A shipped configuration, from its text to what a meter's registers mean by it.
#![expect(clippy::expect_used, reason = "a test without its configuration has nothing to say")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use districtd::config::environment::Environment;
use districtd::config::load;
use districtd::config::model::Meter;
use districtd::driver::modbus::{LineCost, poll};
use districtd::driver::{Ask, Heard, Step};
use districtd::reading::{BootId, Quality, Stamp, Sweep};

const NOW: Stamp = Stamp { wall_ms: 1_763_834_400_000, boot: BootId(1), boot_ms: 1, synchronised: true };

fn inverter() -> Arc<Meter> {
    let environment =
        Environment::new([("RUNTIME_DIRECTORY", "/run/districtd")].map(|(k, v)| (OsString::from(k), OsString::from(v))));
    let loaded = load::load(Path::new("configs/examples/sunspec.toml"), &environment);
    let config = loaded.config.expect("the example is part of the repository and right");
    Arc::new(config.buses.into_iter().next().expect("a bus").meters.into_iter().next().expect("a meter"))
}

/// Carries out a poll against these registers; all others hold 0x8000, "not implemented". The values, and the requests.
fn read(meter: &Arc<Meter>, registers: &[(u16, u16)]) -> (BTreeMap<String, String>, Vec<Ask>) {
    let line = LineCost { per_register: Duration::from_millis(2), per_request: Duration::from_millis(40) };
    let registers: BTreeMap<u16, u16> = registers.iter().copied().collect();
    let mut dialogue = poll(meter, &line);
    let (mut heard, mut asked) = (Heard::Nothing, Vec::new());
    loop {
        match dialogue.step(heard, &NOW) {
            Step::Ask(ask) => {
                let words = (ask.address..ask.address + ask.count).map(|at| registers.get(&at).copied().unwrap_or(0x8000));
                heard = Heard::Words(words.collect());
                asked.push(ask);
            }
            Step::Wait(_) => heard = Heard::Nothing,
            Step::Done(sweeps) => return (sweeps.iter().flat_map(told).collect(), asked),
        }
    }
}

/// Names and values, or the reasons why there is none.
fn told(sweep: &Sweep) -> Vec<(String, String)> {
    let one = |(place, value, quality): &(u16, _, Quality)| {
        let name = sweep.schema.points.get(usize::from(*place)).map(|point| point.name.to_string()).unwrap_or_default();
        match quality {
            Quality::Good => (name, format!("{value}")),
            Quality::Bad(reason) => (name, reason.to_string()),
        }
    };
    sweep.values.iter().map(one).collect::<Vec<(String, String)>>()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_inverter_by_sunspec_says_what_its_integers_and_factors_mean() {
    let registers = [
        (40_072, 1234),
        (40_076, 0xFFFE),
        (40_080, 2301),
        (40_083, 0xFFFF),
        (40_084, 0xFED4),
        (40_085, 1),
        (40_094, 0x0001),
        (40_095, 0xE240),
        (40_096, 2),
        (40_108, 4),
    ];
    let (values, asked) = read(&inverter(), &registers);
    let told =
        [("current", "12.34"), ("voltage_l1", "230.1"), ("active_power", "-3.00"), ("energy", "12345600"), ("state", "mppt")];
    assert_eq!(values, expected(&told));
    assert_eq!(asked.len(), 1, "one block of the model: {asked:?}");
}

#[test]
fn an_inverter_at_night_has_no_values_and_no_wrong_ones() {
    let registers = [(40_072, 0xFFFF), (40_076, 0xFFFE), (40_080, 2301), (40_094, 0), (40_095, 0), (40_096, 0), (40_108, 9)];
    let (values, _) = read(&inverter(), &registers);
    let told =
        [("current", "invalid"), ("voltage_l1", "invalid"), ("active_power", "invalid"), ("energy", "invalid"), ("state", "9")];
    assert_eq!(values, expected(&told), "marks, factors that are not there, and a state that nobody listed");
}
