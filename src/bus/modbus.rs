//! One Modbus request over a shared link (tokio-modbus, only here).
//!
//! Always true here:
//! - A value is handed out only if unit, function, CRC or transaction id, length and the absence of any other byte speak for it, and
//!   on RTU only if no answer of the same shape could still be under way ([`doubt`](super::doubt)).
//! - After any failure the library's context is thrown away. On a serial line the line is then drained until it was silent for
//!   `quarantine`; over TCP the connection is closed, and with RTU framing the new one is drained too, because a device server may
//!   deliver the late answer there.
//! - A failure pays for its own quarantine before it is reported, so that the next meter does not.
//!
//! Deliberately absent: retries (but for a connection that the peer had closed while it was idle), and what a register means.

use std::time::{Duration, Instant};

use tokio::time::timeout;
use tokio_modbus::client::{Client as _, Context, rtu, tcp};
use tokio_modbus::slave::SlaveContext as _;
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use super::answer::{Body, SMALLEST_FRAME, function, is_proper};
use super::cost::Pace;
use super::doubt::{Doubts, Numbers};
use super::link::trouble::Trouble;
use super::link::{Link, Opening, Unsettled};
use super::source::Source;
use super::trace::{self, Exchange, Trace};
use crate::clock::monotonic;
use crate::config::model::{Bus, Framing, Line, Table};
use crate::driver::{Ask, Fault, Heard};

/// How many canaries one request may cost: a meter that refuses some shapes still gets its turn.
const CANARIES: usize = 3;
/// How often a line is made ready anew for one request: it was closed while idle, or something came unasked.
const ATTEMPTS: usize = 3;

/// So long at most is waited for answers to an earlier master when the wire is opened.
const INHERITED: Duration = Duration::from_secs(2);

/// What happened on the wire since it was last asked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) answers: u64,
    pub(super) timeouts: u64,
    pub(super) garbled: u64,
    pub(super) refused: u64,
    pub(super) drained: u64,
    pub(super) opened: u64,
    /// Exchanges that failed because the adapter heard what it sent.
    pub(super) echoes: u64,
}

/// The one who asks on a wire.
pub(super) struct Master {
    source: Source,
    framing: Framing,
    is_network: bool,
    echo_is_dropped: bool,
    pace: Pace,
    timeout: Duration,
    quarantine: Duration,
    port: Option<Port>,
    doubts: Doubts,
    numbers: Numbers,
    /// Silence that the meter asked last wants after its answer.
    pause: Duration,
    /// Asked last; what comes unasked is believed to be an answer to it.
    last: Option<Sent>,
    /// Whether the exchange with `last` is not over: it was cut short from outside.
    unfinished: bool,
    /// Whether the line must be drained for so long before anything is sent.
    dirty: Option<Duration>,
    trouble: Option<Trouble>,
    counts: Counts,
    trace: Trace,
    /// What the moments of the trace are counted from.
    origin: Instant,
}

struct Port {
    link: Link,
    context: Option<Numbered>,
    /// Whether an answer came over this connection.
    proven: bool,
}

/// A request as it went out; the number is that of Modbus TCP.
#[derive(Debug, Clone, Copy)]
struct Sent {
    unit: u8,
    ask: Ask,
    number: u16,
}

/// The library's context, and the transaction number it will use next: it counts from zero and wraps.
struct Numbered {
    context: Context,
    next: u16,
}

/// What became of one frame sent.
enum Outcome {
    Answer(Heard),
    /// Exception code, and whether it can only belong to this request.
    Refused(u8, bool),
    Failed(Fault),
    /// The peer had closed the connection, which it may do at any time between requests.
    Closed,
}

enum Failure {
    Silence,
    Garbage,
    /// A well-formed answer, which can only belong to this request, of fewer items.
    Short,
    Down,
}

/// What the library says, or why it says nothing.
type Answered = Result<Result<Response, ExceptionCode>, Failure>;

impl Master {
    /// A master of the configured wire, which is not opened yet.
    pub(super) fn new(bus: &Bus, source: Source) -> Self {
        let (framing, is_network) = (source.framing(), source.is_network());
        Self {
            source,
            framing,
            is_network,
            echo_is_dropped: matches!(&bus.line, Line::Serial(serial) if serial.echo_is_dropped),
            pace: Pace::of(&bus.line),
            timeout: bus.timeout,
            quarantine: bus.quarantine,
            port: None,
            doubts: Doubts::default(),
            numbers: Numbers::default(),
            pause: Duration::ZERO,
            last: None,
            unfinished: false,
            dirty: None,
            trouble: None,
            counts: Counts::default(),
            trace: Trace::default(),
            origin: monotonic(),
        }
    }

