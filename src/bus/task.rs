//! The task of one wire: performs what the schedule decides and the dialogues wish.
//!
//! Always true here:
//! - The sweeps of a dialogue are appended before the next dialogue begins.
//! - A wire that cannot be opened is tried again at growing, jittered intervals, for ever; meanwhile the values of its meters are
//!   reported missing as they fall due, less and less often.
//! - It ends when `stop` is cancelled and not otherwise: at once while it waits, and while an exchange is on the wire after
//!   [`LAST_EXCHANGE`] at the latest.
//!
//! Deliberately absent: decisions about time (`schedule`), about bytes (`modbus`), and about meters (`driver`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::cost::Pace;
use super::link::trouble::Trouble;
use super::memory::{Memory, Took, groups};
use super::modbus::Master;
use super::report::{Report, Taken, missing};
use super::schedule::{Grant, Next, Outcome, Schedule, Wants};
use super::source::Source;
use super::{Bus, Request};
use crate::backoff::Backoff;
use crate::clock::{Clock, monotonic, tick};
use crate::config::model::{Line, Meter};
use crate::driver::{Ask, Dialogue as _, Fault, Heard, Step};
use crate::reading::{Append, Reason, Sweep};

/// The task shows at least this often that it is alive.
const TURN: Duration = Duration::from_secs(4);
/// So long may the exchange that is on the wire take when the end is wanted.
const LAST_EXCHANGE: Duration = Duration::from_secs(3);
/// So many may wait for answers at a time.
const MOST_WAITING: usize = 64;
/// Network wires wake together at ticks so far apart, a fraction of the shortest period at most: a hundred wires that wake one by
/// one cost three times the processor time. On a serial line every millisecond counts and there are no ticks.
const TICK: Duration = Duration::from_millis(100);
const TICKS_IN_A_PERIOD: u32 = 10;
/// Between attempts to open a wire.
const REOPEN_FIRST: Duration = Duration::from_secs(1);
const REOPEN_AT_LEAST: Duration = Duration::from_millis(200);
const REOPEN_AT_MOST: Duration = Duration::from_secs(30);

/// Somebody waits for the sweeps of this meter.
struct Waiting {
    meter: usize,
    reply: oneshot::Sender<Result<Vec<Sweep>, String>>,
}

/// The wire of one bus and everything around it.
pub(super) struct Task {
    memory: Memory,
    master: Master,
    schedule: Schedule,
    append: Arc<dyn Append>,
    clock: Clock,
    report: Report,
    inbox: Option<mpsc::Receiver<Request>>,
    waiting: Vec<Waiting>,
    stop: CancellationToken,
    /// One timer for all exchanges, so that a long one does not look like a task that hangs.
    heartbeat: Interval,
    backoff: Backoff,
    /// Between the ticks at which it wakes; zero: no ticks.
    apart: Duration,
    /// When the wire is to be tried again; `None` while it is there.
    reopen_at: Option<Instant>,
}

/// The end is wanted.
struct Stopped;

impl Task {
    /// A task over this source.
    pub(super) fn new(bus: Bus, source: Source) -> Self {
        let meters = &bus.model.meters;
        let wants: Vec<Wants> = meters.iter().map(wants).collect();
        let periods = wants.iter().flat_map(|wants| wants.periods.iter().copied());
        let (pace, now) = (Pace::of(&bus.model.line), monotonic());
        let lost = pace.lost(bus.model.timeout, bus.model.quarantine);
        let names = meters.iter().map(|meter| (meter.name.clone(), meter.unit)).collect();
        Self {
            memory: Memory::new(meters, pace.line_cost(), bus.notebook),
            master: Master::new(&bus.model, source),
            schedule: Schedule::new(&wants, lost, f64::from(bus.model.probe_share) / 100.0, now, fastrand::u64(..)),
            append: bus.append,
            clock: bus.clock,
            report: Report::new(&bus.model.name, names, bus.status),
            inbox: Some(bus.inbox),
            waiting: Vec::new(),
            stop: bus.stop,
            heartbeat: heartbeat(),
            backoff: Backoff::new(REOPEN_FIRST, REOPEN_AT_LEAST, REOPEN_AT_MOST, fastrand::u64(..)),
            apart: ticks(&bus.model.line, periods.min()),
            reopen_at: Some(now),
        }
    }

