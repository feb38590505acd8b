//! Wires for tests: each opening takes the next end from a list, or fails as the list says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::DuplexStream;

use super::Stream;
use super::trouble::Trouble;
use crate::config::model::Framing;

/// What the next openings give.
#[derive(Debug, Clone)]
pub(in crate::bus) struct Ports {
    pub(in crate::bus) framing: Framing,
    pub(in crate::bus) is_network: bool,
    queue: Arc<Mutex<VecDeque<Result<DuplexStream, Trouble>>>>,
}

impl Ports {
    /// No opening succeeds yet.
    pub(in crate::bus) fn new(framing: Framing, is_network: bool) -> Self {
        Self { framing, is_network, queue: Arc::default() }
    }

    /// The next opening gives one end; the other is for the test.
    pub(in crate::bus) fn next(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(4096);
        self.queue.lock().unwrap().push_back(Ok(ours));
        theirs
    }

    pub(in crate::bus) fn open(&self) -> Result<Box<dyn Stream>, Trouble> {
        let gone = Err(Trouble::NoDevice { path: "script".into() });
        let port = self.queue.lock().unwrap().pop_front().unwrap_or(gone)?;
        Ok(Box::new(port))
    }
}

/// A pseudo terminal: the far end, the path to open, and a handle that keeps the far end readable while nobody has it open.
pub(in crate::bus) fn pseudo_terminal() -> (impl Stream, std::path::PathBuf, impl Sized) {
    use tokio_serial::SerialPort as _;
    let (far, near) = tokio_serial::SerialStream::pair().unwrap();
    let path = near.name().unwrap().into();
    (far, path, near)
}