    /// Opens the wire. On RTU whatever an earlier master may still be owed is waited for before the first request.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) async fn open(&mut self) -> Result<(), Trouble> {
        self.dirty = (self.framing == Framing::Rtu).then_some((self.timeout + self.quarantine).min(INHERITED));
        self.reopen().await
    }

    /// Why the wire is not there.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The last exchanges, seen from now.
    pub(super) fn trace(&self, now: Instant) -> Vec<Exchange> {
        self.trace.seen_from(now.saturating_duration_since(self.origin))
    }

    /// The counts since the last call.
    pub(super) fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Sends a request and reports what was heard. `pause` is the silence that the meter wants after its answer.
    pub(super) async fn ask(&mut self, unit: u8, pause: Duration, ask: Ask) -> Heard {
        if !is_legal(ask) {
            return Heard::Fault(Fault::Refused(3));
        }
        for _ in 0..CANARIES + ATTEMPTS {
            if let Err(fault) = self.prepare().await {
                return self.count(Heard::Fault(fault));
            }
            let Some(request) = self.next_request(unit, ask) else { break };
            let outcome = self.exchange(unit, request).await;
            self.pause = pause;
            let is_canary = request != ask;
            match outcome {
                Outcome::Answer(heard) if !is_canary => return self.count(heard),
                Outcome::Refused(code, true) if !is_canary => return self.count(Heard::Fault(Fault::Refused(code))),
                // What is wrong with a canary says nothing about the request.
                Outcome::Failed(Fault::Short) if is_canary => return self.count(Heard::Fault(Fault::Garbled)),
                Outcome::Failed(fault) => return self.count(Heard::Fault(fault)),
                Outcome::Refused(_, false) if !is_canary => break,
                Outcome::Answer(_) | Outcome::Refused(..) | Outcome::Closed => {}
            }
        }
        self.count(Heard::Fault(Fault::Garbled))
    }

    fn next_request(&mut self, unit: u8, ask: Ask) -> Option<Ask> {
        match self.framing {
            Framing::Tcp => Some(ask),
            Framing::Rtu => self.doubts.next(unit, ask, monotonic()),
        }
    }

    /// Makes the line ready: open, drained after a failure, and silent.
    async fn prepare(&mut self) -> Result<(), Fault> {
        if std::mem::take(&mut self.unfinished) {
            self.doubt_last();
        }
        for _ in 0..ATTEMPTS {
            if self.port.is_none() {
                self.reopen().await.map_err(|_| Fault::LineDown)?;
            }
            self.clean().await?;
            let Some(port) = &self.port else { continue };
            match port.link.settle(self.pace.silence.max(self.pause)).await {
                Ok(dropped) if self.is_mere_noise(dropped) => return Ok(()),
                // An answer nobody waits for: it may be old, or the right one while an old one was taken for it.
                Ok(_) => self.doubt_last(),
                Err(Unsettled::Noisy) => {
                    self.dirty = Some(self.quarantine);
                    return Err(Fault::Garbled);
                }
                Err(Unsettled::Down) => self.lost()?,
            }
        }
        Err(Fault::Garbled)
    }

    /// Counts what was dropped and tells whether it was too little to be an answer.
    fn is_mere_noise(&mut self, dropped: usize) -> bool {
        self.counts.drained += dropped as u64;
        dropped == 0 || self.framing == Framing::Rtu && dropped < SMALLEST_FRAME
    }

    /// An answer to what was asked last may still be under way.
    fn doubt_last(&mut self) {
        if let Some(last) = self.last {
            match self.framing {
                Framing::Rtu => self.doubts.doubt(last.unit, last.ask, monotonic()),
                Framing::Tcp => self.numbers.doubt(last.number, monotonic()),
            }
        }
        self.drop_context();
    }

    /// Throws away what a failure leaves behind, and remembers that the line must be drained.
    fn drop_context(&mut self) {
        if self.framing == Framing::Rtu {
            self.dirty = Some(self.dirty.unwrap_or_default().max(self.quarantine));
        }
        if self.is_network {
            self.port = None;
        } else if let Some(port) = &mut self.port {
            port.context = None;
        }
    }

    /// Drains the line if a failure left it dirty.
    async fn clean(&mut self) -> Result<(), Fault> {
        let (Some(quiet), Some(port)) = (self.dirty, &self.port) else { return Ok(()) };
        match port.link.quarantine(quiet).await {
            Ok(dropped) => {
                self.counts.drained += dropped as u64;
                self.dirty = None;
                Ok(())
            }
            Err(Unsettled::Noisy) => Err(Fault::Garbled),
            Err(Unsettled::Down) => self.lost(),
        }
    }

    /// The wire is gone. A connection may be made again at once; a port is opened again by the one who waits in between.
    fn lost(&mut self) -> Result<(), Fault> {
        let why = self.port.take().and_then(|port| port.link.down()).unwrap_or_default();
        if self.is_network {
            return Ok(());
        }
        self.trouble = Some(Trouble::Lost { to: self.source.to_string(), why });
        Err(Fault::LineDown)
    }

    async fn reopen(&mut self) -> Result<(), Trouble> {
        self.port = None;
        match self.source.open().await {
            Ok(stream) => {
                let link = Link::new(stream, self.pace.character, self.source.has_own_thread(), self.echo_is_dropped);
                self.port = Some(Port { link, context: None, proven: false });
                self.trouble = None;
                self.counts.opened += 1;
                Ok(())
            }
            Err(trouble) => {
                self.trouble = Some(trouble.clone());
                Err(trouble)
            }
        }
    }

    async fn exchange(&mut self, unit: u8, ask: Ask) -> Outcome {
        let Some(port) = &mut self.port else { return Outcome::Failed(Fault::LineDown) };
        let (link, was_proven) = (port.link.clone(), port.proven);
        let mut numbered = port.context.take().unwrap_or_else(|| Numbered::attach(self.framing, &link));
        if self.framing == Framing::Tcp {
            numbered.pass_over(&mut self.numbers).await;
        }
        self.counts.requests += 1;
        self.last = Some(Sent { unit, ask, number: numbered.next });
        self.unfinished = true;
        let opening = Opening { unit, function: function(ask.table) };
        link.begin((self.framing == Framing::Rtu).then_some(opening));
        let limits = (self.pace.first_byte(ask, self.timeout), self.pace.rest(ask, self.timeout));
        let begun = monotonic();
        let answer = numbered.call(&link, unit, ask, limits).await;
        self.unfinished = false;
        let judged = self.judged(&link, unit, ask, answer);
        self.take_down(begun, &link, &judged);
        match judged {
            Ok(outcome) => {
                self.keep(numbered);
                outcome
            }
            Err(failure) => {
                drop(numbered);
                self.after(failure, &link, was_proven).await
            }
        }
    }

    fn take_down(&mut self, begun: Instant, link: &Link, judged: &Result<Outcome, Failure>) {
        let outcome = match judged {
            Ok(Outcome::Answer(_)) => trace::Outcome::Answered,
            Ok(Outcome::Refused(code, _)) => trace::Outcome::Refused(*code),
            Ok(Outcome::Failed(Fault::Short)) | Err(Failure::Short) => trace::Outcome::Short,
            Err(Failure::Silence) => trace::Outcome::Silent,
            Ok(Outcome::Closed) | Err(Failure::Down) => trace::Outcome::Down,
            Ok(Outcome::Failed(_)) | Err(Failure::Garbage) => trace::Outcome::Garbled,
        };
        let (since, took) = (begun.saturating_duration_since(self.origin), monotonic().saturating_duration_since(begun));
        link.exchanged(|sent, heard| self.trace.add(since, took, sent, heard, outcome));
    }

    fn keep(&mut self, context: Numbered) {
        if let Some(port) = &mut self.port {
            port.context = Some(context);
            port.proven = true;
        }
    }

    /// Turns what the library made of the answer into what it is worth.
    fn judged(&mut self, link: &Link, unit: u8, ask: Ask, answer: Answered) -> Result<Outcome, Failure> {
        let proper = |body: Body<'_>| link.heard(|heard| is_proper(self.framing, heard, unit, ask, body));
        match answer? {
            Err(code) if proper(Body::Refusal(code.into())) => {
                let certain = self.framing == Framing::Tcp || self.doubts.refused(unit, ask, monotonic());
                Ok(Outcome::Refused(code.into(), certain))
            }
            Ok(Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words)) if proper(Body::Words(&words)) => {
                self.doubts.answered(unit);
                Ok(Outcome::Answer(Heard::Words(words)))
            }
            Ok(Response::ReadCoils(mut bits) | Response::ReadDiscreteInputs(mut bits)) if proper(Body::Bits(&bits)) => {
                self.doubts.answered(unit);
                bits.truncate(usize::from(ask.count));
                Ok(Outcome::Answer(Heard::Bits(bits)))
            }
            Ok(response) if self.is_short(link, unit, ask, &response) => match self.framing {
                Framing::Tcp => Ok(Outcome::Failed(Fault::Short)),
                Framing::Rtu => Err(Failure::Short),
            },
            _ => Err(Failure::Garbage),
        }
    }

    /// Whether this is a proper answer but for having fewer items than were asked for. On RTU it is the answer to this request only if
    /// nothing of its function was in doubt; and although it is, the line is drained and the doubt kept: what gives less than it is
    /// asked for may give the rest later.
    fn is_short(&self, link: &Link, unit: u8, ask: Ask, response: &Response) -> bool {
        let (body, items) = match response {
            Response::ReadHoldingRegisters(words) | Response::ReadInputRegisters(words) => (Body::Words(words), words.len()),
            Response::ReadCoils(bits) | Response::ReadDiscreteInputs(bits) => (Body::Bits(bits), bits.len()),
            _ => return false,
        };
        let Ok(count) = u16::try_from(items) else { return false };
        let is_certain = self.framing == Framing::Tcp || !self.doubts.is_doubtful(unit, ask.table);
        count < ask.count && is_certain && link.heard(|heard| is_proper(self.framing, heard, unit, Ask { count, ..ask }, body))
    }

    /// Cleans up after a failed exchange, at the expense of the meter that was asked.
    async fn after(&mut self, failure: Failure, link: &Link, was_proven: bool) -> Outcome {
        let silent = !link.has_heard();
        self.counts.echoes += u64::from(self.framing == Framing::Rtu && link.has_heard_itself());
        self.doubt_last();
        let fault = match failure {
            Failure::Down if !self.is_network => return Outcome::Failed(self.lost().err().unwrap_or(Fault::LineDown)),
            Failure::Down if silent && was_proven && self.framing == Framing::Tcp => return Outcome::Closed,
            Failure::Silence => Fault::Silent,
            Failure::Down if silent => Fault::Silent,
            Failure::Short => Fault::Short,
            Failure::Down | Failure::Garbage => Fault::Garbled,
        };
        if self.framing == Framing::Rtu {
            self.recover().await;
        }
        Outcome::Failed(fault)
    }

    /// Opens if need be, and drains. What fails here is met again by the next request.
    async fn recover(&mut self) {
        if self.port.is_some() || self.reopen().await.is_ok() {
            let _ = self.clean().await;
        }
    }

    fn count(&mut self, heard: Heard) -> Heard {
        match heard {
            Heard::Words(_) | Heard::Bits(_) => self.counts.answers += 1,
            Heard::Fault(Fault::Silent) => self.counts.timeouts += 1,
            Heard::Fault(Fault::Garbled | Fault::Short) => self.counts.garbled += 1,
            Heard::Fault(Fault::Refused(_)) => self.counts.refused += 1,
            Heard::Fault(Fault::LineDown) | Heard::Nothing => {}
        }
        heard
    }
}