    /// Polls until the end is wanted.
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let now = monotonic();
            self.report.turned(now);
            if self.turn(now).await.is_err() {
                return;
            }
        }
    }

    async fn turn(&mut self, now: Instant) -> Result<(), Stopped> {
        self.take_requests(now);
        if let Some(at) = self.reopen_at {
            if at <= now {
                return self.open().await;
            }
            let next = self.schedule.next_while_down(now);
            return self.perform(next, Reason::LineDown, at).await;
        }
        if self.schedule.is_aligned() {
            // The wall clock may be set at any time: a gateway starts before it knows the hour.
            self.schedule.align(self.clock.now().wall_ms, now);
        }
        let next = self.schedule.next(now);
        self.perform(next, Reason::Silent, now + TURN).await
    }

    async fn perform(&mut self, next: Next, reason: Reason, latest: Instant) -> Result<(), Stopped> {
        match next {
            Next::Poll(grant) => self.hold_dialogue(grant).await,
            Next::Report(meter) => {
                self.tell_missing(meter, reason);
                Ok(())
            }
            Next::NotBefore(at) => self.wait_until(tick(at, self.apart).min(latest)).await,
            Next::Nothing => self.wait_until(latest).await,
        }
    }

    async fn open(&mut self) -> Result<(), Stopped> {
        let opened = finish(&self.stop, &mut self.heartbeat, &mut self.report, self.master.open()).await?;
        let now = monotonic();
        match opened {
            Ok(()) => {
                self.reopen_at = None;
                self.schedule.line_up(now);
                self.report.line_up(now);
            }
            Err(trouble) => self.line_down(&trouble, now),
        }
        self.report.counted(self.master.take_counts(), self.schedule.missed());
        Ok(())
    }

    fn line_down(&mut self, trouble: &Trouble, now: Instant) {
        self.reopen_at = Some(now + self.backoff.next_delay());
        self.report.line_down(trouble, now);
        for waiting in self.waiting.drain(..) {
            // Nobody may be waiting any more; that is theirs to decide.
            let _ = waiting.reply.send(Err(trouble.to_string()));
        }
    }

    async fn hold_dialogue(&mut self, grant: Grant) -> Result<(), Stopped> {
        let begun = self.clock.now();
        let Some((meter, mut poll)) = self.memory.poll(grant.meter, grant.groups, &begun) else { return Ok(()) };
        let mut tally = Tally::default();
        let mut step = poll.step(Heard::Nothing, &begun);
        let sweeps = loop {
            let heard = match step {
                Step::Ask(_) if tally.line_is_down => Heard::Fault(Fault::LineDown),
                Step::Ask(ask) => self.ask(&meter, ask, &mut tally).await?,
                Step::Wait(pause) => rest(&self.stop, pause).await?,
                Step::Done(sweeps) => break sweeps,
            };
            step = poll.step(heard, &self.clock.now());
        };
        if let Some(refusals) = self.memory.learn(grant.meter, poll.learnt(), &begun) {
            self.report.refuses(grant.meter, &refusals);
        }
        self.conclude(grant, &tally, sweeps);
        Ok(())
    }

    async fn ask(&mut self, meter: &Meter, ask: Ask, tally: &mut Tally) -> Result<Heard, Stopped> {
        let begun = monotonic();
        let exchange = self.master.ask(meter.unit, meter.pause, ask);
        let heard = finish(&self.stop, &mut self.heartbeat, &mut self.report, exchange).await?;
        let now = monotonic();
        tally.add(&heard);
        tally.took.add(ask, now.saturating_duration_since(begun), self.memory.line());
        Ok(heard)
    }

    /// Hands the sweeps on, before anything else, and tells everybody who wants to know.
    fn conclude(&mut self, grant: Grant, tally: &Tally, sweeps: Vec<Sweep>) {
        let outcome = tally.outcome();
        let taken = Taken::of(&sweeps);
        let copy = self.is_awaited(grant.meter).then(|| sweeps.clone());
        for sweep in sweeps {
            self.append.append(sweep);
        }
        if let Some(copy) = copy {
            self.reply(grant.meter, &copy);
        }
        let now = monotonic();
        let change = self.schedule.finished(grant, outcome, now);
        self.report.dialogue(grant.meter, taken, outcome, change, now);
        self.report.counted(self.master.take_counts(), self.schedule.missed());
        if outcome == Outcome::Answered {
            self.backoff.reset();
        }
        if tally.is_flawless() {
            self.memory.price(grant.meter, tally.took);
        }
        if let Some(trouble) = self.master.trouble().cloned() {
            self.line_down(&trouble, now);
        }
    }

    fn is_awaited(&self, meter: usize) -> bool {
        self.waiting.iter().any(|waiting| waiting.meter == meter)
    }

    fn reply(&mut self, meter: usize, sweeps: &[Sweep]) {
        let (served, waiting) = self.waiting.drain(..).partition(|waiting| waiting.meter == meter);
        self.waiting = waiting;
        for waiting in served {
            let _ = waiting.reply.send(Ok(sweeps.to_vec()));
        }
    }

    fn tell_missing(&mut self, meter: usize, reason: Reason) {
        let Some(model) = self.memory.model(meter) else { return };
        let sweep = missing(model, reason, self.clock.now());
        let taken = Taken::of(std::slice::from_ref(&sweep));
        self.append.append(sweep);
        self.report.missing(meter, taken, reason);
    }

    /// Waits, but not when somebody asks for something or the end is wanted.
    async fn wait_until(&mut self, at: Instant) -> Result<(), Stopped> {
        let Some(inbox) = &mut self.inbox else {
            return match timeout_at(at.into(), self.stop.cancelled()).await {
                Ok(()) => Err(Stopped),
                Err(_) => Ok(()),
            };
        };
        let request = tokio::select! {
            () = self.stop.cancelled() => return Err(Stopped),
            request = timeout_at(at.into(), inbox.recv()) => request,
        };
        match request {
            Ok(Some(request)) => self.take(request, monotonic()),
            Ok(None) => self.inbox = None,
            Err(_) => {}
        }
        Ok(())
    }

    fn take_requests(&mut self, now: Instant) {
        while let Some(request) = self.inbox.as_mut().and_then(|inbox| inbox.try_recv().ok()) {
            self.take(request, now);
        }
    }

    fn take(&mut self, request: Request, now: Instant) {
        let (meter, reply) = match request {
            Request::ReadNow { meter, reply } => (meter, reply),
            Request::Trace { reply } => {
                let _ = reply.send(self.master.trace(now));
                return;
            }
        };
        let found = self.memory.find(&meter);
        let refusal = match (found, self.master.trouble()) {
            (None, _) => Some(format!("no meter {meter} on this bus")),
            _ if self.waiting.len() >= MOST_WAITING => Some(format!("{MOST_WAITING} requests are waiting already")),
            (Some(_), Some(trouble)) => Some(trouble.to_string()),
            (Some(_), None) => None,
        };
        match (found, refusal) {
            (Some(meter), None) => {
                self.schedule.ask(meter, now);
                self.waiting.push(Waiting { meter, reply });
            }
            (_, refusal) => {
                let _ = reply.send(Err(refusal.unwrap_or_default()));
            }
        }
    }
}

