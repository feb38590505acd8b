//! What a Modbus master knows about one meter between polls: its plans, and what it refuses.
//!
//! Always true here: a steady poll neither plans nor copies a plan; what is believed about refusals is bounded in number and is put
//! to the test again. Deliberately absent: wires, the notebook's file, when a meter is due.

mod beliefs;
mod poll;
mod search;

use std::sync::Arc;
use std::time::Duration;

use beliefs::Beliefs;
pub use poll::Poll;

use super::planner::{Plan, Rules, plan};
use super::{Ask, Dialogue, Learnt, Refusal};
use crate::config::model::Meter;
use crate::reading::Stamp;

/// What a request costs on a line, so that the planner can weigh a gap against another request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineCost {
    /// Time of one register in an answer (two characters; over TCP next to nothing).
    pub per_register: Duration,
    /// Time of one more request: its frame, the answer's frame without data, silences, and the meter's turnaround.
    pub per_request: Duration,
}

impl LineCost {
    /// Time of a request and its answer.
    #[must_use]
    pub fn of(&self, ask: Ask) -> Duration {
        let bytes = if ask.table.is_bits() { u32::from(ask.count.div_ceil(8)) } else { 2 * u32::from(ask.count) };
        self.per_request + self.per_register * bytes / 2
    }

    /// Whether a plan made for the other cost is likely to be a good one for this.
    fn is_like(&self, other: &Self) -> bool {
        let near = |a: Duration, b: Duration| a.abs_diff(b) * 4 <= a.max(b);
        near(self.per_register, other.per_register) && near(self.per_request, other.per_request)
    }
}

/// Sets of due points that a meter is usually asked for; beyond that, plans are made anew.
const MOST_PLANS: usize = 16;

/// Hands out polls of one meter, and learns from them.
///
/// ```text
///     poll(due, now) -> Poll -> step, step, .. Done -> learn(poll.learnt(), now) -> anything new for the notebook?
/// ```
#[derive(Debug)]
pub struct Poller {
    meter: Arc<Meter>,
    rules: Rules,
    cost: LineCost,
    beliefs: Beliefs,
    plans: Vec<Arc<Plan>>,
    all: Arc<[u16]>,
}

impl Poller {
    /// A poller of this meter that knows `refusals` from earlier runs.
    #[must_use]
    pub fn new(meter: Arc<Meter>, cost: LineCost, refusals: Vec<Refusal>) -> Self {
        let all = (0..=u16::MAX).zip(&meter.points).map(|(place, _)| place).collect();
        Self { rules: Rules::of(&meter), meter, cost, beliefs: Beliefs::new(refusals), plans: Vec::new(), all }
    }

    /// A poll of the points `due`: places in the meter's points, ascending, each once.
    pub fn poll(&mut self, due: &[u16], now: &Stamp) -> Poll {
        let trial = self.beliefs.due(now);
        Poll::new(Arc::clone(&self.meter), self.plan(due), trial)
    }

    /// A poll of all points.
    pub fn poll_all(&mut self, now: &Stamp) -> Poll {
        self.poll(&Arc::clone(&self.all), now)
    }

    /// The requests for all points.
    pub fn plan_all(&mut self) -> Arc<Plan> {
        self.plan(&Arc::clone(&self.all))
    }

    /// The requests for the points `due`; planned once for each set.
    pub fn plan(&mut self, due: &[u16]) -> Arc<Plan> {
        if let Some(known) = self.plans.iter().find(|plan| plan.due == due) {
            return Arc::clone(known);
        }
        if self.plans.len() >= MOST_PLANS {
            self.plans.remove(0);
        }
        let new = Arc::new(plan(&self.meter.points, due, self.rules, &self.cost, &self.beliefs.held()));
        self.plans.push(Arc::clone(&new));
        new
    }

    /// Takes what a dialogue of this meter learnt; says whether [`Self::refusals`] may have changed.
    pub fn learn(&mut self, learnt: Learnt<'_>, now: &Stamp) -> bool {
        let is_steady = learnt.refusals.is_empty() && learnt.disproved.is_none() && self.beliefs.are_sure();
        let is_changed = !is_steady && self.beliefs.learn(learnt, now);
        if is_changed {
            self.plans.clear();
        }
        is_changed
    }

    /// What the meter refuses as far as is known for sure: what the notebook should hold.
    pub fn refusals(&self) -> impl Iterator<Item = Refusal> + '_ {
        self.beliefs.sure()
    }

    /// Takes a better known cost of the line; plans are made anew only when it differs by more than a quarter.
    pub fn price(&mut self, cost: LineCost) {
        if !self.cost.is_like(&cost) {
            self.cost = cost;
            self.plans.clear();
        }
    }
}

/// Starts one poll of all points of a meter that nothing is known about.
#[must_use]
pub fn poll(meter: &Arc<Meter>, cost: &LineCost) -> Box<dyn Dialogue> {
    let plan = Poller::new(Arc::clone(meter), *cost, Vec::new()).plan_all();
    Box::new(Poll::new(Arc::clone(meter), plan, None))
}

#[cfg(test)]
mod tests;
