//! Which message goes out next: live first, then backlog in the room that is left, and suspects on trial.
//!
//! Always true here: a schema goes out before the first sweep that needs it; a batch that is suspected of ending connections waits
//! until another one was acknowledged on this connection, or until there is no other, and is then in flight alone, so that it can
//! neither hold up the others nor be blamed for a broker that takes nothing at all. Deliberately absent: wires and waiting.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use tracing::warn;

use super::encode::Message;
use super::encode::json::{self, Json};
use super::lanes::{Lane, Pace};
use super::parcel::Parcel;
use super::window::{Freight, Window};
use crate::clock::Clock;
use crate::reading::{Key, SchemaId};
use crate::spool::face::{Batch, Session};

/// What encoding needs.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    /// The format.
    pub encoder: &'a Json,
    /// Corrects stamps.
    pub clock: &'a Clock,
}

/// Batches in hand on one connection.
pub(super) struct Outbox<'a> {
    loader: Loader<'a>,
    live: Option<Parcel>,
    backlog: Option<Parcel>,
    trial: Option<Parcel>,
    tried: Option<Key>,
    suspects: BTreeSet<Key>,
    deferred: VecDeque<(Lane, Arc<Batch>)>,
    announced: HashSet<SchemaId>,
}

/// Where a parcel lies.
#[derive(Debug, Clone, Copy)]
enum Hand {
    Live,
    Backlog,
    Trial,
}

impl<'a> Outbox<'a> {
    /// Nothing in hand yet; `suspects` are to be tried alone.
    pub(super) fn new(loader: Loader<'a>, suspects: BTreeSet<Key>) -> Self {
        let (live, backlog, trial, tried) = (None, None, None, None);
        Self { loader, live, backlog, trial, tried, suspects, deferred: VecDeque::new(), announced: HashSet::new() }
    }

    /// Whether nothing is in hand.
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_none() && self.backlog.is_none() && self.trial.is_none() && self.deferred.is_empty()
    }

    /// The next message, if one may go out now. When it is the first of a batch, that batch begins in `window` and `pace`.
    pub(super) fn next(&mut self, session: &Session, window: &mut Window, pace: &mut Pace) -> Option<(Freight, Message)> {
        let hand = self.choose(session, window, pace)?;
        self.unpack(hand, window, pace)
    }

    /// Whose turn it is.
    fn choose(&mut self, session: &Session, window: &Window, pace: &Pace) -> Option<Hand> {
        if self.trial.is_some() {
            return Some(Hand::Trial);
        }
        let trial_is_due = !self.deferred.is_empty() && window.has_confirmed();
        let trial_runs = self.tried.is_some_and(|key| window.holds(key));
        let may_begin = window.admits_batch() && !trial_is_due && !trial_runs;
        if may_begin && self.live.is_none() {
            self.live = self.load(Lane::Live, session);
        }
        if let Some(parcel) = self.live.as_ref().filter(|parcel| parcel.begun || may_begin) {
            return pace.admits(Lane::Live, parcel.next_bytes()).then_some(Hand::Live);
        }
        let may_begin = may_begin && pace.admits_batch(window.batches());
        if may_begin && self.backlog.is_none() {
            self.backlog = self.load(Lane::Backlog, session);
        }
        if self
            .backlog
            .as_ref()
            .is_some_and(|parcel| (parcel.begun || may_begin) && pace.admits(Lane::Backlog, parcel.next_bytes()))
        {
            return Some(Hand::Backlog);
        }
        let alone = window.holds_nothing() && (trial_is_due || (self.live.is_none() && self.backlog.is_none()));
        (alone && self.take_suspect(session)).then_some(Hand::Trial)
    }

    /// The next batch of a lane that is above suspicion and has an encoding.
    fn load(&mut self, lane: Lane, session: &Session) -> Option<Parcel> {
        loop {
            let batch = match lane {
                Lane::Live => session.live(),
                Lane::Backlog => session.backlog(),
            }?;
            if self.suspects.contains(&batch.key) {
                self.deferred.push_back((lane, batch));
            } else if let Some(parcel) = self.encode(lane, &batch, session) {
                return Some(parcel);
            }
        }
    }

    fn take_suspect(&mut self, session: &Session) -> bool {
        while let Some((lane, batch)) = self.deferred.pop_front() {
            self.trial = self.encode(lane, &batch, session);
            if self.trial.is_some() {
                self.tried = Some(batch.key);
                return true;
            }
        }
        false
    }

    /// A batch that has no encoding is set aside.
    fn encode(&self, lane: Lane, batch: &Batch, session: &Session) -> Option<Parcel> {
        let parcel = Parcel::load(self.loader.encoder, batch, lane, &self.loader.clock.now());
        let refuse = |why: String| {
            warn!(key = %batch.key, why, "a batch cannot be sent and is set aside; it is tried again once a day");
            session.set_aside(batch.key, &why);
        };
        parcel.map_err(refuse).ok()
    }

    /// The next message of a parcel: a schema that the broker has not had on this connection, else a part of the batch.
    fn unpack(&mut self, hand: Hand, window: &mut Window, pace: &mut Pace) -> Option<(Freight, Message)> {
        let hand = match hand {
            Hand::Live => &mut self.live,
            Hand::Backlog => &mut self.backlog,
            Hand::Trial => &mut self.trial,
        };
        let parcel = hand.as_mut()?;
        if let Some(message) = next_schema(parcel, &mut self.announced) {
            return Some((Freight::Schema, message));
        }
        if !std::mem::replace(&mut parcel.begun, true) {
            window.begin(parcel.key, parcel.messages.len());
            pace.begun(parcel.lane);
        }
        let message = parcel.messages.pop_front()?;
        let freight = Freight::Part(parcel.key, parcel.lane);
        if parcel.messages.is_empty() {
            *hand = None;
        }
        Some((freight, message))
    }
}

/// A schema whose names cannot stand in a topic has no batch that could be sent either.
fn next_schema(parcel: &mut Parcel, announced: &mut HashSet<SchemaId>) -> Option<Message> {
    while let Some(schema) = parcel.schemas.pop() {
        if announced.insert(schema.id())
            && let Ok(message) = json::schema(&schema)
        {
            return Some(message);
        }
    }
    None
}
