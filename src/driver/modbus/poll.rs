//! One poll of one meter: carries out a plan, and searches what a refusal is about.
//!
//! Always true here:
//! - Every due point is in the sweep once: with a value from an answer to a request that covers it whole (a power of ten may come from
//!   another request of this poll, never from another poll), or with a reason.
//! - A meter that does not answer costs one time-out: nothing is asked after it.
//! - The number of steps is bounded: each planned request once, at most [`MOST_EXTRA`] requests of the search, one to put an old
//!   refusal to the test, one wait, and one request again after it.
//!
//! Deliberately absent: retries of what was garbled or silent (the next poll is the retry).

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::search::{self, Half, Part, Task};
use crate::config::model::{Meter, Point};
use crate::driver::planner::{Holds, Piece, Plan};
use crate::driver::refusal::{self, Of, Refusal};
use crate::driver::{Ask, Dialogue, Fault, Heard, Learnt, Step, scaling};
use crate::protocol::modbus::Raw;
use crate::reading::{Quality, Reason, Stamp, Sweep, Value};

/// Requests that one poll may spend on finding out what a refusal is about.
pub(super) const MOST_EXTRA: usize = 16;
/// How long a meter that says it is busy is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(100);

/// A poll of one meter.
#[derive(Debug)]
pub struct Poll {
    meter: Arc<Meter>,
    plan: Arc<Plan>,
    /// One for each due point; those not yet settled are marked [`Reason::Silent`].
    values: Vec<(u16, Value, Quality)>,
    /// What was heard of points whose value and power of ten did not come together yet.
    pending: Vec<Pending>,
    state: State,
    /// Number of planned requests that were begun.
    begun: usize,
    /// What the search has yet to do, the next task last.
    tasks: Vec<Task>,
    /// Requests of the search that were begun.
    extra: usize,
    was_garbled: bool,
    has_waited: bool,
    answered: Option<Stamp>,
    /// A refusal to be put to the test when all else is done.
    trial: Option<Refusal>,
    refusals: Vec<Refusal>,
    disproved: Option<Refusal>,
}

/// A point of which only one of two pieces was heard.
#[derive(Debug)]
struct Pending {
    slot: u16,
    raw: Option<Result<Raw, Reason>>,
    power: Option<Result<i8, Reason>>,
}

#[derive(Debug)]
enum State {
    Ready,
    Asked(Part),
    Resting(Part),
    Done,
}

/// What an answer leads to.
enum Next {
    GoOn,
    Rest(Part),
    End(Reason),
}

/// The items of an answer, as many as were asked for.
enum Items {
    Words(Vec<u16>),
    Bits(Vec<bool>),
}

impl Poll {
    /// A poll that carries out this plan, which was made for this meter, and then asks for what `trial` says is refused.
    #[must_use]
    pub fn new(meter: Arc<Meter>, plan: Arc<Plan>, trial: Option<Refusal>) -> Self {
        let mut values: Vec<_> = plan.due.iter().map(|place| (*place, Value::Missing, Quality::Bad(Reason::Silent))).collect();
        for (slot, code) in &plan.refused {
            settle(&mut values, *slot, scaling::missing(refusal::reason(*code)));
        }
        Self {
            meter,
            plan,
            values,
            pending: Vec::new(),
            state: State::Ready,
            begun: 0,
            tasks: Vec::new(),
            extra: 0,
            was_garbled: false,
            has_waited: false,
            answered: None,
            trial,
            refusals: Vec::new(),
            disproved: None,
        }
    }

    fn hear(&mut self, part: Part, heard: Heard, now: &Stamp) -> Next {
        let was_garbled = std::mem::take(&mut self.was_garbled);
        match items(part.ask, heard) {
            Ok(items) => {
                self.hear_answer(&part, &items, now);
                Next::GoOn
            }
            // A gateway's word for a silent meter (0x0A, 0x0B) counts as silence.
            Err(fault @ (Fault::Silent | Fault::LineDown | Fault::Refused(0x0A | 0x0B))) => {
                self.fail(&part.serves, fault.reason());
                Next::End(fault.reason())
            }
            Err(fault @ Fault::Garbled) => {
                self.fail(&part.serves, fault.reason());
                self.was_garbled = true;
                if was_garbled { Next::End(fault.reason()) } else { Next::GoOn }
            }
            Err(Fault::Refused(6)) if !self.has_waited => {
                self.has_waited = true;
                Next::Rest(part)
            }
            Err(Fault::Refused(code)) => {
                self.hear_refusal(part, code);
                Next::GoOn
            }
            Err(Fault::Short) => {
                self.hear_short(part);
                Next::GoOn
            }
        }
    }

