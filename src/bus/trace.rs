//! The last exchanges on a wire, as they were.
//!
//! Always true here: it is bounded in number and in bytes, and taking an exchange down copies its bytes once. Deliberately absent:
//! what the bytes mean, and who wants to see them.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// 256 frames: so many requests, and what was heard after each.
pub const MOST: usize = 128;
/// Of one exchange so many heard bytes are kept: the largest answer of Modbus TCP, and what shows that more came.
const MOST_HEARD: usize = 272;

/// One request and what was heard until it was over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// How long ago it began, when the trace was asked for.
    pub ago: Duration,
    /// From handing the request to the port to the end of the exchange.
    pub took: Duration,
    /// As sent, with checksum or MBAP header.
    pub sent: Box<[u8]>,
    /// All bytes that were heard, at most 272 of them.
    pub heard: Box<[u8]>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A proper answer.
    Answered,
    /// An exception of Modbus.
    Refused(u8),
    /// Not one byte in time.
    Silent,
    /// Bytes, but no proper answer.
    Garbled,
    /// A proper answer but for having fewer items.
    Short,
    /// The port or connection went away.
    Down,
}

/// The ring of one wire. Moments are counted from an origin of the owner's choice.
#[derive(Debug, Default)]
pub(super) struct Trace(VecDeque<Exchange>);

impl Trace {
    /// Takes down an exchange that began at `begun`, and forgets the oldest beyond [`MOST`].
    pub(super) fn add(&mut self, begun: Duration, took: Duration, sent: &[u8], heard: &[u8], outcome: Outcome) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        let heard = heard.get(..heard.len().min(MOST_HEARD)).unwrap_or_default();
        self.0.push_back(Exchange { ago: begun, took, sent: sent.into(), heard: heard.into(), outcome });
    }

    /// All of it, the oldest first, seen from `now`.
    pub(super) fn seen_from(&self, now: Duration) -> Vec<Exchange> {
        let seen = |exchange: &Exchange| Exchange { ago: now.saturating_sub(exchange.ago), ..exchange.clone() };
        self.0.iter().map(seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn the_oldest_exchange_makes_room_for_the_newest() {
        let mut trace = Trace::default();
        for n in 0..200 {
            trace.add(second(n), second(0), &[1], &[u8::try_from(n).unwrap()], Outcome::Answered);
        }
        let seen = trace.seen_from(second(200));
        assert_eq!(seen.len(), MOST);
        assert_eq!((seen[0].heard[0], seen[MOST - 1].heard[0]), (72, 199));
        assert_eq!((seen[0].ago, seen[MOST - 1].ago), (second(128), second(1)));
    }

    #[test]
    fn babble_is_cut_off() {
        let mut trace = Trace::default();
        trace.add(second(0), second(1), &[1], &[0; 1024], Outcome::Garbled);
        assert_eq!(trace.seen_from(second(1))[0].heard.len(), MOST_HEARD);
    }
}
