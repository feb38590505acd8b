//! One wire as a stream of bytes, shared between its owner and the library that frames requests.
//!
//! Always true here:
//! - Every byte that came during an exchange is kept until the next one begins, so that the owner can judge the answer by all that
//!   was heard and not only by what a decoder made of it.
//! - Silence counts from the last byte seen, or from when the last byte sent has left the wire, whichever is later.
//! - End of file and any error mean that the wire is gone, and that is remembered: an unplugged adapter answers `Ok(0)` for ever.
//! - Flushing returns at once: `tcdrain` would block the thread, and time-outs are computed from the line's speed instead.
//!
//! Deliberately absent: frames, units, and any decision what to do about what was heard.

pub(super) mod holder;
pub(super) mod serial;
pub(super) mod tcp;
pub(super) mod trouble;

#[cfg(test)]
pub(super) mod scripted;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout_at;

use super::answer::SMALLEST_FRAME;
use crate::clock::monotonic;

/// More than this within one exchange is babble, not an answer: four of the largest frames.
const BABBLE: usize = 1024;
/// How long a line may go on talking before the wait for silence is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// Below this a runtime's timer is too coarse (it rounds up to the next millisecond, and more under load).
const FINE: Duration = Duration::from_millis(2);

/// Anything that carries bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Why a line did not become silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsettled {
    /// The wire is gone.
    Down,
    /// It never stops talking.
    Noisy,
}

/// How an RTU answer begins. The library would take noise before it for a frame of another length, and wait for the rest of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    pub(super) unit: u8,
    /// Function code of the request; a refusal has the highest bit set in addition.
    pub(super) function: u8,
}

impl Opening {
    /// Where the answer begins; `None` until that can be told. What begins with more noise than a smallest frame has bytes is left
    /// as it is.
    fn find(self, heard: &[u8]) -> Option<usize> {
        let begins = |pair: &[u8]| matches!(pair, [unit, function] if *unit == self.unit && function & 0x7F == self.function);
        let found = heard.windows(2).take(SMALLEST_FRAME).position(begins);
        found.or_else(|| (heard.len() > SMALLEST_FRAME).then_some(0))
    }
}

/// A shared handle on one open wire.
#[derive(Clone)]
pub(super) struct Link(Arc<Mutex<Wire>>);