    fn hear_answer(&mut self, part: &Part, items: &Items, now: &Stamp) {
        if let Half::Trial(refusal) = part.half {
            self.disproved = Some(refusal);
            return;
        }
        self.answered = Some(*now);
        self.take(part, items);
        self.compare_halves(part);
    }

    /// Exceptions 2 (address) and 3 (quantity) speak of the request (Modbus Application Protocol V1.1b3, 7): of a single value they
    /// say all there is to know, of several the guilty one is searched when the planned requests are through.
    fn hear_refusal(&mut self, part: Part, code: u8) {
        match (code, part.half) {
            (2 | 3, Half::Trial(refusal)) => self.refusals.push(Refusal { code, ..refusal }),
            (2 | 3, _) => self.tasks.push(Task::Halve(part, code)),
            _ => self.fail(&part.serves, refusal::reason(code)),
        }
    }

    /// Less than was asked for says as much as a refusal. But a disturbed line can do that once, so it counts for a single value only
    /// when the block around it was short too; alone it counts as garbled.
    fn hear_short(&mut self, part: Part) {
        match part.half {
            Half::Trial(refusal) => self.refusals.push(Refusal { code: refusal::SHORT, ..refusal }),
            Half::None if search::halves(&part, refusal::SHORT, &self.plan, &self.meter).is_none() => {
                self.fail(&part.serves, refusal::reason(refusal::SHORT));
            }
            _ => self.tasks.push(Task::Halve(part, refusal::SHORT)),
        }
    }

    /// The next request: a planned one, one of the search, or the test of an old refusal.
    fn next(&mut self) -> Option<Part> {
        if let Some(request) = self.plan.requests.get(self.begun) {
            self.begun += 1;
            return Some(Part { ask: request.ask, serves: request.serves.clone(), half: Half::None });
        }
        while let Some(task) = self.tasks.pop() {
            match task {
                Task::Halve(part, code) => self.halve(&part, code),
                Task::Ask(part, code) if self.extra >= MOST_EXTRA => self.fail(&part.serves, refusal::reason(code)),
                Task::Ask(part, _) => {
                    self.extra += 1;
                    return Some(part);
                }
            }
        }
        self.trial.take().map(|refusal| Part { ask: refusal.ask, serves: 0..0, half: Half::Trial(refusal) })
    }

    fn halve(&mut self, part: &Part, code: u8) {
        let Some((left, right)) = search::halves(part, code, &self.plan, &self.meter) else {
            let ask = search::value(part, &self.plan, &self.meter).unwrap_or(part.ask);
            self.refusals.push(Refusal { ask, code, of: Of::Value });
            return self.fail(&part.serves, refusal::reason(code));
        };
        // A half that spans as much as the whole (values within a longer one) was refused with it.
        let task = |half: Part| if half.ask == part.ask { Task::Halve(half, code) } else { Task::Ask(half, code) };
        self.tasks.push(task(right));
        self.tasks.push(task(left));
    }

    /// When both halves of a refused request are answered, what is refused lies between them.
    fn compare_halves(&mut self, part: &Part) {
        match (part.half, self.tasks.last_mut()) {
            (Half::Left, Some(Task::Ask(Part { half: Half::Right { left, .. }, .. }, _))) => *left = Some(part.ask),
            (Half::Right { whole, left: Some(left), code }, _) => {
                let ask = search::passage(left, part.ask, whole);
                self.refusals.push(Refusal { ask, code, of: Of::Passage });
            }
            _ => {}
        }
    }

    fn take(&mut self, part: &Part, items: &Items) {
        let plan = Arc::clone(&self.plan);
        let meter = Arc::clone(&self.meter);
        for piece in plan.order.get(part.serves.clone()).unwrap_or_default() {
            let Some(point) = plan.point(*piece, &meter) else { continue };
            match (items.of(part.ask, &piece.items(point)), point.scaling.power_register) {
                (Some(Taken::Bit(on)), _) => settle(&mut self.values, piece.slot, scaling::bit(point, on)),
                (Some(Taken::Words(words)), None) => settle(&mut self.values, piece.slot, scaling::reading(point, words)),
                (Some(Taken::Words(words)), Some(_)) => self.assemble(*piece, point, words),
                (None, _) => settle(&mut self.values, piece.slot, scaling::missing(Reason::Malformed)),
            }
        }
    }

