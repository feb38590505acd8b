//! Wires for tests: each opening takes the next end from a list, or fails as the list says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::Stream;
use super::trouble::Trouble;
use crate::bus::modbus::hostile::crc;
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

/// Plays the far end of a wire: `>> hex` is expected next, `<< hex` is sent, `.. 20ms` waits. `crc` stands for the two bytes of the
/// CRC over what stands before it, and what follows it is a remark.
pub(in crate::bus) async fn perform(script: &str, wire: &mut DuplexStream) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (what, text) = line.split_at(2);
        match what {
            ">>" => {
                let expected = bytes(text);
                let mut heard = vec![0; expected.len()];
                wire.read_exact(&mut heard).await.unwrap();
                assert_eq!(heard, expected, "{line}: heard {heard:02X?}");
            }
            "<<" => wire.write_all(&bytes(text)).await.unwrap(),
            ".." => {
                let wait: u64 = text.trim().trim_end_matches("ms").parse().unwrap();
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            _ => panic!("no such move: {line}"),
        }
    }
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        if word == "crc" {
            let crc = crc(&bytes);
            bytes.extend(crc.to_le_bytes());
            return bytes;
        }
        bytes.push(u8::from_str_radix(word, 16).unwrap());
    }
    bytes
}

/// A pseudo terminal: the far end, the path to open, and a handle that keeps the far end readable while nobody has it open.
pub(in crate::bus) fn pseudo_terminal() -> (impl Stream, std::path::PathBuf, impl Sized) {
    use tokio_serial::SerialPort as _;
    let (far, near) = tokio_serial::SerialStream::pair().unwrap();
    let path = near.name().unwrap().into();
    (far, path, near)
}
