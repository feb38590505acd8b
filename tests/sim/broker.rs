//! A real mosquitto that can be killed and started again on its port.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A mosquitto without persistence: what it was told before a kill it does not know after.
#[derive(Debug)]
pub struct Mosquitto {
    address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl Mosquitto {
    /// Starts one on a free port of the loopback and returns when it takes connections.
    pub fn start() -> Self {
        let address = free_address();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nlog_dest stderr\n{}",
            address.port(),
            // As root it would give up its rights and could then not read its own folder.
            if rustix::process::geteuid().is_root() { "user root\n" } else { "" },
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self { address, folder, child: None };
        broker.restart();
        broker
    }

    /// Where it listens, or listened.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Kills it if it runs, starts it on the same port and returns when it takes connections.
    pub fn restart(&mut self) {
        self.kill();
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let path = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let start = |program: &&str| {
            let mut command = Command::new(program);
            command.arg("-c").arg(self.folder.path().join("mosquitto.conf"));
            command.stdout(Stdio::null()).stderr(log.try_clone().unwrap()).spawn().ok()
        };
        let mut child = path.iter().find_map(start).expect("mosquitto is not installed (apt-get install mosquitto)");
        assert!(listening(self.address, || child.try_wait().unwrap().is_none()), "mosquitto: {}", self.log());
        self.child = Some(child);
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An address of the loopback at which nobody listens now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Tries to connect until somebody listens, or `alive` says that nobody will.
pub fn listening(address: SocketAddr, mut alive: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end && alive() {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5)); // a refused connection is the only thing to ask
    }
    false
}