struct Wire {
    stream: Box<dyn Stream>,
    character: Duration,
    fine: bool,
    quiet_since: Instant,
    heard: Vec<u8>,
    /// How many of these the reader has been given, noise included.
    handed_on: usize,
    opening: Option<Opening>,
    /// What was sent in this exchange.
    sent: Vec<u8>,
    /// How many bytes of its end are still to come back, where the adapter hears what it sends and that is dropped.
    echo: Option<usize>,
    down: Option<String>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

impl Link {
    /// A link over an open stream whose characters take so long. `fine`: the thread belongs to this line alone, so that the last
    /// part of a silence may be slept through exactly instead of by the runtime's timer.
    /// `echoes`: the adapter hears what it sends, and that is dropped.
    pub(super) fn new(stream: Box<dyn Stream>, character: Duration, fine: bool, echoes: bool) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            stream,
            character,
            fine,
            quiet_since: monotonic(),
            heard: Vec::new(),
            handed_on: 0,
            opening: None,
            sent: Vec::new(),
            echo: echoes.then_some(0),
            down: None,
        })))
    }

    /// Begins an exchange: what was heard before is forgotten. Few bytes of noise before the `opening` are kept from the reader, but
    /// stand in [`heard`](Self::heard).
    pub(super) fn begin(&self, opening: Option<Opening>) {
        let mut wire = self.lock();
        wire.heard.clear();
        wire.handed_on = 0;
        wire.sent.clear();
        wire.opening = opening;
    }

    /// Whether a byte has come since the exchange began.
    pub(super) fn has_heard(&self) -> bool {
        !self.lock().heard.is_empty()
    }

    /// Whether what was heard begins with what was sent: the adapter hears itself.
    pub(super) fn has_heard_itself(&self) -> bool {
        let wire = self.lock();
        !wire.sent.is_empty() && wire.heard.starts_with(&wire.sent)
    }

    /// Judges all bytes that came since the exchange began.
    pub(super) fn heard<T>(&self, judge: impl FnOnce(&[u8]) -> T) -> T {
        judge(&self.lock().heard)
    }

    /// Shows all bytes that were sent and that came since the exchange began.
    pub(super) fn exchanged(&self, show: impl FnOnce(&[u8], &[u8])) {
        let wire = self.lock();
        show(&wire.sent, &wire.heard);
    }

    /// Why the wire is gone, if it is.
    pub(super) fn down(&self) -> Option<String> {
        self.lock().down.clone()
    }

    /// Waits until nothing was heard for `quiet` and drops what comes meanwhile; answers how many bytes that were.
    ///
    /// # Errors
    /// [`Unsettled`]; dropped bytes are then not told.
    pub(super) async fn settle(&self, quiet: Duration) -> Result<usize, Unsettled> {
        let give_up = monotonic() + quiet + PATIENCE;
        let mut dropped = 0;
        while monotonic() <= give_up {
            dropped += self.drop_until_quiet_for(quiet).await?;
            if self.is_quiet_for(quiet) {
                match self.drop_pending(quiet).await? {
                    0 => return Ok(dropped),
                    more => dropped += more,
                }
            }
        }
        Err(Unsettled::Noisy)
    }

    /// [`settle`](Self::settle), with the silence counted from now on.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn quarantine(&self, quiet: Duration) -> Result<usize, Unsettled> {
        {
            let mut wire = self.lock();
            wire.quiet_since = wire.quiet_since.max(monotonic());
        }
        self.settle(quiet).await
    }

    async fn drop_until_quiet_for(&self, quiet: Duration) -> Result<usize, Unsettled> {
        let due = self.lock().quiet_since + quiet;
        let now = monotonic();
        let left = due.saturating_duration_since(now);
        if left.is_zero() {
            return Ok(0);
        }
        if !self.lock().fine {
            return self.drop_until(due).await;
        }
        if left > FINE * 2 {
            return self.drop_until(now + left.saturating_sub(FINE)).await;
        }
        std::thread::sleep(left);
        Ok(0)
    }

    async fn drop_until(&self, due: Instant) -> Result<usize, Unsettled> {
        let dropped = timeout_at(due.into(), std::future::poll_fn(|cx| self.lock().poll_drop(cx))).await;
        dropped.unwrap_or(Ok(0))
    }

    /// A last look, so that no request goes out over bytes that are already there.
    async fn drop_pending(&self, quiet: Duration) -> Result<usize, Unsettled> {
        if !quiet.is_zero() {
            // Lets the runtime ask the kernel; a stream alone knows only what the last such question told.
            tokio::task::yield_now().await;
        }
        std::future::poll_fn(|cx| match self.lock().poll_drop(cx) {
            Poll::Pending => Poll::Ready(Ok(0)),
            dropped @ Poll::Ready(_) => dropped,
        })
        .await
    }

    fn is_quiet_for(&self, quiet: Duration) -> bool {
        monotonic() >= self.lock().quiet_since + quiet
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        // A panic while reading leaves a stream that still reads; what was heard is judged by CRC and length anyway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire {
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Unsettled>> {
        let mut bytes = [0; 256];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        if count > 0 && self.without_echo(buffer.filled()).is_empty() {
            // Nothing else came: not a sign of somebody who talks.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.noticed(read, count).map(|()| count).map_err(|_| Unsettled::Down))
    }

    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 512];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let others = self.without_echo(buffer.filled());
        if others.is_empty() && !buffer.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.heard.extend_from_slice(others);
        self.noticed(read, others.len())?;
        if self.heard.len() > BABBLE {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the line talks without end")));
        }
        Poll::Ready(Ok(()))
    }

    /// What is left of newly read bytes when the echo of what was sent is taken away. The first byte that differs ends the echo.
    fn without_echo<'a>(&mut self, read: &'a [u8]) -> &'a [u8] {
        let Some(left) = &mut self.echo else { return read };
        let expected = self.sent.get(self.sent.len().saturating_sub(*left)..).unwrap_or_default();
        let same = expected.iter().zip(read).take_while(|(sent, heard)| sent == heard).count();
        *left = if same < read.len() { 0 } else { *left - same };
        read.get(same..).unwrap_or_default()
    }

    /// Hands on what was heard and not yet handed on, from where the answer begins; whether there was anything.
    fn hand_on(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        if self.handed_on == 0 {
            let Some(start) = self.opening.map_or(Some(0), |opening| opening.find(&self.heard)) else { return false };
            self.handed_on = start;
        }
        let new = self.heard.get(self.handed_on..).unwrap_or_default();
        let new = new.get(..buffer.remaining().min(new.len())).unwrap_or_default();
        buffer.put_slice(new);
        self.handed_on += new.len();
        !new.is_empty()
    }

    /// Keeps what a read that is over means for the wire.
    fn noticed(&mut self, read: io::Result<()>, count: usize) -> io::Result<()> {
        match &read {
            Ok(()) if count == 0 => self.lost("the other end closed it"),
            Ok(()) => self.quiet_since = monotonic(),
            Err(error) => self.lost(&error.to_string()),
        }
        if count == 0 && read.is_ok() { Err(io::ErrorKind::UnexpectedEof.into()) } else { read }
    }

    fn lost(&mut self, why: &str) {
        self.down.get_or_insert_with(|| why.to_owned());
    }
}

impl AsyncRead for Link {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut wire = self.lock();
        loop {
            if wire.hand_on(buffer) {
                return Poll::Ready(Ok(()));
            }
            ready!(wire.poll_hear(cx))?;
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.lock();
        let written = ready!(Pin::new(&mut wire.stream).poll_write(cx, bytes));
        match &written {
            Ok(count) => {
                let on_the_wire = wire.character * u32::try_from(*count).unwrap_or(u32::MAX);
                wire.quiet_since = wire.quiet_since.max(monotonic()) + on_the_wire;
                wire.sent.extend_from_slice(bytes.get(..*count).unwrap_or_default());
                let count = *count;
                wire.echo = wire.echo.map(|left| left + count);
            }
            Err(error) => wire.lost(&error.to_string()),
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENING: Opening = Opening { unit: 1, function: 4 };

    #[test]
    fn the_answer_begins_at_its_unit_and_function() {
        assert_eq!(OPENING.find(&[1, 4, 2]), Some(0));
        assert_eq!(OPENING.find(&[1, 0x84, 2]), Some(0));
        assert_eq!(OPENING.find(&[0, 0xFF, 1, 4, 2]), Some(2));
    }

    #[test]
    fn where_the_answer_begins_is_left_open_until_it_can_be_told() {
        assert_eq!(OPENING.find(&[]), None);
        assert_eq!(OPENING.find(&[1]), None);
        assert_eq!(OPENING.find(&[0, 0xFF, 1]), None);
    }

    #[test]
    fn what_is_more_than_noise_is_left_as_it_is() {
        assert_eq!(OPENING.find(&[2, 4, 2, 0, 1, 0x3D, 0x30]), Some(0));
        assert_eq!(OPENING.find(&[9, 9, 9, 9, 9, 1, 4]), Some(0));
    }
}