fn wants(meter: &Meter) -> Wants {
    let periods = groups(meter).iter().map(|group| group.every).collect();
    Wants { periods, is_urgent: meter.is_urgent, is_aligned: meter.is_aligned }
}

/// How far apart the ticks are at which a wire whose meters have this shortest period wakes.
fn ticks(line: &Line, shortest: Option<Duration>) -> Duration {
    match (line, shortest) {
        (Line::Tcp(_), Some(shortest)) => TICK.min(shortest / TICKS_IN_A_PERIOD),
        _ => Duration::ZERO,
    }
}

fn heartbeat() -> Interval {
    let mut heartbeat = interval(TURN);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

/// Lets what is on the wire come to its end, unless the end of everything is wanted and it takes too long.
async fn finish<T>(
    stop: &CancellationToken,
    heartbeat: &mut Interval,
    report: &mut Report,
    exchange: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let too_late = async {
        stop.cancelled().await;
        sleep(LAST_EXCHANGE).await;
    };
    tokio::pin!(exchange, too_late);
    loop {
        tokio::select! {
            biased;
            done = &mut exchange => return Ok(done),
            () = &mut too_late => return Err(Stopped),
            _ = heartbeat.tick() => report.turned(monotonic()),
        }
    }
}

async fn rest(stop: &CancellationToken, pause: Duration) -> Result<Heard, Stopped> {
    match timeout(pause, stop.cancelled()).await {
        Ok(()) => Err(Stopped),
        Err(_) => Ok(Heard::Nothing),
    }
}

/// What was heard in one dialogue.
#[derive(Debug, Default)]
struct Tally {
    answered: bool,
    silent: bool,
    garbled: bool,
    refused: bool,
    line_is_down: bool,
    took: Took,
}

impl Tally {
    fn add(&mut self, heard: &Heard) {
        match heard {
            // A gateway says on behalf of a meter that it does not answer: that is the meter's silence, not the wire's.
            Heard::Nothing | Heard::Fault(Fault::Silent | Fault::Refused(0x0A | 0x0B)) => self.silent = true,
            Heard::Words(_) | Heard::Bits(_) => self.answered = true,
            Heard::Fault(Fault::Refused(_) | Fault::Short) => self.refused = true,
            Heard::Fault(Fault::Garbled) => self.garbled = true,
            Heard::Fault(Fault::LineDown) => self.line_is_down = true,
        }
    }

    /// Nothing asked counts as an answer: the meter did not fail to give one.
    fn outcome(&self) -> Outcome {
        match self {
            _ if self.answered || self.refused => Outcome::Answered,
            _ if self.line_is_down => Outcome::LineDown,
            _ if self.garbled => Outcome::Garbled,
            _ if self.silent => Outcome::Silent,
            _ => Outcome::Answered,
        }
    }

    fn is_flawless(&self) -> bool {
        self.answered && !(self.silent || self.garbled || self.refused || self.line_is_down)
    }
}

#[cfg(test)]
mod tests;
