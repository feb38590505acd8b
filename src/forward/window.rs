//! What is on its way on one connection: which key waits for how many acknowledgements. Pure; a new one per connection.
//!
//! Always true here: a key is confirmed once, when each of its messages was acknowledged on this connection; an acknowledgement that
//! fits no message on its way confirms nothing; packet identifiers belong to messages in the order in which these were handed over,
//! and the newest message is never [`IDENTIFIERS`] or more after the oldest unacknowledged one, so that no identifier is in use
//! twice. Batches in flight grow from one: the first batch of a connection is alone. Deliberately absent: payloads, sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::lanes::Lane;
use crate::reading::Key;

/// Packet identifiers in use: 1 to this. Many more than [`MOST`], so that a late second acknowledgement meets an identifier that
/// nobody waits for.
pub(super) const IDENTIFIERS: u16 = 256;

/// Messages, and batches, that may be in flight at once: what the brokers of the field accept without being asked.
pub(super) const MOST: usize = 20;

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freight {
    /// Birth or goodbye.
    Status,
    /// The description of a meter.
    Schema,
    /// One message of this batch.
    Part(Key, Lane),
}

/// An acknowledgement that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    /// What was acknowledged.
    pub freight: Freight,
    /// The key whose last message this was.
    pub confirmed: Option<Key>,
    /// Bytes of this message.
    pub bytes: usize,
    /// Bytes acknowledged since this message was handed over, itself included.
    pub delivered: u64,
    /// How long that took.
    pub took: Duration,
}

/// The library and this window disagree: the connection cannot be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mismatch {
    /// A packet left that was not handed over, or under an identifier in use.
    #[error("packet {0} left although nothing waited to be sent under it")]
    Sent(u16),
    /// The broker acknowledged what is not on its way.
    #[error("the broker acknowledged packet {0}, which is not on its way")]
    Acked(u16),
}

#[derive(Debug)]
struct Handed {
    serial: u64,
    freight: Freight,
    bytes: usize,
    at: Instant,
    delivered: u64,
}

/// The messages of one connection that are not acknowledged yet.
#[derive(Debug)]
pub(super) struct Window {
    handed: u64,
    unsent: Option<Handed>,
    sent: VecDeque<(u16, Handed)>,
    waiting: BTreeMap<Key, usize>,
    batches: usize,
    delivered: u64,
    progress: Instant,
}

impl Window {
    /// Nothing in flight, room for one batch.
    pub(super) fn new(now: Instant) -> Self {
        let (sent, waiting) = (VecDeque::with_capacity(MOST), BTreeMap::new());
        Self { handed: 0, unsent: None, sent, waiting, batches: 1, delivered: 0, progress: now }
    }

    /// Whether a message may be handed over. One at a time, so that live readings never queue behind backlog within the client.
    pub(super) fn admits_message(&self) -> bool {
        let oldest = self.sent.front().map_or(self.handed + 1, |(_, oldest)| oldest.serial);
        self.unsent.is_none() && self.sent.len() < MOST && self.handed + 1 - oldest < u64::from(IDENTIFIERS)
    }

    /// Whether one more batch may be begun.
    pub(super) fn admits_batch(&self) -> bool {
        self.waiting.len() < self.batches
    }

    /// Whether a batch is in flight.
    pub(super) fn holds(&self, key: Key) -> bool {
        self.waiting.contains_key(&key)
    }

    /// Whether no batch is in flight.
    pub(super) fn holds_nothing(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a batch was confirmed on this connection.
    pub(super) fn has_confirmed(&self) -> bool {
        self.batches > 1
    }

    /// How many batches may be in flight at present.
    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    /// A batch of so many messages (at least one) begins.
    pub(super) fn begin(&mut self, key: Key, messages: usize) {
        self.waiting.insert(key, messages);
    }

    /// A message goes to the client.
    pub(super) fn hand(&mut self, freight: Freight, bytes: usize, now: Instant) {
        if self.is_empty() {
            self.progress = now;
        }
        self.handed += 1;
        self.unsent = Some(Handed { serial: self.handed, freight, bytes, at: now, delivered: self.delivered });
    }

    /// The last byte of the message handed over has left under this packet identifier.
    ///
    /// # Errors
    /// When there is no such message, or the identifier is in use.
    pub(super) fn sent(&mut self, packet: u16, now: Instant) -> Result<Freight, Mismatch> {
        let in_use = self.sent.iter().any(|(other, _)| *other == packet);
        let handed = self.unsent.take_if(|_| !in_use).ok_or(Mismatch::Sent(packet))?;
        let freight = handed.freight;
        self.sent.push_back((packet, handed));
        self.progress = now;
        Ok(freight)
    }

    /// The broker acknowledged this packet identifier.
    ///
    /// # Errors
    /// When no message is on its way under it.
    pub(super) fn acked(&mut self, packet: u16, now: Instant) -> Result<Ack, Mismatch> {
        let place = self.sent.iter().position(|(waiting, _)| *waiting == packet);
        let (_, message) = place.and_then(|place| self.sent.remove(place)).ok_or(Mismatch::Acked(packet))?;
        self.progress = now;
        self.delivered += message.bytes as u64;
        Ok(Ack {
            freight: message.freight,
            confirmed: self.settle(message.freight),
            bytes: message.bytes,
            delivered: self.delivered - message.delivered,
            took: now.saturating_duration_since(message.at),
        })
    }

    /// Counts down; the key when it was the last message of a batch.
    fn settle(&mut self, freight: Freight) -> Option<Key> {
        let Freight::Part(key, _) = freight else { return None };
        let left = self.waiting.get_mut(&key)?;
        *left = left.saturating_sub(1);
        if *left > 0 {
            return None;
        }
        self.waiting.remove(&key);
        self.batches = (self.batches + 1).min(MOST);
        Some(key)
    }

    /// The batch in flight, if it is the only one.
    pub(super) fn alone(&self) -> Option<Key> {
        let mut keys = self.waiting.keys();
        keys.next().copied().filter(|_| keys.next().is_none())
    }

    /// Whether a birth or goodbye waits for its acknowledgement.
    pub(super) fn holds_status(&self) -> bool {
        let waiting = self.sent.iter().map(|(_, sent)| sent).chain(&self.unsent);
        waiting.into_iter().any(|message| message.freight == Freight::Status)
    }

    /// Whether nothing waits for an acknowledgement.
    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_none() && self.sent.is_empty()
    }

    /// Whether, for `limit`, no acknowledgement came and no message left although something waits.
    pub(super) fn stalled(&self, now: Instant, limit: Duration) -> bool {
        !self.is_empty() && now.saturating_duration_since(self.progress) >= limit
    }
}

#[cfg(test)]
mod tests;
