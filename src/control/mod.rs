//! What people ask of a running daemon: a socket in the run directory, one line of JSON each way.
//!
//! Always true here: only root and the daemon's own group may ask; a question never grants a wire, it goes into the inbox of a bus
//! and the scheduler answers; at most four ask at a time and each has a minute. Deliberately absent: changes of any kind.

mod wires;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::reading::{Quality, Sweep};
use crate::status::{Board, Snapshot};
pub use wires::Wires;

/// How many may ask at a time.
const GUESTS: usize = 4;
/// How long one question may take, answer included.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest question in bytes.
const LONGEST: u64 = 4096;

/// A question, one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Question {
    /// All figures.
    Status,
    /// Poll this meter now, between the others.
    Read {
        /// Name of the meter.
        meter: Box<str>,
    },
}

/// An answer, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Question::Status`].
    Status(Box<Snapshot>),
    /// To [`Question::Read`].
    Readings(Vec<Reading>),
    /// Why there is none.
    Refused(String),
}

/// One point of a meter that was read for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Name of the point.
    pub point: Box<str>,
    /// Digits or text as sent; empty when there is no value.
    pub value: String,
    /// Unit of the point.
    pub unit: Box<str>,
    /// `good`, or the reason.
    pub quality: String,
}

/// Where the socket of a daemon with this journal directory stands.
#[must_use]
pub fn socket(journal: &Path) -> PathBuf {
    journal.join("control.socket")
}

/// Opens the socket, in the place of one that a dead daemon left. The spool's lock keeps a living one out.
///
/// # Errors
/// As the file system gives them.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Answers until it is dropped.
pub async fn serve(listener: UnixListener, board: Board, wires: Wires) {
    let guests = Arc::new(Semaphore::new(GUESTS));
    loop {
        let Ok(permit) = Arc::clone(&guests).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (board, wires) = (board.clone(), wires.clone());
                tokio::spawn(async move {
                    // A guest who leaves early or asks nonsense is told or forgotten; nobody else is concerned.
                    let _ = tokio::time::timeout(PATIENCE, attend(stream, &board, &wires)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "the control socket does not accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn attend(mut stream: UnixStream, board: &Board, wires: &Wires) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(question) => answer(question, board, wires).await,
        Err(error) => Answer::Refused(format!("not a question: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    write.write_all(&text).await
}

async fn answer(question: Question, board: &Board, wires: &Wires) -> Answer {
    match question {
        Question::Status => Answer::Status(Box::new(board.snapshot())),
        Question::Read { meter } => match wires.read_now(&meter).await {
            Ok(sweeps) => Answer::Readings(sweeps.iter().flat_map(readings).collect()),
            Err(why) => Answer::Refused(why),
        },
    }
}

fn readings(sweep: &Sweep) -> Vec<Reading> {
    let reading = |(place, value, quality): &(u16, _, Quality)| {
        let point = sweep.schema.points.get(usize::from(*place))?;
        let quality = match quality {
            Quality::Good => "good".to_owned(),
            Quality::Bad(reason) => reason.to_string(),
        };
        let value: &crate::reading::Value = value;
        Some(Reading { point: point.name.clone(), value: value.to_string(), unit: point.unit.clone(), quality })
    };
    sweep.values.iter().filter_map(reading).collect()
}