impl Numbered {
    fn attach(framing: Framing, link: &Link) -> Self {
        let context = match framing {
            Framing::Tcp => tcp::attach_slave(link.clone(), Slave(0)),
            Framing::Rtu => rtu::attach_slave(link.clone(), Slave(0)),
        };
        Self { context, next: 0 }
    }

    /// Uses up doubtful numbers: the library draws a number before it finds that a request is too long to be sent.
    async fn pass_over(&mut self, numbers: &mut Numbers) {
        while numbers.is_doubtful(self.next, monotonic()) {
            let unsendable = Request::Custom(0x41, vec![0; 254].into());
            let _ = self.context.call(unsendable).await;
            self.next = self.next.wrapping_add(1);
        }
    }

    /// The library's call under two time-outs: one for the first byte, another for the rest once a byte has come.
    async fn call(&mut self, link: &Link, unit: u8, ask: Ask, (first, rest): (Duration, Duration)) -> Answered {
        self.next = self.next.wrapping_add(1);
        self.context.set_slave(Slave(unit));
        let call = self.context.call(request(ask));
        tokio::pin!(call);
        let answer = match timeout(first, &mut call).await {
            Ok(answer) => answer,
            Err(_) if !link.has_heard() => return Err(Failure::Silence),
            Err(_) => timeout(rest, call).await.map_err(|_| Failure::Garbage)?,
        };
        answer.map_err(|_| if link.down().is_some() { Failure::Down } else { Failure::Garbage })
    }
}

fn request(ask: Ask) -> Request<'static> {
    match ask.table {
        Table::Coil => Request::ReadCoils(ask.address, ask.count),
        Table::Discrete => Request::ReadDiscreteInputs(ask.address, ask.count),
        Table::Holding => Request::ReadHoldingRegisters(ask.address, ask.count),
        Table::Input => Request::ReadInputRegisters(ask.address, ask.count),
    }
}

/// The library sends any count; the standard allows 125 registers and 2000 bits (Modbus Application Protocol V1.1b3, 6.1 to 6.4).
fn is_legal(ask: Ask) -> bool {
    let most = if ask.table.is_bits() { 2000 } else { 125 };
    (1..=most).contains(&ask.count) && u32::from(ask.address) + u32::from(ask.count) <= 65_536
}

#[cfg(test)]
pub(super) mod hostile;
#[cfg(test)]
mod tests;
