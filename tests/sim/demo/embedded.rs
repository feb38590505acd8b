//! A broker in a process of its own: rumqttd, which cannot be stopped from within, but killed like any other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::sim::broker::{free_address, listening};

/// First argument by which the demo becomes the broker.
pub const AS_BROKER: &str = "as-broker";

/// The broker, while it runs.
#[derive(Debug)]
pub struct Embedded {
    address: SocketAddr,
    child: Option<Child>,
}

impl Embedded {
    /// Starts it on a free port and returns when it takes connections.
    pub fn start() -> Self {
        let mut broker = Self { address: free_address(), child: None };
        broker.restart();
        broker
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it was started and not killed.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Starts it on its port, without anything it knew before.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(std::env::current_exe().expect("a path of its own"));
        command.arg(AS_BROKER).arg(self.address.to_string());
        // A group of its own, so that Ctrl-C reaches the demo alone.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the demo can be started once more");
        assert!(listening(self.address, || matches!(child.try_wait(), Ok(None))), "the broker does not start");
        self.child = Some(child);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs the broker until killed, by the demo or by its end.
pub fn be_the_broker(address: &str) -> ExitCode {
    set_parent_process_death_signal(Some(Signal::KILL)).ok();
    let Ok(listen) = address.parse() else { return ExitCode::from(2) };
    let connections = ConnectionSettings {
        connection_timeout_ms: 60_000,
        max_payload_size: 1 << 20,
        max_inflight_count: 100,
        auth: None,
        external_auth: None,
        // Without it a message that nobody subscribed to is neither kept nor acknowledged.
        dynamic_filters: true,
    };
    let server = ServerSettings { name: "demo".into(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: 16,
        max_outgoing_packet_count: 200,
        max_segment_size: 1 << 20,
        max_segment_count: 4,
        ..RouterConfig::default()
    };
    let config = Config { router, v4: Some(HashMap::from([("demo".into(), server)])), ..Config::default() };
    match Broker::new(config).start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
