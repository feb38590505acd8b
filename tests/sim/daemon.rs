//! The daemon as a process of its own: its log, its words to the service manager, its end.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::watched::Watched;

/// A daemon that was started. It is killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    pid: Pid,
    life: Arc<Watched<Life>>,
    _socket: TempDir,
}

#[derive(Debug, Default)]
struct Life {
    log: Vec<String>,
    /// What it told the service manager (sd_notify(3)), one assignment each.
    told: Vec<String>,
    output_ended: u8,
    status: Option<ExitStatus>,
}

impl Daemon {
    /// Starts `command` with a socket for its words to the service manager, and listens to its output.
    pub fn start(mut command: Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let life: Arc<Watched<Life>> = Arc::default();
        command.env("NOTIFY_SOCKET", folder.path().join("notify"));
        for name in ["STATE_DIRECTORY", "RUNTIME_DIRECTORY", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "INVOCATION_ID"] {
            command.env_remove(name);
        }
        // What steers the tests would be settings to the daemon.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DISTRICTD_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        listen_to_output(child.stdout.take().unwrap(), &life);
        listen_to_output(child.stderr.take().unwrap(), &life);
        listen_to_notify(socket, &life);
        let watcher = Arc::clone(&life);
        thread::spawn(move || {
            let status = child.wait().unwrap();
            watcher.change(|life| life.status = Some(status));
        });
        Self { pid, life, _socket: folder }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ended instead, or when `limit` is over; with its log.
    pub fn wait_ready(&self, limit: Duration) {
        let ready = |life: &Life| {
            let ready = life.told.iter().any(|told| told == "READY=1");
            if ready || life.status.is_some() { Some(ready) } else { None }
        };
        assert!(self.life.wait(limit, ready) == Some(true), "not ready:\n{}", self.log());
    }

    /// Waits for a line of the log that holds all of `words`, and gives it.
    ///
    /// # Panics
    /// When none came within `limit`; with the log.
    pub fn wait_log(&self, limit: Duration, words: &[&str]) -> String {
        let find = |life: &Life| life.log.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned();
        self.life.wait(limit, find).unwrap_or_else(|| panic!("no line with {words:?} within {limit:?}:\n{}", self.log()))
    }

    /// Waits until the service manager was told something that begins so.
    pub fn wait_told(&self, limit: Duration, start: &str) -> Option<String> {
        self.life.wait(limit, |life| life.told.iter().find(|told| told.starts_with(start)).cloned())
    }

    /// Everything it logged until now.
    pub fn log(&self) -> String {
        self.life.look(|life| life.log.join("\n"))
    }

    /// The lines it logged from number `from` on.
    pub fn log_from(&self, from: usize) -> Vec<String> {
        self.life.look(|life| life.log.get(from..).unwrap_or_default().to_vec())
    }

    /// SIGKILL; returns when the process is gone.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait_exit(Duration::from_secs(20));
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.life.look(|life| life.status.is_none()) {
            kill_process(self.pid, signal).ok();
        }
    }

    /// Waits for its end and for the last of its output.
    ///
    /// # Panics
    /// When it still runs after `limit`; with its log.
    pub fn wait_exit(&self, limit: Duration) -> ExitStatus {
        let ended = |life: &Life| life.status.filter(|_| life.output_ended == 2);
        self.life.wait(limit, ended).unwrap_or_else(|| panic!("still running after {limit:?}:\n{}", self.log()))
    }

    /// The exit code, once it has ended by itself.
    pub fn wait_code(&self, limit: Duration) -> Option<i32> {
        let status = self.wait_exit(limit);
        assert_eq!(status.signal(), None, "{}", self.log());
        status.code()
    }

    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        self.life.look(|life| life.status.is_none())
    }

    /// Bytes that it caused to be written to a disk (proc(5), write_bytes).
    pub fn write_bytes(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid())).unwrap();
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap();
        line.parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let gone = |life: &Life| life.status;
        self.life.wait(Duration::from_secs(20), gone);
    }
}

fn listen_to_output(output: impl Read + Send + 'static, life: &Arc<Watched<Life>>) {
    let life = Arc::clone(life);
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            life.change(|life| life.log.push(line));
        }
        life.change(|life| life.output_ended += 1);
    });
}

fn listen_to_notify(socket: UnixDatagram, life: &Arc<Watched<Life>>) {
    let life = Arc::clone(life);
    // Short waits, so that the thread ends after the daemon has.
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match socket.recv(&mut buffer) {
                Ok(count) => {
                    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    life.change(|life| life.told.extend(text.lines().map(str::to_owned)));
                }
                Err(_) if life.look(|life| life.status.is_some()) => return,
                Err(_) => {}
            }
        }
    });
}
