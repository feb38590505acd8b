//! How patient the forwarder is. Pure.

use std::time::Duration;

use crate::backoff::Backoff;

/// Time-outs and bounds that are not configured; tests use shorter ones.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// DNS, TCP, TLS and CONNACK together.
    pub connect: Duration,
    /// No acknowledgement and no message sent for so long although something waits: the connection is given up.
    pub no_progress: Duration,
    /// No event at all for two keep-alives and this: the library hangs.
    pub margin: Duration,
    /// How long a connection must work before an outage is called over.
    pub settle: Duration,
    /// How long the last words may take at a clean end.
    pub goodbye: Duration,
    /// How long they may take when told to end now.
    pub hasty_goodbye: Duration,
    /// How often clocks are looked at.
    pub tick: Duration,
    /// Ceiling of the first pause.
    pub first_pause: Duration,
    /// No pause is shorter.
    pub shortest_pause: Duration,
    /// Ceiling of all pauses.
    pub longest_pause: Duration,
    /// Connections that may end over one batch before it is set aside.
    pub patience: u8,
    /// A batch is split between sweeps beyond this many bytes of payload: what the brokers of the large clouds take.
    pub max_payload: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            no_progress: Duration::from_secs(60),
            margin: Duration::from_secs(5),
            settle: Duration::from_secs(10),
            goodbye: Duration::from_secs(5),
            hasty_goodbye: Duration::from_millis(500),
            tick: Duration::from_secs(1),
            first_pause: Duration::from_secs(2),
            shortest_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            patience: 3,
            max_payload: 127 * 1024,
        }
    }
}

impl Settings {
    /// The pauses between rounds of attempts.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.first_pause, self.shortest_pause, self.longest_pause, fastrand::u64(..))
    }
}
