//! Which inbox leads to which meter.
//!
//! Always true here: a bus that is started again has a new inbox, and the old one is forgotten. Deliberately absent: sockets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::bus::Request;
use crate::config::model;
use crate::reading::Sweep;

/// The inboxes of all buses; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Wires(Arc<Mutex<BTreeMap<Box<str>, Wire>>>);

#[derive(Debug)]
struct Wire {
    inbox: mpsc::Sender<Request>,
    meters: Vec<Box<str>>,
}

impl Wires {
    /// Makes a bus reachable, in the place of an earlier one of the same name.
    pub fn connect(&self, bus: &model::Bus, inbox: mpsc::Sender<Request>) {
        let meters = bus.meters.iter().map(|meter| meter.name.clone()).collect();
        self.lock().insert(bus.name.clone(), Wire { inbox, meters });
    }

    /// Forgets a bus.
    pub fn disconnect(&self, bus: &str) {
        self.lock().remove(bus);
    }

    /// Has a meter polled between the others and gives its sweeps.
    ///
    /// # Errors
    /// A sentence that says why not: no such meter, too many waiting, or what the bus says.
    pub async fn read_now(&self, meter: &str) -> Result<Vec<Sweep>, String> {
        let inbox = self.inbox(meter).ok_or_else(|| format!("no meter {meter:?} is being polled"))?;
        let (reply, answer) = oneshot::channel();
        let request = Request::ReadNow { meter: meter.into(), reply };
        inbox.try_send(request).map_err(|_| "too many questions wait for this wire; ask again".to_owned())?;
        answer.await.unwrap_or_else(|_| Err("the wire ended before it answered".into()))
    }

    fn inbox(&self, meter: &str) -> Option<mpsc::Sender<Request>> {
        let wires = self.lock();
        let wire = wires.values().find(|wire| wire.meters.iter().any(|name| &**name == meter))?;
        Some(wire.inbox.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Wire>> {
        // The map is whole after every statement that changes it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
