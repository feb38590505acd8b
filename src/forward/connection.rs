//! One accepted connection: fills the window from two lanes and confirms what the broker acknowledges.
//!
//! Always true here: a key is confirmed only by the last PUBACK of its own messages on this connection; the birth is acknowledged
//! before anything else goes out, so that what ends a connection later is not the broker's general refusal; a schema goes out before
//! the first sweep that needs it. Deliberately absent: connecting, waiting, and the choice of a broker.

use std::time::{Duration, Instant};

use super::encode::Message;
use super::lanes::Pace;
use super::mqtt::{Heard, Wire};
use super::outbox::Outbox;
use super::trouble::Trouble;
use super::window::{Ack, Freight, Mismatch, Window};
use crate::reading::Key;
use crate::spool::face::Session;
use crate::status::UplinkReporter;

/// A connection that the broker has accepted.
pub(super) struct Connection<'a> {
    /// The wire; polled by the task.
    pub wire: Wire,
    /// What is offered; waited on by the task.
    pub session: Session,
    outbox: Outbox<'a>,
    status: &'a UplinkReporter,
    window: Window,
    pace: Pace,
    welcomed: bool,
    heard_at: Instant,
}

impl<'a> Connection<'a> {
    /// Begins with the birth message.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) fn begin(
        wire: Wire,
        session: Session,
        outbox: Outbox<'a>,
        status: &'a UplinkReporter,
        pace: Pace,
        birth: Message,
        now: Instant,
    ) -> Result<Self, Trouble> {
        let window = Window::new(now);
        let mut connection = Self { wire, session, outbox, status, window, pace, welcomed: false, heard_at: now };
        connection.publish(Freight::Status, birth, now)?;
        Ok(connection)
    }

    /// Hands over what may go out now.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), Trouble> {
        while self.welcomed && self.admits_message() {
            let Some((freight, message)) = self.outbox.next(&self.session, &mut self.window, &mut self.pace) else { break };
            self.publish(freight, message, now)?;
        }
        Ok(())
    }

    /// Whether a batch that is offered now could be begun: only then is it worth waiting for one.
    pub(super) fn is_hungry(&self) -> bool {
        self.welcomed && self.admits_message() && self.window.admits_batch()
    }

    /// Whether nothing waits for an acknowledgement.
    pub(super) fn is_idle(&self) -> bool {
        self.window.is_empty() && self.outbox.is_empty()
    }

    /// Whether the broker has acknowledged the birth.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// Whether a message may be handed over, whatever it is.
    pub(super) fn admits_message(&self) -> bool {
        self.wire.is_open() && self.window.admits_message()
    }

    /// Whether a birth or goodbye waits for its acknowledgement.
    pub(super) fn awaits_status(&self) -> bool {
        self.window.holds_status()
    }

    /// The batch to blame for the end of this connection, if only one comes into question, and whether the broker had
    /// acknowledged another one before.
    pub(super) fn suspect(&self) -> Option<(Key, bool)> {
        let alone = self.window.alone().filter(|_| self.welcomed)?;
        Some((alone, self.window.has_confirmed()))
    }

    /// Takes in what was heard on the wire. The acknowledgement, when it was one.
    ///
    /// # Errors
    /// When broker or library contradict what is known to be in flight.
    pub(super) fn take(&mut self, heard: Heard, now: Instant) -> Result<Option<Ack>, Trouble> {
        self.heard_at = now;
        match heard {
            Heard::Sent(packet) => self.window.sent(packet, now).map(|_| None).map_err(mismatch),
            Heard::Acked(packet) => self.acked(packet, now).map(Some),
            Heard::Accepted | Heard::Parted | Heard::Life => Ok(None),
        }
    }

    /// Whether the connection is to be given up although it stands. `limit` is how long there may be no
    /// progress, `silence` how long the library may say nothing.
    ///
    /// # Errors
    /// Why.
    pub(super) fn judge(&self, now: Instant, limit: Duration, silence: Duration) -> Result<(), Trouble> {
        if self.window.stalled(now, limit) {
            return Err(Trouble::NoProgress(limit));
        }
        if now.saturating_duration_since(self.heard_at) >= silence {
            return Err(Trouble::Stuck(silence));
        }
        Ok(())
    }

    /// Hands over one message.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) fn publish(&mut self, freight: Freight, message: Message, now: Instant) -> Result<(), Trouble> {
        let bytes = message.bytes();
        self.wire.publish(message)?;
        self.window.hand(freight, bytes, now);
        if let Freight::Part(_, lane) = freight {
            self.pace.sent(lane, bytes);
        }
        self.status.update(|uplink| {
            uplink.published += 1;
            uplink.bytes += bytes as u64;
        });
        Ok(())
    }

    fn acked(&mut self, packet: u16, now: Instant) -> Result<Ack, Trouble> {
        let ack = self.window.acked(packet, now).map_err(mismatch)?;
        self.pace.measured(ack.delivered, ack.took);
        match ack.freight {
            Freight::Status => self.welcomed = true,
            Freight::Part(_, lane) => self.pace.acked(lane, ack.bytes, ack.confirmed.is_some()),
            Freight::Schema => {}
        }
        if let Some(key) = ack.confirmed {
            self.session.confirm(key);
        }
        self.status.update(|uplink| uplink.acked += 1);
        Ok(ack)
    }
}

fn mismatch(mismatch: Mismatch) -> Trouble {
    match mismatch {
        Mismatch::Sent(_) => Trouble::Bug(mismatch.to_string()),
        Mismatch::Acked(_) => Trouble::Protocol(mismatch.to_string()),
    }
}
