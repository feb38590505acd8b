//! What goes upstream: batches, schemas and the daemon's own state as MQTT messages. Pure.
//!
//! Always true here: the same batch gives the same names, values and qualities whenever it is encoded; names of gateway and district
//! are those of the batch itself, so a batch from before a rename keeps its old names; every sweep of a batch stands in exactly one
//! message. What may differ between two encodings of a batch: `replay`, a `ts` that became better known, and where it is split.
//!
//! A format is one file that answers four questions: [`json::Json::batch`], [`json::schema`], [`json::birth`] and
//! [`json::offline`]. Deliberately absent: brokers, packet identifiers, and the question what has
//! been sent already.

pub(super) mod json;

use crate::reading::{BadName, SchemaId, check_name};

/// One publish, always QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Full topic name.
    pub topic: String,
    /// Payload as the subscriber sees it.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for later subscribers.
    pub retained: bool,
}

impl Message {
    /// Bytes of topic and payload: what the uplink pays for, bar a few of framing.
    pub(super) fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len()
    }
}

/// Why a batch has no encoding. It is set aside: no later attempt can do better.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// No sweep in it.
    #[error("the batch holds no sweep")]
    Empty,
    /// A sweep names a point that its schema does not have.
    #[error("a sweep names point {place} of schema {schema}, which has {points}")]
    UnknownPoint {
        /// Place named.
        place: u16,
        /// Schema of the sweep.
        schema: SchemaId,
        /// Points that the schema has.
        points: usize,
    },
    /// Gateway or district cannot be a level of a topic.
    #[error("{name:?} cannot stand in a topic: {why}")]
    Name {
        /// The name found.
        name: Box<str>,
        /// What is wrong with it.
        why: BadName,
    },
}

/// `districtd/{district}/{gateway}/{leaf}`.
///
/// # Errors
/// When a name could be mistaken for several levels, or for a wildcard.
fn topic(district: &str, gateway: &str, leaf: &str) -> Result<String, Unfit> {
    for (name, dots) in [(district, false), (gateway, true)] {
        check_name(name, dots).map_err(|why| Unfit::Name { name: name.into(), why })?;
    }
    Ok(format!("districtd/{district}/{gateway}/{leaf}"))
}
