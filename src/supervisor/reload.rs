//! What a new configuration changes in a running daemon. Pure.
//!
//! Always true here: a bus whose wire and meters are the same is not touched. Deliberately absent: starting and stopping.

use crate::config::model::{Bus, Config};

/// What has to happen so that the new configuration is in force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Names of buses that end: they are gone, or their settings or meters changed.
    pub stop: Vec<Box<str>>,
    /// Names of buses of the new configuration that begin.
    pub start: Vec<Box<str>>,
    /// Whether the uplink has to be built anew.
    pub uplink: bool,
    /// Tables whose changes take effect only at the next start, and keep the whole edit waiting until then: readings of one run
    /// have one gateway and one spool.
    pub later: Vec<&'static str>,
}

/// Compares what runs with what should run.
#[must_use]
pub fn difference(running: &Config, wanted: &Config) -> Difference {
    let mut later = Vec::new();
    if running.gateway != wanted.gateway {
        later.push("gateway");
    }
    if running.spool != wanted.spool || running.uplink.batch_age != wanted.uplink.batch_age {
        later.push("spool (and uplink.batch-age)");
    }
    Difference {
        stop: missing_or_changed(&running.buses, &wanted.buses),
        start: missing_or_changed(&wanted.buses, &running.buses),
        uplink: running.uplink != wanted.uplink,
        later,
    }
}

/// Names of those of `these` that do not stand in `others` exactly so.
fn missing_or_changed(these: &[Bus], others: &[Bus]) -> Vec<Box<str>> {
    these.iter().filter(|bus| !others.contains(bus)).map(|bus| bus.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::model::{Broker, Framing, Gateway, Line, Meter, Spool, Tcp, Uplink};
    use crate::reading::{Keep, MeterSchema, SchemaContent};

    fn meter(name: &str) -> Meter {
        let content =
            SchemaContent { gateway: "g".into(), district: "d".into(), meter: name.into(), keep: Keep::Normal, points: vec![] };
        Meter {
            name: name.into(),
            unit: 1,
            every: Duration::from_secs(1),
            is_urgent: false,
            is_aligned: false,
            pause: Duration::ZERO,
            max_registers: 125,
            max_gap: None,
            even_registers: false,
            points: vec![],
            schema: Arc::new(MeterSchema::new(content)),
        }
    }

    fn bus(name: &str) -> Bus {
        Bus {
            name: name.into(),
            line: Line::Tcp(Tcp { host: "h".into(), port: 502, framing: Framing::Tcp }),
            timeout: Duration::from_secs(1),
            quarantine: Duration::ZERO,
            probe_share: 5,
            overload_is_allowed: false,
            meters: vec![meter("m")],
        }
    }

    fn config() -> Config {
        Config {
            gateway: Gateway { name: "g".into(), district: "d".into(), state: "/s".into() },
            uplink: Uplink {
                brokers: vec![Broker { tls: false, host: "b".into(), port: 1883 }],
                client_id: "c".into(),
                username: None,
                password_file: None,
                ca_file: None,
                keep_alive: Duration::from_secs(30),
                batch_age: Duration::from_millis(500),
            },
            spool: Spool { path: "/p".into(), journal: "/j".into(), window: Duration::from_secs(2), max_size: 1 },
            buses: vec![bus("a"), bus("b")],
            hash: "h".into(),
        }
    }

    #[test]
    fn the_same_configuration_changes_nothing() {
        assert_eq!(difference(&config(), &config()), Difference::default());
    }

    #[test]
    fn only_the_bus_with_a_changed_meter_is_touched() {
        let mut wanted = config();
        wanted.buses[1].meters[0].every = Duration::from_secs(9);
        let difference = difference(&config(), &wanted);
        assert_eq!((difference.stop, difference.start), (vec!["b".into()], vec!["b".into()]));
        assert!(!difference.uplink && difference.later.is_empty());
    }

    #[test]
    fn a_bus_that_is_gone_ends_and_a_new_one_begins() {
        let mut wanted = config();
        wanted.buses[0].name = "c".into();
        let difference = difference(&config(), &wanted);
        assert_eq!((difference.stop, difference.start), (vec!["a".into()], vec!["c".into()]));
    }

    #[test]
    fn another_name_or_another_spool_waits_for_the_next_start() {
        let mut wanted = config();
        wanted.gateway.name = "g2".into();
        wanted.spool.max_size = 2;
        assert_eq!(difference(&config(), &wanted).later.len(), 2);
    }
}
