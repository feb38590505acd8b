//! One accepted connection: fills the window from two lanes and confirms what the broker acknowledges.
//!
//! Always true here: a key is confirmed only by the last PUBACK of its own messages on this connection; the birth is acknowledged
//! before anything else goes out, so that what ends a connection later is not the broker's general refusal; a schema goes out before
//! the first sweep that needs it. Deliberately absent: connecting, waiting, and the choice of a broker.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use super::encode::Message;
use super::encode::json::{self, Json};
use super::lanes::{Lane, Pace};
use super::mqtt::{Heard, Wire};
use super::parcel::Parcel;
use super::settings::Settings;
use super::trouble::Trouble;
use super::window::{Ack, Freight, Mismatch, Window};
use crate::clock::Clock;
use crate::reading::{Key, SchemaId};
use crate::spool::face::{Batch, Session};
use crate::status::UplinkReporter;

/// What the task lends to every connection.
pub(super) struct Lent<'a> {
    /// The format.
    pub encoder: &'a Json,
    /// Corrects stamps.
    pub clock: &'a Clock,
    /// Takes figures.
    pub status: &'a UplinkReporter,
    /// Time-outs.
    pub settings: &'a Settings,
}

/// A connection that the broker has accepted.
pub(super) struct Connection<'a> {
    lent: Lent<'a>,
    /// The wire; polled by the task.
    pub wire: Wire,
    /// What is offered; waited on by the task.
    pub session: Session,
    window: Window,
    pace: Pace,
    live: Option<Parcel>,
    backlog: Option<Parcel>,
    announced: HashSet<SchemaId>,
    welcomed: bool,
    heard_at: Instant,
}

impl<'a> Connection<'a> {
    /// Begins with the birth message.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) fn begin(lent: Lent<'a>, wire: Wire, session: Session, birth: Message, now: Instant) -> Result<Self, Trouble> {
        let mut connection = Self {
            lent,
            wire,
            session,
            window: Window::new(now),
            pace: Pace::default(),
            live: None,
            backlog: None,
            announced: HashSet::new(),
            welcomed: false,
            heard_at: now,
        };
        connection.publish(Freight::Status, birth, now)?;
        Ok(connection)
    }

    /// Hands over what may go out now.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(super) fn fill(&mut self, now: Instant) -> Result<(), Trouble> {
        while self.welcomed && self.window.admits_message() {
            let Some((freight, message)) = self.next_message() else { break };
            self.publish(freight, message, now)?;
        }
        Ok(())
    }

    /// Whether a batch that is offered now could be begun: only then is it worth waiting for one.
    pub(super) fn is_hungry(&self) -> bool {
        self.welcomed && self.window.admits_message() && self.window.admits_batch()
    }

    /// Whether nothing waits for an acknowledgement.
    pub(super) fn is_idle(&self) -> bool {
        self.window.is_empty() && self.live.is_none() && self.backlog.is_none()
    }

    /// Whether the broker has acknowledged the birth.
    pub(super) fn is_welcomed(&self) -> bool {
        self.welcomed
    }

    /// Whether a message may be handed over, whatever it is.
    pub(super) fn admits_message(&self) -> bool {
        self.window.admits_message()
    }

    /// The batch to blame for the end of this connection, if only one comes into question.
    pub(super) fn suspect(&self) -> Option<Key> {
        self.window.alone().filter(|_| self.welcomed)
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

    /// Whether the connection is to be given up although it stands. `silence` is how long the library may say nothing.
    ///
    /// # Errors
    /// Why.
    pub(super) fn judge(&self, now: Instant, silence: std::time::Duration) -> Result<(), Trouble> {
        let limit = self.lent.settings.no_progress;
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
        if matches!(freight, Freight::Part(_, Lane::Backlog)) {
            self.pace.sent(bytes);
        }
        self.lent.status.update(|uplink| {
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
            Freight::Part(_, Lane::Backlog) => self.pace.acked(ack.bytes, ack.confirmed.is_some()),
            Freight::Part(_, Lane::Live) | Freight::Schema => {}
        }
        if let Some(key) = ack.confirmed {
            self.session.confirm(key);
        }
        self.lent.status.update(|uplink| uplink.acked += 1);
        Ok(ack)
    }

    /// Live first; backlog in the room that is left.
    fn next_message(&mut self) -> Option<(Freight, Message)> {
        let room = self.window.admits_batch();
        if room && self.live.is_none() {
            self.live = self.load(Lane::Live, Session::live);
        }
        if self.live.as_ref().is_some_and(|parcel| parcel.begun || room) {
            return self.unpack(Lane::Live);
        }
        let room = room && self.pace.admits_batch(self.window.batches());
        if room && self.backlog.is_none() {
            self.backlog = self.load(Lane::Backlog, Session::backlog);
        }
        let bytes = |parcel: &Parcel| parcel.messages.front().map_or(0, Message::bytes);
        let may_go = self.backlog.as_ref().is_some_and(|parcel| (parcel.begun || room) && self.pace.admits(bytes(parcel)));
        if may_go { self.unpack(Lane::Backlog) } else { None }
    }

    /// The next batch of a lane that has an encoding; the others are set aside.
    fn load(&self, lane: Lane, offer: fn(&Session) -> Option<Arc<Batch>>) -> Option<Parcel> {
        while let Some(batch) = offer(&self.session) {
            match Parcel::load(self.lent.encoder, &batch, lane, &self.lent.clock.now()) {
                Ok(parcel) => return Some(parcel),
                Err(why) => {
                    warn!(key = %batch.key, why, "a batch cannot be sent and is set aside; it is tried again once a day");
                    self.session.set_aside(batch.key, &why);
                }
            }
        }
        None
    }

    /// The next message of the parcel in hand: a schema that the broker has not had yet, else a part of the batch.
    fn unpack(&mut self, lane: Lane) -> Option<(Freight, Message)> {
        let hand = match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        };
        let parcel = hand.as_mut()?;
        while let Some(schema) = parcel.schemas.pop() {
            // A schema whose names cannot stand in a topic has no batch that could be sent either.
            if self.announced.insert(schema.id())
                && let Ok(message) = json::schema(&schema)
            {
                return Some((Freight::Schema, message));
            }
        }
        if !std::mem::replace(&mut parcel.begun, true) {
            self.window.begin(parcel.key, parcel.messages.len());
            if lane == Lane::Backlog {
                self.pace.begun();
            }
        }
        let message = parcel.messages.pop_front()?;
        let freight = Freight::Part(parcel.key, lane);
        if parcel.messages.is_empty() {
            *hand = None;
        }
        Some((freight, message))
    }
}

fn mismatch(mismatch: Mismatch) -> Trouble {
    match mismatch {
        Mismatch::Sent(_) => Trouble::Bug(mismatch.to_string()),
        Mismatch::Acked(_) => Trouble::Protocol(mismatch.to_string()),
    }
}
