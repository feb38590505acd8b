//! A batch on its way out: its messages, and the schemas that must have gone before. Pure.
//!
//! Always true here: an encoding that panics is caught and never reaches the task. Deliberately absent: the window.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::encode::json::Json;
use super::encode::{Message, Unfit};
use super::lanes::Lane;
use crate::reading::{Key, MeterSchema, Stamp};
use crate::spool::face::{Batch, Content};

/// An encoded batch.
#[derive(Debug)]
pub(super) struct Parcel {
    /// Names it.
    pub key: Key,
    /// Which way it takes.
    pub lane: Lane,
    /// What its messages refer to.
    pub schemas: Vec<Arc<MeterSchema>>,
    /// What is still to be handed over; at least one until the last is taken.
    pub messages: VecDeque<Message>,
    /// Whether the first message was handed over.
    pub begun: bool,
}

impl Parcel {
    /// Encodes a batch.
    ///
    /// # Errors
    /// Why it must be set aside.
    pub(super) fn load(encoder: &Json, batch: &Batch, lane: Lane, now: &Stamp) -> Result<Self, String> {
        let messages = guarded(|| encoder.batch(batch, lane == Lane::Backlog, now))?;
        Ok(Self { key: batch.key, lane, schemas: schemas(batch), messages: messages.into(), begun: false })
    }

    /// Size of the next message.
    pub(super) fn next_bytes(&self) -> usize {
        self.messages.front().map_or(0, Message::bytes)
    }
}

/// Runs an encoder; its panic becomes a reason.
fn guarded(encode: impl FnOnce() -> Result<Vec<Message>, Unfit>) -> Result<Vec<Message>, String> {
    match catch_unwind(AssertUnwindSafe(encode)) {
        Ok(Ok(messages)) => Ok(messages),
        Ok(Err(unfit)) => Err(unfit.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            Err(format!("its encoding panicked: {}", text.unwrap_or("without a word")))
        }
    }
}

/// Sweeps of one meter stand together, so comparing with the last one finds nearly all repetitions cheaply.
fn schemas(batch: &Batch) -> Vec<Arc<MeterSchema>> {
    let Content::Sweeps(sweeps) = &batch.content else { return Vec::new() };
    let mut schemas: Vec<Arc<MeterSchema>> = Vec::new();
    for sweep in sweeps {
        if schemas.last().is_none_or(|last| last.id() != sweep.schema.id()) {
            schemas.push(Arc::clone(&sweep.schema));
        }
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_that_panics_becomes_a_reason() {
        assert_eq!(guarded(|| panic!("index 7")).unwrap_err(), "its encoding panicked: index 7");
        assert_eq!(guarded(|| Err(Unfit::Empty)).unwrap_err(), "the batch holds no sweep");
    }
}
