//! Messages to the service manager; each is a no-op where there is none.
//!
//! Always true here: RELOADING carries its time stamp in the same datagram. Deliberately absent: a decision when to say what.

use std::time::Duration;

use sd_notify::NotifyState;

/// Start-up is complete.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock for the service manager"),
    }
}

/// The end has begun.
pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// Everything moves.
pub fn watchdog() {
    send(&[NotifyState::Watchdog]);
}

/// How often the service manager wants to hear [`watchdog`] at the least; `None`: it does not watch.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager did not take a message");
    }
}