    /// Takes one of the two pieces of a point, and settles it with the second.
    fn assemble(&mut self, piece: Piece, point: &Point, words: &[u16]) {
        let place = self.pending.iter().position(|pending| pending.slot == piece.slot);
        let mut pending = match place {
            Some(place) => self.pending.swap_remove(place),
            None => Pending { slot: piece.slot, raw: None, power: None },
        };
        match piece.holds {
            Holds::Value => pending.raw = Some(scaling::raw(point, words)),
            Holds::Power => pending.power = words.first().map(|register| scaling::power(*register)),
        }
        match pending {
            Pending { raw: Some(Ok(raw)), power: Some(Ok(power)), slot } => {
                settle(&mut self.values, slot, scaling::value(point, raw, power));
            }
            Pending { raw: Some(Err(reason)), power: Some(_), slot } | Pending { power: Some(Err(reason)), raw: Some(_), slot } => {
                settle(&mut self.values, slot, scaling::missing(reason));
            }
            half => self.pending.push(half),
        }
    }

    fn fail(&mut self, serves: &Range<usize>, reason: Reason) {
        for piece in self.plan.order.get(serves.clone()).unwrap_or_default() {
            settle(&mut self.values, piece.slot, scaling::missing(reason));
        }
    }

    /// Everything that was not settled has this reason.
    fn give_up(&mut self, reason: Reason) {
        while let Some(request) = self.plan.requests.get(self.begun) {
            self.begun += 1;
            self.fail(&request.serves.clone(), reason);
        }
        while let Some(Task::Halve(part, _) | Task::Ask(part, _)) = self.tasks.pop() {
            self.fail(&part.serves, reason);
        }
    }

    fn ask(&mut self, part: Part) -> Step {
        let ask = part.ask;
        self.state = State::Asked(part);
        Step::Ask(ask)
    }

    fn go_on(&mut self, now: &Stamp) -> Step {
        match self.next() {
            Some(part) => self.ask(part),
            None => self.done(now),
        }
    }

    fn done(&mut self, now: &Stamp) -> Step {
        self.state = State::Done;
        if self.values.is_empty() {
            return Step::Done(Vec::new());
        }
        let values = std::mem::take(&mut self.values);
        let stamp = self.answered.unwrap_or(*now);
        Step::Done(vec![Sweep { schema: Arc::clone(&self.meter.schema), stamp, values }])
    }
}

impl Dialogue for Poll {
    fn step(&mut self, heard: Heard, now: &Stamp) -> Step {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Ready => self.go_on(now),
            State::Resting(part) => self.ask(part),
            State::Asked(part) => match self.hear(part, heard, now) {
                Next::GoOn => self.go_on(now),
                Next::Rest(part) => {
                    self.state = State::Resting(part);
                    Step::Wait(BUSY_PAUSE)
                }
                Next::End(reason) => {
                    self.give_up(reason);
                    self.done(now)
                }
            },
            State::Done => {
                self.state = State::Done;
                Step::Done(Vec::new())
            }
        }
    }

    fn learnt(&self) -> Learnt<'_> {
        let is_sure = self.answered.is_some() || self.disproved.is_some();
        Learnt { refusals: &self.refusals, disproved: self.disproved, is_sure }
    }
}

/// What was heard, if it is as many items of the kind that was asked for; anything else is no answer to this request.
fn items(ask: Ask, heard: Heard) -> Result<Items, Fault> {
    match heard {
        Heard::Words(words) if !ask.table.is_bits() && words.len() == usize::from(ask.count) => Ok(Items::Words(words)),
        Heard::Bits(bits) if ask.table.is_bits() && bits.len() == usize::from(ask.count) => Ok(Items::Bits(bits)),
        Heard::Words(_) | Heard::Bits(_) | Heard::Nothing => Err(Fault::Garbled),
        Heard::Fault(fault) => Err(fault),
    }
}

/// What an answer holds of one piece.
enum Taken<'a> {
    Words(&'a [u16]),
    Bit(bool),
}

impl Items {
    /// These items of the table, of an answer to this request.
    fn of(&self, ask: Ask, wanted: &Range<u32>) -> Option<Taken<'_>> {
        let place = |item: u32| usize::try_from(item.checked_sub(u32::from(ask.address))?).ok();
        let (start, end) = (place(wanted.start)?, place(wanted.end)?);
        match self {
            Self::Words(words) => words.get(start..end).map(Taken::Words),
            Self::Bits(bits) => bits.get(start).map(|on| Taken::Bit(*on)),
        }
    }
}

fn settle(values: &mut [(u16, Value, Quality)], slot: u16, (value, quality): (Value, Quality)) {
    if let Some(settled) = values.get_mut(usize::from(slot)) {
        (settled.1, settled.2) = (value, quality);
    }
}
